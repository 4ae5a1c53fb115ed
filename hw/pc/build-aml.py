#!/usr/bin/env python3
"""Compile an ASL source whose macros the C preprocessor expands.

Usage: build-aml.py CC IASL SOURCE.asl OUT.aml
"""
import pathlib
import subprocess
import sys
import tempfile


def main(cc, iasl, source, out):
    with tempfile.TemporaryDirectory() as tmp:
        asl = pathlib.Path(tmp, 'dsdt.asl')
        subprocess.run(cc.split() + ['-E', '-P', '-undef', '-x', 'c', source, '-o', asl], check=True)
        run = subprocess.run([iasl, '-we', '-p', asl.with_suffix(''), asl], capture_output=True, text=True)
        if run.returncode:
            sys.exit(run.stdout + run.stderr)
        pathlib.Path(out).write_bytes(asl.with_suffix('.aml').read_bytes())


main(*sys.argv[1:])
