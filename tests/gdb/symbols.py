"""An ELF file with nothing but names, for gdb: of a running Linux kernel that says them itself in /proc/kallsyms.

Debian's System.map is empty (the true one is in the package of debug information, some 600 MB).
"""
import struct

SYMTAB, STRTAB, NOBITS = 2, 3, 8           # section types (ELF specification, chapter 1)
WRITE, ALLOC, EXEC = 1, 2, 4                            # section flags
FUNC, OBJECT, GLOBAL, EXECUTABLE, X86_64 = 2, 1, 1 << 4, 2, 62


def parse(text):
    """[(address, is code, name)] of the lines of /proc/kallsyms, without the symbols of modules."""
    rows = [line.split() for line in text.splitlines()]
    return sorted((int(row[0], 16), row[1] in 'tT', row[2]) for row in rows if len(row) == 3)


def string_table(names):
    """The section, and where each name is in it."""
    places, at = [], 0
    for name in names:
        places.append(at)
        at += len(name) + 1
    return '\0'.join([*names, '']).encode(), places


def elf(symbols):
    """The file.  gdb looks for the function of an address in the section that has it: one of code, one of data."""
    names = ['', '.data', '.text', '.symtab', '.strtab', '.shstrtab']
    spans = {}
    for code in False, True:
        addresses = [s[0] for s in symbols if s[1] == code]
        spans[code] = (addresses[0], addresses[-1] + 4096 - addresses[0])
    strings, places = string_table(['', *(s[2] for s in symbols)])
    titles, title_places = string_table(names)
    table = [bytes(24)] + [struct.pack('<IBBHQQ', at, GLOBAL | (FUNC if code else OBJECT), 0, 1 + code, address, 0)
                           for at, (address, code, _) in zip(places[1:], symbols)]
    bodies = [b'', b'', b'', b''.join(table), strings, titles]
    # type, flags, address, size, link, info, alignment, size of an entry
    rows = [(0, 0, 0, 0, 0, 0, 0, 0),
            (NOBITS, WRITE | ALLOC, *spans[False], 0, 0, 4096, 0), (NOBITS, ALLOC | EXEC, *spans[True], 0, 0, 4096, 0),
            (SYMTAB, 0, 0, len(bodies[3]), 4, 1, 8, 24), (STRTAB, 0, 0, len(bodies[4]), 0, 0, 1, 0),
            (STRTAB, 0, 0, len(bodies[5]), 0, 0, 1, 0)]
    data, headers = b'', b''
    for title, body, (kind, flags, address, size, *rest) in zip(title_places, bodies, rows):
        headers += struct.pack('<IIQQQQIIQQ', title, kind, flags, address, 64 + len(data), size, *rest)
        data += body
    head = struct.pack('<4sBBBB8xHHIQQQIHHHHHH', b'\x7fELF', 2, 1, 1, 0, EXECUTABLE, X86_64, 1, spans[True][0], 0,
                       64 + len(data), 0, 64, 0, 0, 64, len(rows), len(rows) - 1)
    return head + data + headers
