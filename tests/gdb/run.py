#!/usr/bin/env python3
"""Run one case of cases.py inside the real gdb.  Exit status 77: skipped, with the reason.

Usage: run.py TINAMOU KERNEL_ELF KERNEL_ROM GUESTS ACCEL CASE
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT = 90 * float(os.environ.get('TINAMOU_SLOW', '1'))


def main(tinamou, elf, rom, guests, accel, case):
    if not shutil.which('gdb'):
        print('skipped: gdb is missing (package gdb)')
        return 77
    if accel == 'kvm' and not os.access('/dev/kvm', os.R_OK | os.W_OK):
        print('skipped: /dev/kvm is missing or not ours to open')
        return 77
    missing = [n for n in ('vmlinuz', 'initrd.gz') if not os.path.exists(f'{guests}/{n}')] if case == 'linux' else []
    if missing:
        print(f'skipped: {guests}/{missing[0]} is missing (make check makes it with scripts/guests.sh)')
        return 77
    with tempfile.TemporaryDirectory(prefix='tinamou-gdb-') as tmp:
        env = dict(os.environ, TINAMOU=os.path.abspath(tinamou), KERNEL=os.path.abspath(elf), HOME=tmp,
                   ROM=os.path.abspath(rom), ACCEL=accel, CASE=case, SCRIPTS=str(HERE.parents[1] / 'scripts'),
                   GUESTS=os.path.abspath(guests), MODULES=f'{HERE}:{HERE.parent / "boot"}')
        done = subprocess.run(['gdb', '-nx', '-batch', '-x', str(HERE / 'cases.py')], cwd=tmp, env=env, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=TIMEOUT)
    print(done.stdout)
    if re.search('^skipped: ', done.stdout, re.M):
        return 77
    return 0 if f'case {case} passed' in done.stdout else 1


sys.exit(main(*sys.argv[1:]))
