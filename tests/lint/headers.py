#!/usr/bin/env python3
"""Every header compiles alone.  Usage: headers.py SOURCE_DIR BUILD_DIR"""
import json
import pathlib
import shlex
import subprocess
import sys


def main(source, build):
    source = pathlib.Path(source)
    commands = json.loads(pathlib.Path(build, 'compile_commands.json').read_text())
    words = shlex.split(next(c['command'] for c in commands if c['file'].endswith('core/machine.c')))
    words = words[1:] if 'ccache' in words[0] else words
    flags = [w for w in words if w.startswith(('-I', '-D', '-std', '-W')) and not w.startswith('-Wp')]
    bad = 0
    headers = sorted(p for p in source.rglob('*.h') if not any(x.startswith('build') for x in p.parts))
    for h in headers:
        done = subprocess.run([words[0], *flags, '-Wno-unused-function', '-fsyntax-only', '-x', 'c', '-include', str(h),
                               '/dev/null'], cwd=build, capture_output=True, text=True)
        if done.returncode:
            print(f'{h.relative_to(source)} does not compile alone:\n{done.stderr}')
            bad += 1
    print(f'{len(headers)} headers, {bad} bad')
    return bad != 0


sys.exit(main(*sys.argv[1:]))
