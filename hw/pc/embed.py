#!/usr/bin/env python3
"""Make a C array of a file: const uint8_t NAME[] and its size, const unsigned NAME_size.

Usage: embed.py NAME FILE OUT.c
"""
import pathlib
import sys


def main(name, source, out):
    data = pathlib.Path(source).read_bytes()
    rows = [', '.join(f'0x{b:02x}' for b in data[i:i + 16]) for i in range(0, len(data), 16)]
    pathlib.Path(out).write_text('#include "hw/pc/board.h"\n\n'
                                 f'const uint8_t {name}[] = {{\n    ' + ',\n    '.join(rows) + ',\n};\n'
                                 f'const unsigned {name}_size = sizeof({name});\n')


main(*sys.argv[1:])
