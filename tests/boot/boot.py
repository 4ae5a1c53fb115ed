#!/usr/bin/env python3
"""Boot unmodified software and check what it says.

Usage: boot.py --tinamou EXE --guests DIR CASE
A case is a function below; `boot.py --list` names them.  Exit status 77: skipped, with the reason.
"""
import argparse
import difflib
import os
import pathlib
import re
import sys
import tempfile
import time

from guest import Guest, GuestError
from png import Picture

SKIP = 77
SERIAL = 'console=ttyS0 '
CASES = {}
KERNELS = pathlib.Path(os.environ.get('TINAMOU_KERNELS', '.'))       # made of kernels/kernel.asm


def case(function):
    CASES[function.__name__.replace('_', '-')] = function
    return function


class Files:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def __getattr__(self, name):
        path = self.directory / name
        if not path.exists():
            print(f'skipped: {path} is missing (make check makes it with scripts/guests.sh)')
            sys.exit(SKIP)
        return path

    def __getitem__(self, name):
        return getattr(self, name)


def small_guest(name):
    """An image of ../shared/guests, which not everybody has."""
    for root in pathlib.Path(__file__).resolve().parents:
        path = root / 'shared' / 'guests' / name
        if path.exists():
            return path
    print(f'skipped: {name} is not here (a small guest image that is not part of the project)')
    sys.exit(SKIP)


def reach_init(guest, kernel_says=r'Linux version'):
    guest.expect(kernel_says, 'the kernel starts')
    return guest.expect(r'tinamou-guest: init reached on (\S+) (\S+), MemTotal: +(\d+) kB', 'init')


@case
def linux_kernel(tinamou, files):
    """-kernel: Debian's amd64 kernel to init, and the power-off that the guest asks for."""
    with Guest(tinamou, '-m', 512, '-kernel', files.vmlinuz, '-initrd', files['initrd.gz'],
               '-append', SERIAL + 'tinamou.do=poweroff') as g:
        found = reach_init(g)
        assert found[2] == 'x86_64' and 400000 < int(found[3]) < 524288, found[0]
        g.expect(r'Power down', 'power-off')
        assert g.wait_exit() == 0


@case
def linux_6g(tinamou, files):
    """Memory on both sides of 4 GiB, and a processor that has less than all."""
    with Guest(tinamou, '-cpu', 'x86-64-v2', '-m', '6G', '-kernel', files.vmlinuz, '-initrd', files['initrd.gz'],
               '-append', SERIAL + 'tinamou.do=poweroff') as g:
        found = reach_init(g)
        assert 5800000 < int(found[3]) < 6291456, found[0]
        assert g.wait_exit() == 0


@case
def linux_i386(tinamou, files):
    """A 32-bit kernel by -kernel, on the oldest processor that it takes; the guest's reboot, as an exit."""
    with Guest(tinamou, '-cpu', 'pentium3', '-m', 512, '-no-reboot', '-kernel', files.vmlinuz32,
               '-initrd', files['initrd32.gz'], '-append', SERIAL + 'tinamou.do=reboot') as g:
        found = reach_init(g)
        assert found[2] in ('i686', 'i586'), found[0]
        assert g.wait_exit() == 0


@case
def linux_replay(tinamou, files):
    """A recorded boot, with something typed, replays exactly: the same instructions, registers and memory, and output."""
    with tempfile.TemporaryDirectory(prefix='tinamou-test-') as tmp:
        machine = ('-m', 128, '-kernel', files.vmlinuz, '-initrd', files['initrd.gz'], '-append', SERIAL + 'quiet', '-d', 'stats')
        said = []
        for rr in 'record', 'replay':
            with Guest(tinamou, *machine, '-rr', f'{rr}={tmp}/boot.rr') as g:
                if rr == 'record':
                    g.expect(r'tinamou-guest: shell[^#]*# ', 'a prompt')
                    g.send('head -c 16 /dev/urandom | md5sum; cat /proc/uptime; poweroff -f\n')
                assert g.wait_exit() == 0
                whole = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1bc', '', g.serial)  # those that came in two pieces
                said.append(re.search(r'(?s)(init reached.*Power down).*stats: (\d+ instructions in [\d.]+ s, hash \w+)', whole).groups())
                assert 'ended as recorded' in g.serial or rr == 'record', g.serial[-400:]
        assert said[0][1] == said[1][1], (said[0][1], said[1][1])
        assert said[0][0] == said[1][0], '\n'.join(difflib.unified_diff(*(text.splitlines() for text, _ in said)))
        print(said[0][1])


def tell_loader(tinamou, kernel, says, *modules):
    """tests/boot/kernels/kernel.asm: what the loader told it, on the serial port."""
    with tempfile.TemporaryDirectory(prefix='tinamou-test-') as tmp:
        paths = []
        for n, text in enumerate(modules):
            paths.append(os.path.join(tmp, f'module{n}'))
            pathlib.Path(paths[-1]).write_bytes(text.encode() + b'\n\0')
        with Guest(tinamou, '-m', '4G', '-device', 'isa-debug-exit', '-kernel', kernel, '-initrd',
                   ','.join(paths), '-append', 'hello world', deadline=60) as g:
            g.expect(says + r' kernel, command line: .*hello world\n')
            for text in modules:
                g.expect(r'module: .* ' + f'{len(text) + 2:08X}' + text)
            g.expect(r'map: 00000000 00100000 00000000 BFEF.000 00000001\n', 'RAM below 4 GiB')
            g.expect(r'map: 00000001 00000000 00000000 40000000 00000001\n', 'RAM above 4 GiB')
            g.expect(r'done')
            assert g.wait_exit() == 3


@case
def multiboot(tinamou, files):
    """-kernel: a multiboot image with addresses in its header, and modules."""
    tell_loader(tinamou, KERNELS / 'multiboot.bin', 'multiboot', 'first module', 'second')


@case
def multiboot_elf(tinamou, files):
    """-kernel: a multiboot ELF file."""
    tell_loader(tinamou, KERNELS / 'multiboot.elf', 'multiboot', 'module')


@case
def pvh(tinamou, files):
    """-kernel: an ELF file with a PVH entry note."""
    tell_loader(tinamou, KERNELS / 'pvh.elf', 'PVH', 'initrd')


@case
def ovmf(tinamou, files):
    """-bios with another firmware: UEFI, 2 MiB, 64-bit, to its shell."""
    image = pathlib.Path('/usr/share/ovmf/OVMF.fd')
    if not image.exists():
        print(f'skipped: {image} is missing (install ovmf)')
        sys.exit(SKIP)
    with Guest(tinamou, '-m', 256, '-bios', image) as g:
        g.expect(r'UEFI Interactive Shell', 'the shell')
        g.expect(r'Shell> ', 'its prompt')


@case
def linux_iso(tinamou, files):
    """isolinux from the CD, a shell on the serial port, a power-off typed into it."""
    with Guest(tinamou, '-m', 512, '-cdrom', files['tinamou.iso']) as g:
        g.expect(r'ISOLINUX', 'isolinux on the serial port')
        reach_init(g)
        g.expect(r'tinamou-guest: shell')
        g.expect(r'# ', 'a prompt')
        g.send('echo $((6 * 7))-answer\n')
        g.expect(r'\n42-answer', 'the shell answers')
        g.send('poweroff -f\n')
        assert g.wait_exit() == 0


@case
def linux_iso_6g(tinamou, files):
    """The same CD with memory above 4 GiB: DMA of the IDE controller stays right."""
    with Guest(tinamou, '-m', '6G', '-cdrom', files['tinamou.iso']) as g:
        found = reach_init(g)
        assert int(found[3]) > 5800000, found[0]


@case
def linux_reboot(tinamou, files):
    """A reboot: the machine comes up again and reaches init a second time; on the oldest 64-bit processor."""
    with Guest(tinamou, '-cpu', 'core2duo', '-m', 512, '-kernel', files.vmlinuz, '-initrd', files['initrd.gz'],
               '-append', SERIAL + 'tinamou.do=reboot', deadline=400) as g:
        reach_init(g)
        g.expect(r'(?s)init reached.*Linux version.*init reached', 'init a second time')


@case
def powerdown_button(tinamou, files):
    """The monitor's system_powerdown reaches the guest as an ACPI power button."""
    with Guest(tinamou, '-m', 512, '-kernel', files.vmlinuz, '-initrd', files['initrd.gz'],
               '-append', SERIAL) as g:
        reach_init(g)
        g.expect(r'tinamou-guest: shell')
        g.send('cat /proc/interrupts | grep acpi\n')
        before = g.expect(r'9: +(\d+).*acpi', 'the ACPI interrupt')[1]
        g.monitor('system_powerdown')
        g.pump(1)
        g.send('cat /proc/interrupts | grep acpi; echo done-looking\n')
        g.expect(r'\ndone-looking')
        after = re.findall(r'9: +(\d+).*acpi', g.serial)[-1]
        assert int(after) > int(before), (before, after)


@case
def vga_shell(tinamou, files):
    """Keys typed through the monitor reach a shell on the VGA console; a PNG screendump shows it."""
    with Guest(tinamou, '-m', 512, '-kernel', files.vmlinuz, '-initrd', files['initrd.gz'],
               '-append', 'console=ttyS0 console=tty0 quiet') as g:
        before, after = (os.path.join(g.dir.name, n) for n in ('before.png', 'after.png'))
        wait_for_screen(g, r'(?m)^.*# *$', 'a prompt on the screen')
        g.screendump(before)
        g.type('echo typed-in >/dev/ttyS0\n')
        g.expect(r'typed-in', 'what was typed, by way of the shell')
        g.type('uname -m\n')
        wait_for_screen(g, r'(?m)^x86_64', 'the shell answers on the screen')
        g.screendump(after)
        a, b = Picture(before), Picture(after)
        assert a.width >= 640 and a.height >= 350
        assert 8 <= b.differs(a) or b.differs(a) == a.height, b.differs(a)
        lit = sum(n for colour, n in b.colours().items() if colour != b'\0\0\0')
        assert lit > 500, lit


def pause(guest, seconds):
    """Leave the guest alone for a while: looking at pictures takes time from it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not guest.pump(end - time.monotonic()):
            raise GuestError('the machine ended')


def wait_for_screen(guest, pattern, what):
    """Wait until the text-mode screen (the monitor's `info display`) matches."""
    while True:
        text = guest.monitor('info display')
        if re.search(pattern, text):
            print(f'found on the screen: {what}', flush=True)
            return text
        try:
            guest.pump(0.5)
            guest.left()
        except GuestError:
            print(text)
            raise GuestError(f'did not come on the screen: {what}')


@case
def grub_rescue(tinamou, files):
    """GRUB's rescue CD to its prompt."""
    with Guest(tinamou, '-m', 256, '-cdrom', files['grub.iso']) as g:
        wait_for_screen(g, r'GNU GRUB +version', 'the menu')
        g.type('c')
        wait_for_screen(g, r'grub>', 'the prompt')


@case
def debian_installer(tinamou, files):
    """Debian's installer from an isolinux CD to its first menu, on the VBE framebuffer."""
    with Guest(tinamou, '-m', 1024, '-cdrom', files['netboot.iso'], deadline=400) as g:
        shot = os.path.join(g.dir.name, 'menu.png')
        while True:
            pause(g, 6)
            g.screendump(shot)
            p = Picture(shot)
            colours = p.colours()
            # The installer's first menu (with less memory it would complain first): a large grey dialog with a red bar
            # on a blue screen.
            blue = sum(n for c, n in colours.items() if c[2] > 120 and c[0] < 60 and c[1] < 60)
            grey = sum(n for c, n in colours.items() if min(c) > 150)
            red = sum(n for c, n in colours.items() if c[0] > 120 and c[1] < 60 and c[2] < 60)
            total = p.width * p.height
            graphics = p.width >= 800 and p.height >= 600
            if graphics and blue > total // 20 and grey > total // 2 and red > 4000:
                print(f'found: the language menu, {p.width}x{p.height}')
                return


@case
def freedos(tinamou, files):
    """FreeDOS from a floppy to A:\\>, and a command typed at it."""
    with Guest(tinamou, '-m', 64, '-fda', small_guest('freedos-1440.img'), '-snapshot', serial=False) as g:
        wait_for_screen(g, r'A:\\>', 'the DOS prompt')
        g.type('ver\n')
        wait_for_screen(g, r'(?i)freecom|freedos.*version', 'the answer to ver')


@case
def freedos_360(tinamou, files):
    """The 360 KiB FreeDOS floppy."""
    with Guest(tinamou, '-m', 64, '-fda', small_guest('freedos-360.img'), '-snapshot', serial=False) as g:
        wait_for_screen(g, r'A:\\>', 'the DOS prompt')


@case
def elks(tinamou, files):
    """ELKS, an 8086 Linux, to its login or shell."""
    with Guest(tinamou, '-m', 64, '-fda', small_guest('elks-1440.img'), '-snapshot', serial=False) as g:
        text = wait_for_screen(g, r'(?m)login: *$|^# *$', 'login or shell')
        if 'login' in text:
            g.type('root\n')
            wait_for_screen(g, r'(?m)# *$', 'a shell')


@case
def mikeos(tinamou, files):
    """MikeOS to its menu."""
    with Guest(tinamou, '-m', 64, '-fda', small_guest('mikeos-1440.img'), '-snapshot', serial=False) as g:
        wait_for_screen(g, r'(?i)mikeos', 'the menu')


@case
def bootos(tinamou, files):
    """bootOS to its $ prompt."""
    with Guest(tinamou, '-m', 64, '-fda', small_guest('bootos-360.img'), '-snapshot', serial=False) as g:
        wait_for_screen(g, r'(?m)^\$', 'the prompt')


@case
def kolibri(tinamou, files):
    """KolibriOS to its desktop: a graphics mode with many colours."""
    with Guest(tinamou, '-m', 256, '-fda', small_guest('kolibri-1440.img'), '-snapshot', serial=False,
               deadline=300) as g:
        shot = os.path.join(g.dir.name, 'desktop.png')
        chosen = False
        while True:
            pause(g, 3)
            text = g.monitor('info display')
            if not chosen and re.search(r'(?i)kolibri', text):
                g.type('\n')
                chosen = True
            g.screendump(shot)
            p = Picture(shot)
            if p.width >= 640 and p.height >= 480 and len(p.colours()) > 200:
                print(f'found: a desktop, {p.width}x{p.height}')
                return


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--tinamou')
    parser.add_argument('--guests')
    parser.add_argument('--list', action='store_true')
    parser.add_argument('case', nargs='?', choices=sorted(CASES))
    a = parser.parse_args()
    if a.list or not a.case:
        for name, function in CASES.items():
            print(f'{name:18} {function.__doc__.splitlines()[0]}')
        return 0
    start = time.monotonic()
    try:
        CASES[a.case](a.tinamou, Files(a.guests))
    except (GuestError, AssertionError) as e:
        print(f'FAILED: {e}')
        return 1
    print(f'passed in {time.monotonic() - start:.1f} s')
    return 0


sys.exit(main())
