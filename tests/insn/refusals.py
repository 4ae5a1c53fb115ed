#!/usr/bin/env python3
"""Every table in a folder holds one mistake; gen-insn.py must refuse it for the reason it is named after.

A table's first line is "# error: " and a part of the message expected.
"""
import glob
import importlib.util
import os
import sys


def load(path):
    spec = importlib.util.spec_from_file_location('gen_insn', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(generator, folder):
    gen = load(generator)
    tables = sorted(glob.glob(os.path.join(folder, '*.tab')))
    failed = 0 if tables else 1
    for table in tables:
        with open(table, encoding='ascii') as f:
            want = f.readline().partition('# error: ')[2].strip()
        try:
            gen.main(['--check', table])
            said = 'accepted'
        except gen.TableError as e:
            said = str(e)
        good = want and want in said
        failed += not good
        print(f'{"ok" if good else "FAILED"}  {os.path.basename(table)}: {said}')
    print(f'{len(tables)} tables, {failed} failed')
    return failed != 0


sys.exit(main(*sys.argv[1:]))
