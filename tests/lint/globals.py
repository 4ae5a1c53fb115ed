#!/usr/bin/env python3
"""No writable data below system/: two machines must fit in one process.

Usage: globals.py LIBRARY.a
"""
import re
import subprocess
import sys

# Trace switches are the process's, and a thread's own handle is the thread's.
ALLOWED = {
    'log_mask', 'log_file', 'log_lock',     # util/log.c
    'second', 'lines',                      # util/log.c: the rate limit
    'current',                              # core/vcpu.c: thread-local
    'thread_handles',                       # target/x86/disas.c: thread-local
    'before_traps', 'done', 'trap_to',      # target/x86/exec/hostrun-trap.c: a signal's action; thread-local
    'terminal',                             # chardev/stdio.c: the process has one, and a signal restores it
}
PROCESS_WIDE = re.compile(r'(^|/)system_')


def main(library):
    text = subprocess.run(['nm', '-A', library], check=True, capture_output=True, text=True).stdout
    bad = 0
    for line in text.splitlines():
        m = re.match(r'[^:]*:([^:]+):\s*(?:[0-9a-f]+)?\s+([a-zA-Z])\s+(\S+)', line)
        if not m or m[2] not in 'bBdD':
            continue
        member, name = m[1], re.sub(r'\.\d+$', '', m[3])
        if name in ALLOWED or PROCESS_WIDE.search(member) or name.startswith(('__', 'g_define', 'quark', '_g_')):
            continue
        if is_constant(library, member, name):
            continue
        print(f'{member}: {name} is writable')
        bad += 1
    print(f'{bad} writable globals that are not allowed')
    return bad != 0


def is_constant(library, member, name):
    """Position-independent code keeps constant tables with pointers in .data.rel.ro."""
    text = subprocess.run(['objdump', '-t', library], capture_output=True, text=True).stdout if not is_constant.cache else None
    if text is not None:
        current = None
        for line in text.splitlines():
            m = re.match(r'(\S+\.o):\s+file format', line)
            if m:
                current = m[1]
            parts = line.split()
            if len(parts) >= 4 and '.data.rel.ro' in line:
                is_constant.cache.add((current, re.sub(r'\.\d+$', '', parts[-1])))
        is_constant.cache.add(None)
    return (member, name) in is_constant.cache


is_constant.cache = set()
sys.exit(main(*sys.argv[1:]))
