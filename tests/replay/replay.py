#!/usr/bin/env python3
"""Runs that go the same way each time: -icount and -rr, with guest.asm.

Usage: replay.py TINAMOU ROM CASE
"""
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib

SLOW = float(os.environ.get('TINAMOU_SLOW', '1'))
# CI's hosts may lack what the translator needs
HAS_DBT = 'bmi2' in pathlib.Path('/proc/cpuinfo').read_text()
ACCELS = ['interp', 'dbt'] if HAS_DBT else ['interp']


class Bench:
    def __init__(self, tinamou, rom, folder):
        self.tinamou, self.rom, self.dir = tinamou, rom, pathlib.Path(folder)

    def command(self, *args, accel='interp', serial='null'):
        return [self.tinamou, '-nodefaults', '-vga', 'none', '-display', 'none', '-bios', self.rom, '-m', '16M', '-accel',
                accel, '-device', 'isa-debug-exit', '-serial', serial, '-d', 'stats', *map(str, args)]

    def run(self, *args, status=1, **kw):
        done = subprocess.run(self.command(*args, **kw), capture_output=True, text=True, timeout=60 * SLOW,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == status, done
        return done

    def result(self, done):
        """Instructions and hash."""
        return re.search(r'stats: (\d+) instructions in ([\d.]+) s, hash ([0-9a-f]{16})', done.stderr).groups()

    def record(self, name, keys, *args, accel='interp'):
        """Runs the guest with somebody who types; the recording, and what it said and came to."""
        file = self.dir / name
        process = subprocess.Popen(self.command('-rr', f'record={file}', *args, accel=accel, serial='stdio'),
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        echoed = ''
        for key in keys:                # one behind the other's echo: how long the guest lives is the host's speed
            process.stdin.write(key)
            process.stdin.flush()
            echoed += process.stdout.read(1)
        out, err = process.communicate(timeout=60 * SLOW)
        out = echoed + out
        assert process.returncode == 1, err
        process.stderr = err
        assert 'instructions recorded' in err, err
        return file, out, self.result(process)


def case_counted(b):
    """The same instructions and the same hash each time, in every accelerator, with one processor and with two."""
    for smp in 1, 2:
        results = [b.result(b.run('-smp', smp, '-icount', 'shift=5,sleep=off', accel=a)) for a in ACCELS for _ in '12']
        assert len(set(results)) == 1, results
        print(smp, results[0])
    # and another hash when something is otherwise
    other = b.result(b.run('-icount', 'shift=4,sleep=off'))
    assert other[2] != results[0][2]
    # Real time: 600 rounds of 1 ms, most of which one processor sleeps; with two that are busy it is the same run
    began = time.monotonic()
    b.run('-icount', 'shift=3')
    assert time.monotonic() - began > 0.5
    slept = b.run('-smp', 2, '-icount', 'shift=5', accel=ACCELS[-1])
    assert b.result(slept) == results[0], slept


def case_recorded(b):
    """A recording with typed keys, made by one accelerator, replays in each to the same end, and says the same."""
    runs = [(ACCELS[-1], 1), (ACCELS[0], 2)]
    for accel, smp in runs:
        file, out, result = b.record(f'{accel}.rr', 'some keys', '-smp', smp, '-icount', 'shift=5', accel=accel)
        assert out == 'some keys', out
        for again in ACCELS:
            done = b.run('-rr', f'replay={file}', '-smp', smp, accel=again, serial='stdio', status=1)
            assert done.stdout == out and b.result(done) == result, (done, result)
            assert 'ended as recorded' in done.stderr, done
    # The user ends it: so does the replay, there, and that is no failure
    file = b.dir / 'quit.rr'
    sock = b.dir / 'monitor'
    process = subprocess.Popen(b.command('-rr', f'record={file}', '-monitor', f'unix:{sock},server=on,wait=off'),
                               stderr=subprocess.PIPE, text=True)
    while not sock.exists():
        time.sleep(0.02)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(sock))
        for line in 'system_reset', 'o/b 0x3f8 0x41', 'info icount', 'quit':
            time.sleep(0.1)
            s.sendall(line.encode() + b'\n')
        _, err = process.communicate(timeout=60 * SLOW)
    assert process.returncode == 0, err
    process.stderr = err
    for accel in ACCELS:
        done = b.run('-rr', f'replay={file}', accel=accel, serial='stdio', status=0)
        assert b.result(done) == b.result(process), (done, err)
        assert done.stdout == 'A', done


def records(data):
    """Where each record begins, and the end."""
    at = 16 + struct.unpack_from('<I', data, 12)[0] + 4
    while at < len(data):
        yield at
        name, length = data[at + 1], struct.unpack_from('<I', data, at + 2)[0]
        at += 30 + name + length + 4
    yield at


def patched(data, at, offset, value):
    """With a byte of the record changed, and its checksum made right again."""
    end = next(r for r in records(data) if r > at)
    body = bytearray(data[at:end - 4])
    body[offset] = value
    return data[:at] + bytes(body) + struct.pack('<I', zlib.crc32(body)) + data[end:]


def case_refused(b):
    """Files that are no recordings, damaged, cut off, of another machine: each is an error that says so."""
    file, _, _ = b.record('good.rr', 'abc', accel=ACCELS[-1])
    data = file.read_bytes()
    starts = list(records(data))
    bad = b.dir / 'bad.rr'

    def replay(content, says, *args, status=1):
        bad.write_bytes(content)
        done = b.run('-rr', f'replay={bad}', *args, accel=ACCELS[-1], status=status)
        assert says in done.stderr, (says, done.stderr)

    replay(b'', 'no recording')
    replay(b'TINAMOU-RR', 'no recording')
    replay(data[:11] + b'\x09' + data[12:], 'version 9')
    replay(data[:20] + b'\x00' + data[21:], 'damaged at its head')
    replay(data[:12] + b'\xff\xff\xff\xff' + data[16:], 'damaged at its head')
    replay(data[:starts[1] + 8] + b'\xa5' + data[starts[1] + 9:], f'damaged at byte {starts[1]}')
    replay(patched(data, starts[0], 0, 99), f'damaged at byte {starts[0]}')
    # A crash of the recorder: as far as it goes
    replay(data[:starts[2] - 3], 'cut off here')
    replay(data[:starts[0]], 'cut off here')
    # What no guest did: a hash, an unknown chardev, a front that is not there, a place that it does not come to
    event = next(s for s in starts if data[s] == 2)
    check = next(s for s in starts if data[s] == 1)
    replay(patched(data, check, 31, data[check + 31] ^ 1), 'registers differ')
    replay(patched(data, event, 30, ord('x')), 'cannot come to this machine')
    replay(patched(data, event, 30 + data[event + 1], 7), 'cannot come to this machine')
    event = [s for s in starts[:-1] if data[s] == 2 and data[s + 14] != 255][-1]
    replay(patched(data, event, 14, data[event + 14] + 1), 'does not do what it did')
    # Another machine
    replay(data, 'smp was 1, 1 1 1 1 and is 2', '-smp', 2)
    replay(data, 'memory was 16M and is 17M', '-m', '17M')
    image = b.dir / 'disk'
    image.write_bytes(b'\0' * 65536)
    args = '-drive', f'file={image},format=raw'
    done = b.run('-rr', f'record={b.dir}/x', *args, status=1)
    assert 'add -snapshot' in done.stderr, done
    file, _, _ = b.record('disk.rr', 'q', *args, '-snapshot', accel=ACCELS[-1])
    copy = b.dir / 'copy'
    copy.write_bytes(image.read_bytes())
    replay(file.read_bytes(), 'ended as recorded', '-drive', f'file={copy},format=raw')
    copy.write_bytes(b'\1' * 65536)
    replay(file.read_bytes(), 'the image has changed', '-drive', f'file={copy},format=raw')
    # Accelerators that do not count; names that are no options
    assert 'cannot count instructions' in b.run('-icount', '0', accel='kvm').stderr
    assert 'record' in b.run('-rr', 'recrod=x').stderr
    # Each bit of the beginning flipped: an error or the same run, never a crash
    for at in range(0, len(data), max(1, len(data) // 40)):
        bad.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:])
        done = subprocess.run(b.command('-rr', f'replay={bad}', accel=ACCELS[-1]), capture_output=True, text=True,
                              timeout=60 * SLOW, stdin=subprocess.DEVNULL)
        assert done.returncode == 1 and 'tinamou: ' in done.stderr, (at, done)


def debug(b, script, server, sock, **env):
    """The script inside the real gdb; what the server said, or the end of the test."""
    while not sock.exists():
        time.sleep(0.02)
    code = pathlib.Path(b.rom).read_bytes()
    inc_typed = 0xf0000 + code.index(b'\xff\x05' + struct.pack('<I', 0x9010))
    done = subprocess.run(['gdb', '-nx', '-batch', '-x', pathlib.Path(__file__).with_name(f'{script}.py')],
                          env=dict(os.environ, TARGET=str(sock), INC_TYPED=hex(inc_typed), HOME=str(b.dir),
                                   PYTHONPATH=str(pathlib.Path(__file__).parent), PYTHONDONTWRITEBYTECODE='1', **env),
                          capture_output=True, text=True, timeout=100 * SLOW, stdin=subprocess.DEVNULL)
    if f'{script} passed' not in done.stdout:
        server.kill()
        print(done.stdout, done.stderr, server.communicate())
        sys.exit(1)
    server.stderr_text = server.communicate(timeout=20 * SLOW)[1]
    return server


WHERE = 'monitor info icount'


def gdb_says(b, server, sock, *commands):
    """To these commands; and the server has ended."""
    while not sock.exists():
        assert server.poll() is None, server.communicate()
        time.sleep(0.02)
    line = ['gdb', '-nx', '-batch', '-ex', 'set confirm off', '-ex', f'target remote {sock}']
    for command in commands:
        line += ['-ex', command]
    done = subprocess.run(line, env=dict(os.environ, HOME=str(b.dir)), capture_output=True, text=True, timeout=100 * SLOW,
                          stdin=subprocess.DEVNULL)
    server.communicate(timeout=20 * SLOW)
    return done.stdout + done.stderr


def needs_gdb():
    if not shutil.which('gdb'):
        print('skipped: gdb is missing (package gdb)')
        sys.exit(77)


def case_backwards(b):
    """Breakpoints, watchpoints and steps backwards, with the real gdb; one processor and two, much memory and little."""
    needs_gdb()
    for accel, smp, more in (ACCELS[-1], 1, ''), (ACCELS[0], 1, ',history=1M'), (ACCELS[-1], 2, ''):
        args = '-smp', smp, '-icount', 'shift=5'
        file, out, _ = b.record(f'{accel}{smp}.rr', 'hello', *args, accel=accel)
        said, sock = b.dir / 'said', b.dir / f'gdb-{accel}{smp}'
        server = subprocess.Popen(b.command('-rr', f'replay={file}{more}', *args, '-S', '-gdb', f'unix:{sock}', accel=accel,
                                            serial=f'file:{said}'), stderr=subprocess.PIPE, text=True)
        debug(b, 'backwards', server, sock)
        # What was said once is not said again
        assert said.read_text() == out, said.read_text()


def case_past(b):
    """A machine that runs, counted or recorded, is taken back and forth by gdb, and goes on; the recording is as it would
    have been without."""
    needs_gdb()
    for accel, smp, mode, more in ((ACCELS[0], 1, 'icount', ''), (ACCELS[-1], 1, 'icount', ',history=1M'),
                                   (ACCELS[-1], 2, 'icount', ',sleep=off'), (ACCELS[0], 2, 'record', ''),
                                   (ACCELS[-1], 1, 'record', ',sleep=off')):
        name = f'{accel}{smp}{mode}'
        file, sock, serial = b.dir / f'{name}.rr', b.dir / f'gdb-{name}', b.dir / f'serial-{name}'
        rr = ['-rr', f'record={file}'] if mode == 'record' else []
        server = subprocess.Popen(b.command(*rr, '-smp', smp, '-icount', f'shift=5{more}', '-S', '-gdb', f'unix:{sock}',
                                            accel=accel, serial=f'unix:{serial},server=on,wait=off'),
                                  stderr=subprocess.PIPE, text=True)
        server = debug(b, 'past', server, sock, SERIAL=str(serial), MODE=mode)
        assert server.returncode == 1, (server.returncode, server.stderr_text)
        server.stderr = server.stderr_text
        for again in ACCELS if mode == 'record' else ():
            done = b.run('-rr', f'replay={file}', '-smp', smp, accel=again, serial='stdio', status=1)
            assert 'ended as recorded' in done.stderr and b.result(done)[::2] == b.result(server)[::2], (done, server.stderr)
            assert done.stdout == 'helloxyq', done
    # Who ends a machine that is back in its past ends the recording where it was taken back from
    file, sock = b.dir / 'killed.rr', b.dir / 'gdb-killed'
    server = subprocess.Popen(b.command('-rr', f'record={file}', '-icount', 'shift=5', '-S', '-gdb', f'unix:{sock}',
                                        accel=ACCELS[-1]), stderr=subprocess.PIPE, text=True)
    furthest = re.findall(r'(\d+) instructions, .*\n.*\nhash (\w+)', gdb_says(b, server, sock, 'stepi 300', WHERE,
                                                                             'reverse-stepi 9', 'kill'))[-1]
    done = b.run('-rr', f'replay={file}', accel=ACCELS[0], status=0)
    assert 'ended as recorded' in done.stderr and b.result(done)[::2] == furthest, (done, furthest)
    # No way back where a disk would have to follow, or without memory
    image = b.dir / 'disk'
    image.write_bytes(b'\0' * 65536)
    for more, drive, says in (('', '', None), (',history=0', '', 'with history=0'),
                              ('', ',snapshot=off', f'{image} is written for good')):
        sock = b.dir / f'gdb-no{len(more)}{len(drive)}'
        server = subprocess.Popen(b.command('-icount', f'shift=5{more}', '-S', '-gdb', f'unix:{sock}', '-drive',
                                            f'file={image},format=raw{drive or ",snapshot=on"}'), stderr=subprocess.PIPE,
                                  text=True)
        said = gdb_says(b, server, sock, 'stepi 3', WHERE, 'reverse-stepi', WHERE, 'kill')
        here, there = (int(n) for n in re.findall(r'(\d+) instructions, ', said))
        assert (here - there, 'no way back' in said) == ((0, True) if says else (1, False)), said
        assert not says or f'no way back: {says}' in said, said
    # While no debugger is there nothing is kept; what begins with another one goes no further back
    sock = b.dir / 'gdb-left'
    server = subprocess.Popen(b.command('-icount', 'shift=5', '-S', '-gdb', f'unix:{sock}'), stderr=subprocess.PIPE, text=True)
    said = gdb_says(b, server, sock, 'stepi 3', 'disconnect', f'target remote {sock}', WHERE, 'stepi 5', 'reverse-continue',
                    WHERE, 'kill')
    here, there = (int(n) for n in re.findall(r'(\d+) instructions, ', said))
    assert here == there and here >= 3 and 'No more reverse-execution history' in said, said


tinamou_, rom_, case = sys.argv[1:]
with tempfile.TemporaryDirectory(prefix='tinamou-replay-') as tmp:
    globals()[f'case_{case}'](Bench(tinamou_, rom_, tmp))
