"""A Tinamou under test: started with its serial port on our pipe and its monitor on a socket."""
import os
import pathlib
import re
import select
import socket
import subprocess
import tempfile
import time

ESCAPES = re.compile(rb'\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1bc')


class GuestError(Exception):
    pass


class Guest:
    """Context manager; `args` are Tinamou's.  serial: collected text of the first serial port."""

    def __init__(self, tinamou, *args, deadline=240, serial=True):
        self.end = time.monotonic() + deadline * float(os.environ.get('TINAMOU_SLOW', '1'))
        self.dir = tempfile.TemporaryDirectory(prefix='tinamou-test-')
        self.monitor_path = os.path.join(self.dir.name, 'monitor')
        command = [tinamou, '-display', 'none', '-monitor', f'unix:{self.monitor_path},server=on,wait=off']
        command += ['-serial', 'stdio'] if serial else ['-serial', 'null']
        command += [str(a) for a in args]
        print('$', ' '.join(command), flush=True)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.serial = ''
        self.sock = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            print('--- what the guest said last ---')
            print(self.serial[-4000:])
            print('--------------------------------', flush=True)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.sock:
            self.sock.close()
        self.dir.cleanup()

    def left(self):
        left = self.end - time.monotonic()
        if left <= 0:
            raise GuestError('out of time')
        return left

    def pump(self, seconds=0.2):
        """Take in what the guest says for a moment; False when it has ended."""
        fd = self.process.stdout.fileno()
        if select.select([fd], [], [], min(seconds, self.left()))[0]:
            data = os.read(fd, 65536)
            if not data:
                return False
            self.serial += ESCAPES.sub(b'', data).decode(errors='replace').replace('\r', '')
        return True

    def expect(self, pattern, what=None, seconds=None):
        """Wait until the serial text matches; returns the match."""
        limit = time.monotonic() + seconds if seconds else self.end
        while True:
            found = re.search(pattern, self.serial)
            if found:
                print(f'found: {what or pattern}', flush=True)
                return found
            if not self.pump():
                raise GuestError(f'the machine ended before: {what or pattern}')
            if time.monotonic() > limit:
                raise GuestError(f'did not come: {what or pattern}')

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait_exit(self):
        """Wait for the end of the process; its status."""
        while self.pump():
            pass
        return self.process.wait(timeout=self.left())

    # ---- monitor ----

    def monitor(self, line):
        """One monitor command; returns what it printed."""
        if not self.sock:
            while not os.path.exists(self.monitor_path):
                self.pump(0.05)
                if self.process.poll() is not None:
                    raise GuestError('tinamou ended before its monitor was there')
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(self.monitor_path)
            self._read_prompt()
        self.sock.sendall(line.encode() + b'\n')
        return self._read_prompt()

    def _read_prompt(self):
        text = b''
        self.sock.settimeout(self.left())
        while not ESCAPES.sub(b'', text).endswith(b'(tinamou) '):
            data = self.sock.recv(65536)
            if not data:
                raise GuestError('the monitor closed')
            text += data
        text = ESCAPES.sub(b'', text).decode(errors='replace').replace('\r', '')
        return text.rsplit('(tinamou) ', 1)[0]

    def screendump(self, path):
        said = self.monitor(f'screendump {path}')
        if not pathlib.Path(path).exists():
            raise GuestError(f'screendump: {said}')

    def type(self, text):
        """Type text on the guest's keyboard through the monitor's sendkey."""
        names = {' ': 'spc', '\n': 'ret', '-': 'minus', '.': 'dot', '/': 'slash', ',': 'comma',
                 '_': 'shift-minus', '>': 'shift-dot', '=': 'equal'}
        for ch in text:
            key = names.get(ch) or (f'shift-{ch.lower()}' if ch.isupper() else ch)
            self.monitor(f'sendkey {key} 30')
            self.pump(0.05)
