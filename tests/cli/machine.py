#!/usr/bin/env python3
"""Running machines as a user meets them.  The guest is a firmware image of a few instructions.

Usage: machine.py TINAMOU CASE
"""
import contextlib
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time

TINAMOU = os.path.abspath(sys.argv[1])
DEADLINE = 20 * float(os.environ.get('TINAMOU_SLOW', '1'))


def rom(name, code):
    """64 KiB of firmware: `code` at f000:0000, and the jump to it at the reset vector."""
    image = bytearray(b'\xf4' * 65536)
    image[:len(code)] = code
    image[0xfff0:0xfff5] = b'\xea\x00\x00\x00\xf0'
    pathlib.Path(name).write_bytes(image)
    return name


def say(text):
    """Instructions that write text to the first serial port."""
    return b'\xba\xf8\x03' + b''.join(b'\xb0' + bytes([c]) + b'\xee' for c in text.encode())


HANG = b'\xfa\xeb\xfe'                              # cli; jmp $
EXIT_42 = b'\xb0\x2a\xe6\xf4\xf4'                   # to isa-debug-exit: status 42 * 2 + 1
RESET = b'\xb0\xfe\xe6\x64\xf4'                     # by the keyboard controller
TRIPLE = b'\xfa\x2e\x0f\x01\x1e\x40\x00\xcc'        # an IDT of nothing (at cs:40), then int3
ECHO = bytes.fromhex('bafd03 ec a801 74f8 baf803 ec ee ebf1')
BASE = ['-accel', 'interp', '-vga', 'none', '-m', '16', '-display', 'none', '-monitor', 'none']


def run(*args, **kw):
    return subprocess.run([TINAMOU, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=DEADLINE, **kw)


def until(what, condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f'did not come: {what}'
        time.sleep(0.02)


@contextlib.contextmanager
def machine(*args, **kw):
    p = subprocess.Popen([TINAMOU, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         **kw)
    try:
        yield p
    finally:
        if p.poll() is None:
            p.kill()
        p.communicate()


class Monitor:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        until('the monitor', lambda: self.sock.connect_ex(path) == 0)
        self.read()

    def read(self):
        text = b''
        while not text.endswith(b'(tinamou) '):
            data = self.sock.recv(65536)
            assert data, f'the monitor closed after {text!r}'
            text += data
        return text[:-len(b'(tinamou) ')].decode().replace('\r', '')

    def __call__(self, line):
        self.sock.sendall(line.encode() + b'\n')
        return self.read().split('\n', 1)[1]            # behind the echo

    def end(self, line='quit'):
        self.sock.sendall(line.encode() + b'\n')


# ---- how it ends ----

def case_ends():
    done = run(*BASE, '-bios', rom('exit.rom', say('hello') + EXIT_42), '-serial', 'stdio',
               '-device', 'isa-debug-exit,iobase=0xf4')
    assert done.returncode == 85 and done.stdout == 'hello' and not done.stderr, done

    for option in (['-no-reboot'], ['-action', 'reboot=shutdown']):
        done = run(*BASE, '-bios', rom('reset.rom', say('R') + RESET), '-serial', 'stdio', *option)
        assert done.returncode == 0 and done.stdout == 'R', done
        done = run(*BASE, '-bios', rom('triple.rom', say('T').ljust(0x20, b'\x90') + TRIPLE.ljust(0x30, b'\0')),
                   '-serial', 'stdio', '-d', 'cpu_reset', '-D', 'reset.log', *option)
        log = pathlib.Path('reset.log').read_text()
        assert done.returncode == 0 and done.stdout == 'T' and 'EIP=000000' in log, (done, log)

    for name, sig in ('reset', signal.SIGINT), ('triple', signal.SIGHUP):
        out = pathlib.Path(name + '.txt')
        with machine(*BASE, '-bios', name + '.rom', '-serial', f'file:{out}') as p:
            until('resets', lambda: out.exists() and out.stat().st_size > 3)
            p.send_signal(sig)
            assert p.wait(DEADLINE) == 0, name


# ---- files that are missing, wrong or in use ----

def fails(*args, says):
    done = run(*args)
    assert done.returncode == 1 and says in done.stderr and done.stderr.startswith('tinamou: '), done
    assert done.stderr.count('\n') == 1, done.stderr


def case_files():
    hang = ['-bios', rom('hang.rom', HANG)]
    pathlib.Path('disk.img').write_bytes(bytes(1 << 20))
    pathlib.Path('empty.img').write_bytes(b'')
    iso = bytearray(0x9000)
    iso[0x8001:0x8006] = b'CD001'
    iso[0x8050:0x8054] = (1000).to_bytes(4, 'little')
    iso[0x8080:0x8082] = (2048).to_bytes(2, 'little')
    pathlib.Path('cut.iso').write_bytes(iso)

    fails(*BASE, '-hda', 'missing.img', says='missing.img')
    fails(*BASE, '-bios', 'missing.rom', says='missing.rom')
    fails(*BASE, '-bios', 'empty.img', says='empty.img')
    fails(*BASE, '-kernel', 'disk.img', says='disk.img is not a kernel')
    fails(*BASE, '-kernel', 'missing', says='missing')
    fails(*BASE, '-cdrom', '.', says='-cdrom .: ')
    fails(*BASE[:2], *BASE[4:], '-m', '500G', says='-m 512000M: this host has only')
    fails(*BASE, '-D', '/nonexistent/log', says='-D /nonexistent/log: ')
    fails(*BASE, '-pidfile', '/nonexistent/pid', says='-pidfile /nonexistent/pid: ')
    fails('empty.img', says='is empty')

    with machine(*BASE, *hang, '-hda', 'disk.img', '-pidfile', 'pid'):
        until('the machine', lambda: os.path.exists('pid') and os.stat('pid').st_size)
        time.sleep(0.3)
        fails(*BASE, *hang, '-hda', 'disk.img', says='disk.img')
        fails(*BASE, *hang, '-pidfile', 'pid', says='-pidfile pid: in use')
        done = run(*BASE, '-bios', rom('exit.rom', EXIT_42), '-device', 'isa-debug-exit,iobase=0xf4',
                   '-drive', 'file=disk.img,file.locking=off,snapshot=on')
        assert done.returncode == 85, done

    done = run(*BASE, '-bios', 'exit.rom', '-device', 'isa-debug-exit,iobase=0xf4', '-cdrom', 'cut.iso')
    assert done.returncode == 85 and 'cut off, 1964 KiB are missing' in done.stderr, done
    done = run(*BASE, '-bios', rom('full.rom', say('x' * 100) + EXIT_42), '-device', 'isa-debug-exit,iobase=0xf4',
               '-serial', 'file:/dev/full')
    assert done.returncode == 85 and done.stderr.count('No space left on device') == 1, done
    assert pathlib.Path('disk.img').read_bytes() == bytes(1 << 20)


# ---- signals ----

def case_signals():
    rom('hang.rom', HANG)
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        for extra in ([], ['-S']):
            with machine(*BASE, '-bios', 'hang.rom', '-pidfile', 'pid', *extra) as p:
                until('the machine', lambda: os.path.exists('pid') and os.stat('pid').st_size)
                time.sleep(0.3)
                start = time.monotonic()
                p.send_signal(sig)
                assert p.wait(DEADLINE) == 0, (sig, extra)
                assert time.monotonic() - start < DEADLINE / 4
                assert not os.path.exists('pid')
    with machine(*BASE, '-bios', 'hang.rom', '-no-shutdown') as p:
        time.sleep(0.5)
        p.send_signal(signal.SIGTERM)
        assert p.wait(DEADLINE) == 0


# ---- a terminal ----

class Terminal:
    def __init__(self, *args):
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.text = b''
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            for fd in range(3):
                os.dup2(slave, fd)
            import fcntl
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            os.tcsetpgrp(0, os.getpgrp())
            os.execv(TINAMOU, [TINAMOU, *args])

    def expect(self, what):
        end = time.monotonic() + DEADLINE
        while not re.search(what, self.text):
            assert time.monotonic() < end, f'{what!r} did not come: {self.text!r}'
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 4096)
        self.text = self.text[re.search(what, self.text).end():]

    def type(self, data):
        os.write(self.master, data)

    def raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def ended(self):
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            if select.select([self.master], [], [], 0.02)[0]:
                os.read(self.master, 4096)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                assert termios.tcgetattr(self.slave) == self.before, 'the terminal is not as it was'
                os.close(self.master)
                os.close(self.slave)
                return status
        raise AssertionError('it did not end')


def case_terminal():
    args = ['-vga', 'none', '-m', '16', '-nographic', '-bios', rom('echo.rom', say('ready') + ECHO)]
    t = Terminal(*args)
    t.expect(rb'ready')
    assert t.raw()
    t.type(b'abc\x03\x1a')                   # Ctrl-C and Ctrl-Z are the guest's
    t.expect(rb'abc\x03\x1a')
    t.type(b'\x01h')
    t.expect(rb'Ctrl-A x')
    t.type(b'\x01c')
    t.expect(rb'\(tinamou\) ')
    t.type(b'info status\r')
    t.expect(rb'VM status: running\r+\n\(tinamou\) ')
    t.type(b'stop\rinfo sta\t\r')
    t.expect(rb'VM status: paused\r+\n\(tinamou\) ')
    t.type(b'cont\r\x01cback')
    t.expect(rb'back')
    t.type(b'\x01\x01')
    t.expect(rb'\x01')
    os.kill(t.pid, signal.SIGTSTP)
    until('a stop', lambda: os.waitpid(t.pid, os.WUNTRACED | os.WNOHANG)[0])
    assert not t.raw()
    os.kill(t.pid, signal.SIGCONT)
    until('raw mode again', t.raw)
    t.type(b'on')
    t.expect(rb'on')
    t.type(b'\x01x')
    assert t.ended() == 0

    for sig in (signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM, signal.SIGINT):
        t = Terminal(*args)
        t.expect(rb'ready')
        os.kill(t.pid, sig)
        status = t.ended()
        fatal = sig in (signal.SIGSEGV, signal.SIGABRT)     # a sanitizer turns the one into an exit status
        assert bool(status) == fatal, (sig, status)

    t = Terminal(*args, '-hda', '/nonexistent')         # fails when the terminal is raw already
    t.expect(rb'tinamou: -hda /nonexistent')
    assert os.WEXITSTATUS(t.ended()) == 1


# ---- in the background ----

def alive(pid):
    """Does it run?  An orphan that nobody collects counts as ended."""
    try:
        return pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def case_daemon():
    args = [*BASE[:-2], '-bios', rom('hang.rom', HANG), '-pidfile', 'pid', '-daemonize', '-monitor',
            'unix:mon,server=on,wait=off']
    done = run(*args)
    assert done.returncode == 0 and not done.stdout + done.stderr, done
    pid = int(pathlib.Path('pid').read_text())
    try:
        assert alive(pid)
        m = Monitor('mon')
        assert 'running' in m('info status')
        done = run(*args)
        assert done.returncode == 1 and done.stderr.startswith('tinamou: -pidfile pid: in use'), done
        m.end()
        until('the end', lambda: not alive(pid))
        assert not os.path.exists('pid') and not os.path.exists('mon')
    finally:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    done = run(*args, '-hda', '/nonexistent')
    assert done.returncode == 1 and '-hda /nonexistent' in done.stderr and not os.path.exists('pid'), done


# ---- the monitor of a whole machine ----

def case_monitor():
    rom('hang.rom', say('x') + HANG)
    pathlib.Path('cd.iso').write_bytes(bytes(1 << 16))
    args = ['-m', '16', '-display', 'none', '-serial', 'file:serial.txt', '-bios', 'hang.rom', '-name', 'a name']
    with machine(*args, '-monitor', 'unix:mon,server=on,wait=off', '-chardev', 'ringbuf,id=ring', '-debugcon',
                 'chardev:ring') as p:
        m = Monitor('mon')
        items = re.findall(r'^info ([a-z]+) ', m('info'), re.M)
        assert len(items) > 15, items
        for item in items:
            assert 'error:' not in m('info ' + item), item
        assert m('info name') == 'a name\n'
        for device in re.findall(r'dev: ([\w-]+), id "([^"]+)"', m('info qtree')):
            for name in device:
                assert 'error:' not in m('info ' + name), name
        assert 'IP=' in m('info registers')
        assert 'jmp' in m('x/2i $pc')
        assert 'jmp' in m('xp/i 0xffff0')
        m('o/b 0x3ff 0x5a')
        assert m('i/b 0x3ff') == 'portb[0x03ff] = 0x5a\n'
        m('o/b 0xe9 0x41')
        assert m('ringbuf_read ring') == 'A\n'
        assert m('screendump shot.png') == ''
        assert pathlib.Path('shot.png').read_bytes()[:8] == b'\x89PNG\r\n\x1a\n'
        assert m('sendkey ctrl-alt-f1') == '' and m('mouse_move 1 2') == '' and m('mouse_button 1') == ''
        assert m('change ide1-cd0 cd.iso') == ''
        assert 'cd.iso' in m('info block')
        assert m('eject -f ide1-cd0') == ''
        assert re.search(r'ide1-cd0: empty', m('info block'))
        size = pathlib.Path('serial.txt').stat().st_size
        assert m('system_reset') == ''
        until('the reset', lambda: pathlib.Path('serial.txt').stat().st_size > size)
        m('stop')
        assert 'paused' in m('info status')
        m('system_reset')
        time.sleep(0.3)
        assert 'paused' in m('info status') and 'EIP=0000fff0' in m('info registers')
        m('cont')
        until('the reset', lambda: pathlib.Path('serial.txt').stat().st_size > size + 1)
        m.end()
        assert p.wait(DEADLINE) == 0


with tempfile.TemporaryDirectory(prefix='tinamou-cli-') as folder:
    os.chdir(folder)
    globals()['case_' + sys.argv[2]]()
    os.chdir('/')
    print(sys.argv[2], 'ok')
