#!/usr/bin/env python3
"""Every table in a folder holds one mistake; gen-insn.py must refuse it for the reason it is named after.

A table's first line is "# error: " and a part of the message expected.
"""
import glob
import os
import subprocess
import sys


def main(generator, folder):
    tables = sorted(glob.glob(os.path.join(folder, '*.tab')))
    failed = 0 if tables else 1
    for table in tables:
        with open(table, encoding='ascii') as f:
            want = f.readline().partition('# error: ')[2].strip()
        run = subprocess.run([sys.executable, generator, '--check', table], capture_output=True, text=True)
        good = run.returncode == 1 and want and want in run.stderr and 'Traceback' not in run.stderr
        failed += not good
        print(f'{"ok" if good else "FAILED"}  {os.path.basename(table)}: {run.stderr.strip() or "accepted"}')
    print(f'{len(tables)} tables, {failed} failed')
    return failed != 0


sys.exit(main(*sys.argv[1:]))
