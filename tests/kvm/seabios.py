#!/usr/bin/env python3
"""SeaBIOS under -accel kvm: to its last word without a disk, into a boot sector of ours, and into Debian's kernel.

Usage: seabios.py TINAMOU CASE [OPTION...]; KVM_PROGRAMS is where ringing.bin and picture.bin are, GUESTS where
scripts/guests.sh has made its guests
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'boot'))
import png

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


def until(p, what, met):
    end = time.monotonic() + DEADLINE
    while not met():
        assert p.poll() is None, f'it ended with {p.returncode}: {p.stderr.read()}'
        assert time.monotonic() < end, f'did not come: {what}'
        time.sleep(0.05)


def picture(tinamou, options):
    """What a guest draws in a linear mode is in the next screendump, and what was there stays."""
    sector = pathlib.Path(os.environ['KVM_PROGRAMS'], 'picture.bin').read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        said, disk, shot = (pathlib.Path(folder, name) for name in ('said', 'disk', 'shot.png'))
        disk.write_bytes(sector.ljust(1 << 20, b'\0'))
        p = subprocess.Popen([tinamou, *options, '-m', '64', '-display', 'none', '-nodefaults', '-monitor', 'stdio', '-vga',
                              'std', '-chardev', f'file,id=c,path={said}', '-device', 'isa-debugcon,iobase=0xe9,chardev=c',
                              '-drive', f'file={disk},format=raw'],
                             stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

        def dots():
            shot.unlink(missing_ok=True)
            print(f'screendump {shot}.new', file=p.stdin, flush=True)
            until(p, 'a screendump', pathlib.Path(f'{shot}.new').exists)
            time.sleep(0.2)
            pathlib.Path(f'{shot}.new').rename(shot)
            seen = png.Picture(shot)
            return [tuple(seen.rows[y][seen.channels * x:][:3]) for x, y in ((0, 0), (639, 2), (0, 3), (0, 400), (1, 400))]

        def says(text):
            until(p, text, lambda: said.exists() and text in said.read_text())

        black, green, pink = (0, 0, 0), (0, 255, 0), (255, 0, 255)
        try:
            says('1')
            for _ in range(2):
                assert dots() == [green, green, black, black, black], dots()
            print('sendkey a', file=p.stdin, flush=True)
            says('12')
            for _ in range(2):
                assert dots() == [green, green, black, pink, black], dots()
        finally:
            p.kill()
            p.communicate()


def stats(tinamou, options):
    """-d stats has no number of instructions here, and says so."""
    done = subprocess.run([tinamou, *options, '-m', '16', '-display', 'none', '-vga', 'none', '-S', '-d', 'stats', '-monitor',
                           'stdio'], input='quit\n', capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0 and 'stats: 0 instructions' in done.stderr, done


def linux(tinamou, options):
    """Debian's 64-bit kernel to init and power-off.  Without XSAVE: QEMU's TCG, where KVM may run (scripts/kvm-host.sh), does
    not leave a guest for XSETBV."""
    guests = os.environ['GUESTS']
    kernel, initrd = f'{guests}/vmlinuz', f'{guests}/initrd.gz'
    if not (os.path.exists(kernel) and os.path.exists(initrd)):
        print(f'{kernel} is missing (make check makes it with scripts/guests.sh)')
        sys.exit(77)
    doctor = subprocess.run([tinamou, 'doctor'], capture_output=True, text=True, timeout=DEADLINE).stdout
    if not re.search('^KVM +ok', doctor, re.M):
        print('KVM is not good enough here: a kernel takes too long')
        sys.exit(77)
    done = subprocess.run([tinamou, *options, '-cpu', 'x86-64-v1,-vme', '-m', '256', '-vga', 'none', '-nographic', '-kernel', kernel,
                           '-initrd', initrd, '-append', 'console=ttyS0 mitigations=off tinamou.do=poweroff'],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace', timeout=DEADLINE)
    assert done.returncode == 0 and 'tinamou-guest: init reached' in done.stdout, done


def main(tinamou, case, *options):
    if any('kvm' in o for o in options) and not os.access('/dev/kvm', os.R_OK | os.W_OK):
        print('there is no /dev/kvm that may be used')
        sys.exit(77)
    if case == 'stats':
        stats(tinamou, options)
    elif case == 'linux':
        linux(tinamou, options)
    elif case == 'firmware':
        boots(tinamou, options, '0x402', 'No bootable device')
    elif case == 'picture':
        picture(tinamou, options)
    elif case == 'ringing':
        sector = pathlib.Path(os.environ['KVM_PROGRAMS'], 'ringing.bin').read_bytes()
        boots(tinamou, [*options, '-device', 'pc-testdev'], '0xe9', '20 rings, 20 interrupts', sector)
    else:
        boots(tinamou, options, '0xe9', 'the boot sector runs')


if __name__ == '__main__':
    main(*sys.argv[1:])
