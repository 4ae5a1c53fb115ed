#!/usr/bin/env python3
"""Run scripts/check-state.py on every object of the library.  Usage: state.py LIBRARY.a"""
import pathlib
import subprocess
import sys

library = pathlib.Path(sys.argv[1]).resolve()
folder = library.with_suffix('.a.p')
objects = sorted(str(p) for p in folder.glob('*.o') if p.name.startswith(('hw_', 'core_', 'target_')))
check = pathlib.Path(__file__).resolve().parents[2] / 'scripts' / 'check-state.py'
sys.exit(subprocess.run([sys.executable, str(check), *objects], cwd=folder.parent).returncode)
