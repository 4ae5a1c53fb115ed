#!/usr/bin/env python3
"""Every executable section of Debian's kernels, decoded by our table and by capstone.

Usage: decode_kernel.py DECODE_VS_CAPSTONE GUESTS BITS=FILE...   (FILE: a vmlinuz in the folder GUESTS)

A bzImage holds the compressed kernel, an ELF file, at payload_offset of its protected-mode part
(Linux, Documentation/x86/boot.rst); Debian compresses it with xz.  Exit status 77, a skip, where the guests
have not been made.
"""
import lzma
import os
import struct
import subprocess
import sys
import tempfile

SECTOR = 512
SETUP_SECTS, PAYLOAD = 0x1f1, 0x248
SHF_EXECINSTR, SHT_NOBITS = 4, 8
BETWEEN = b"\x90" * 16          # so that no instruction runs from one section into the next


def kernel(path):
    """The ELF file in a bzImage."""
    with open(path, "rb") as f:
        image = f.read()
    offset, length = struct.unpack_from("<II", image, PAYLOAD)
    start = (image[SETUP_SECTS] + 1) * SECTOR + offset
    return lzma.LZMADecompressor().decompress(image[start:start + length])


def code(elf):
    """The contents of an ELF file's executable sections."""
    wide = elf[4] == 2          # EI_CLASS
    table, = struct.unpack_from("<Q" if wide else "<I", elf, 0x28 if wide else 0x20)
    size, count = struct.unpack_from("<HH", elf, 0x3a if wide else 0x2e)
    for at in range(table, table + size * count, size):
        _, kind, flags, _, start, length = struct.unpack_from("<IIQQQQ" if wide else "<IIIIII", elf, at)
        if flags & SHF_EXECINSTR and kind != SHT_NOBITS:
            yield elf[start:start + length]


def main():
    compare, guests = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for arg in sys.argv[3:]:
            bits, name = arg.split("=")
            path = os.path.join(guests, name)
            if not os.path.exists(path):
                print(f"{path} is missing: scripts/guests.sh makes it")
                return 77
            text = BETWEEN.join(code(kernel(path))) + BETWEEN
            print(f"{name}: {len(text)} bytes of {bits}-bit code")
            files.append(f"{bits}={folder}/{name}")
            with open(f"{folder}/{name}", "wb") as f:
                f.write(text)
        return subprocess.run([compare, *files], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
