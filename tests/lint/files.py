#!/usr/bin/env python3
"""Sources stay short, say what they are, and promise nothing.  Usage: files.py SOURCE_DIR"""
import pathlib
import re
import sys

HARD_LIMIT = 1200
PROMISES = re.compile(r'\b(TODO|FIXME|XXX|HACK)\b')


def main(source):
    source = pathlib.Path(source)
    bad = []
    for p in sorted(source.rglob('*')):
        rel = p.relative_to(source)
        if not p.is_file() or rel.parts[0].startswith(('build', '.git')):
            continue
        if p.suffix not in ('.c', '.h', '.py', '.sh', '.S', '.asm', '.tab', '.def'):
            continue
        text = p.read_text()
        lines = text.count('\n')
        if lines > HARD_LIMIT:
            bad.append(f'{rel}: {lines} lines, more than {HARD_LIMIT}')
        if p.suffix in ('.c', '.h') and not text.startswith('/*'):
            bad.append(f'{rel}: does not begin by saying what it is')
        for number, line in enumerate(text.splitlines(), 1):
            if PROMISES.search(line) and rel != pathlib.Path('tests/lint/files.py'):
                bad.append(f'{rel}:{number}: a promise instead of the thing: {line.strip()}')
            if p.suffix in ('.c', '.h') and len(line) > 120:
                bad.append(f'{rel}:{number}: {len(line)} columns')
    print('\n'.join(bad) if bad else 'files ok')
    return bool(bad)


sys.exit(main(*sys.argv[1:]))
