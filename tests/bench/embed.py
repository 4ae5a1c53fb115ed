#!/usr/bin/env python3
"""embed.py IN OUT.h NAME: a file as a C array NAME and its length NAME_len."""
import sys

data = open(sys.argv[1], 'rb').read()
with open(sys.argv[2], 'w', encoding='ascii') as out:
    out.write(f'static const unsigned char {sys.argv[3]}[] = {{\n')
    for i in range(0, len(data), 16):
        out.write('    ' + ' '.join(f'{b:#x},' for b in data[i:i + 16]) + '\n')
    out.write(f'}};\nenum {{ {sys.argv[3]}_len = {len(data)} }};\n')
