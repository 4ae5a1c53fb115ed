#!/usr/bin/env python3
"""SeaBIOS under -accel kvm: to its last word without a disk, and into a boot sector of ours.

Usage: seabios.py TINAMOU CASE [OPTION...]; KVM_PROGRAMS is where ringing.bin is
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

DEADLINE = 150 * float(os.environ.get('TINAMOU_SLOW', '1'))

# sti; ds = 0; hlt until the BIOS's clock at 46c is three ticks on (IRQ 0); for each byte of the text: to port e9;
# then hlt for ever
BOOT_SECTOR = (bytes.fromhex('fb fc 31c0 8ed8 8b1e6c04 83c303 f4 391e6c04 72f9 be307c ac 84c0 7404 e6e9 ebf7 fa f4 ebfd')
               .ljust(48, b'\x90')
               + b'the boot sector runs\0').ljust(510, b'\0') + b'\x55\xaa'


def boots(tinamou, options, port, want, sector=BOOT_SECTOR):
    """Runs until the console at `port` has said `want`."""
    with tempfile.TemporaryDirectory() as folder:
        said = pathlib.Path(folder, 'said')
        disk = pathlib.Path(folder, 'disk')
        disk.write_bytes(sector.ljust(1 << 20, b'\0'))
        args = [tinamou, *options, '-m', '64', '-display', 'none', '-monitor', 'none', '-nodefaults', '-vga', 'none',
                '-chardev', f'file,id=c,path={said}', '-device', f'isa-debugcon,iobase={port},chardev=c']
        if port == '0xe9':
            args += ['-drive', f'file={disk},format=raw']
        p = subprocess.Popen(args, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + DEADLINE
        try:
            while want not in (said.read_text(errors='replace') if said.exists() else ''):
                assert p.poll() is None, f'it ended with {p.returncode}: {p.stderr.read()}'
                assert time.monotonic() < end, f'did not come: {want!r}\n{said.read_text()[-2000:]}'
                time.sleep(0.1)
        finally:
            p.kill()
            p.communicate()


def stats(tinamou, options):
    """-d stats has no number of instructions here, and says so."""
    done = subprocess.run([tinamou, *options, '-m', '16', '-display', 'none', '-vga', 'none', '-S', '-d', 'stats', '-monitor',
                           'stdio'], input='quit\n', capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0 and 'stats: 0 instructions' in done.stderr, done


def main(tinamou, case, *options):
    if any('kvm' in o for o in options) and not os.access('/dev/kvm', os.R_OK | os.W_OK):
        print('there is no /dev/kvm that may be used')
        sys.exit(77)
    if case == 'stats':
        stats(tinamou, options)
    elif case == 'firmware':
        boots(tinamou, options, '0x402', 'No bootable device')
    elif case == 'ringing':
        sector = pathlib.Path(os.environ['KVM_PROGRAMS'], 'ringing.bin').read_bytes()
        boots(tinamou, [*options, '-device', 'pc-testdev'], '0xe9', '20 rings, 20 interrupts', sector)
    else:
        boots(tinamou, options, '0xe9', 'the boot sector runs')


if __name__ == '__main__':
    main(*sys.argv[1:])
