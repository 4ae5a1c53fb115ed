#!/usr/bin/env python3
"""The debugger's protocol packet by packet: acknowledgements, errors, and packets that no debugger would send.

Usage: protocol.py TINAMOU KERNEL_ROM
"""
import contextlib
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time

TINAMOU, ROM = (os.path.abspath(name) for name in sys.argv[1:3])
DEADLINE = 20 * float(os.environ.get('TINAMOU_SLOW', '1'))


class Line:
    def __init__(self, path='gdb.sock'):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        end = time.monotonic() + DEADLINE
        while self.sock.connect_ex(path):
            assert time.monotonic() < end, 'nobody listens'
            time.sleep(0.02)
        self.data, self.acks = b'', True

    def byte(self):
        if not self.data:
            self.data = self.sock.recv(65536)
            assert self.data, 'the line was closed'
        first, self.data = self.data[:1], self.data[1:]
        return first

    def send(self, payload, checksum=None):
        payload = payload if isinstance(payload, bytes) else payload.encode()
        self.sock.sendall(b'$%s#%02x' % (payload, sum(payload) & 255 if checksum is None else checksum))

    def reply(self):
        """The next packet, its runs written out; acknowledged."""
        raw = b''
        while (c := self.byte()) != b'$':
            assert c in b'+-', c
        while (c := self.byte()) != b'#':
            raw += c
        assert int(self.byte() + self.byte(), 16) == sum(raw) & 255, raw
        if self.acks:
            self.sock.sendall(b'+')
        return re.sub(rb'(.)\*(.)', lambda m: m[1] * (m[2][0] - 28), raw, flags=re.S).decode('latin-1')

    def __call__(self, payload):
        self.send(payload)
        return self.reply()


@contextlib.contextmanager
def machine(*args):
    p = subprocess.Popen([TINAMOU, '-accel', 'interp', '-display', 'none', '-vga', 'none', '-serial', 'null', '-m', '16',
                          '-bios', ROM, '-monitor', 'none', '-gdb', 'unix:gdb.sock', *args], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        yield p
        assert p.poll() is None, p.stderr.read()
    finally:
        p.kill()
        p.communicate()


def same(got, expected):
    assert got == expected, f'{got!r}, not {expected!r}'


def acknowledgements(g):
    g.send('?')
    same(g.byte(), b'+')
    same(g.reply(), 'T05thread:1;')
    g.send('?', checksum=0)
    same(g.byte(), b'-')
    g.send('?')
    same(g.byte(), b'+')
    first = g.reply()
    g.sock.sendall(b'-')                                # once more, please
    same(g.reply(), first)
    same(g('QStartNoAckMode'), 'OK')
    g.acks = False
    g.send('?')
    same(g.byte(), b'$')
    g.data = b'$' + g.data
    same(g.reply(), first)


def answers(g):
    same(g('vMustReplyEmpty'), '')
    same(g('nonsense'), '')
    same(g(''), '')
    same(g('QNonStop:0'), 'OK')
    assert g('QNonStop:1').startswith('E')
    same(g('vCont?'), 'vCont;c;C;s;S')
    same(g('qC'), 'QC1')
    same((g('qfThreadInfo'), g('qsThreadInfo')), ('m1,2', 'l'))
    same((g('T2'), g('T3')), ('OK', 'E03'))
    same((g('Hg2'), g('Hg3'), g('Hx1'), g('Hg1')), ('OK', 'E03', 'E16', 'OK'))
    same(g('qAttached'), '1')
    same(g('qqemu.PhyMemMode'), '0')
    # memory
    same(g('mf0000,2'), 'fa2e')
    same(g('mffffffffffffffff,2'), 'E0e')
    same(g('m'), 'E16')
    same(g('m0,ffffffffffffffff')[:8], '00000000')
    same(g('M2000,3:010203'), 'OK')
    same(g('m2000,4'), '01020300')
    same(g('M2000,3:0102'), 'E16')
    same(g('M2000,ffffffff:01'), 'E16')
    same(g(b'X2000,3:\x00}\x03\xff'), 'OK')
    same(g('m2000,4'), '0023ff00')
    same(g('X2000,0:'), 'OK')
    same(g('X2000,5:abc'), 'E16')
    # breakpoints
    same((g('Z0,1000,1'), g('Z0,1000,1'), g('Z1,1000,1'), g('z0,1000,1'), g('z1,1000,1'), g('z1,1000,1')), ('OK',) * 6)
    same((g('Z5,1000,1'), g('Z0'), g('Z2,1000,0'), g('Z2,1000,ffffffffff')), ('E16',) * 4)
    same({g(f'Z2,{i * 4096:x},8') for i in range(64)}, {'OK'})
    same(g('Z2,100000,8'), 'E1c')
    same({g(f'z2,{i * 4096:x},8') for i in range(64)}, {'OK'})
    same({g(f'Z0,{i:x},1') for i in range(1024)}, {'OK'})
    same(g('Z0,5000,1'), 'E1c')
    # registers
    size = len(g('g'))
    assert size > 1000, size
    same(g('G' + g('g')), 'OK')
    same(g('G00'), 'E16')
    same((g('p10'), g('P10=f0ff00ff00000000')), ('f0ffffff00000000', 'OK'))
    same((g('pffff'), g('P10=00'), g('P10')), ('E16',) * 3)
    # with texts instead of numbers, for those that know them
    assert 'PacketSize=4000' in g('qSupported:error-message+')
    same(g('T7'), 'E.there is no such thread')
    xml, at = '', 0
    while True:
        part = g(f'qXfer:features:read:target.xml:{at:x},3e8')
        xml += re.sub(r'}(.)', lambda m: chr(ord(m[1]) ^ 32), part[1:])
        at = len(xml)
        if part[0] == 'l':
            break
    assert xml.startswith('<?xml') and xml.endswith('</target>\n') and 'org.gnu.gdb.i386.core' in xml, xml
    same(g('qXfer:features:read:other.xml:0,10')[:2], 'E.')
    same(g('qXfer:features:read:target.xml:ffffffff,10'), 'l')


def running(g):
    same(g('vCont;s:1'), 'T05thread:1;')
    g.send('vCont;c')
    time.sleep(0.1)
    g.sock.sendall(b'\3')
    assert re.fullmatch(r'T02thread:\d;', g.reply())
    assert g('vCont;x').startswith('E') and g('vCont;c:zz').startswith('E') and g('vCont;C').startswith('E')
    assert g('s1000').startswith('E')
    same(g('s')[:4], 'T05t')


def interrupts(g):
    """Many at once: each time the guest runs it stops once, and what came too late stops nothing."""
    for _ in range(20):
        g.send('vCont;c')
        g.sock.sendall(b'\3' * 500)
        assert re.fullmatch(r'T02thread:\d;', g.reply())
        same(g('qAttached'), '1')                       # and no second answer before this one


def behind_a_detach(g):
    """The machine runs: its registers, memory and breakpoints are left alone until somebody attaches again."""
    same(g('D'), 'OK')
    same({g(p) for p in ('g', 'G00', 'p10', 'P10=f0ffff00ff000000', 'mf0000,2', 'M2000,1:00', 'X2000,0:', 'Z0,f0000,1',
                         'z0,f0000,1', 'Z2,9000,8')}, {'E03'})
    same(g('vAttach;1')[:3], 'T05')
    same(g('mf0000,2'), 'fa2e')


def behind_a_long_one(g):
    """A good packet in the same bytes as one that is too long is answered, and without acknowledgements, too."""
    same(g('QStartNoAckMode'), 'OK')
    g.acks = False
    g.sock.sendall(b'$' + b'a' * 17000 + b'#00$qAttached#8f')
    same(g.reply(), '1')


def two_clients(first):
    """The second waits, unheard and unanswered, until the first has gone."""
    second = Line()
    second.send('qAttached')
    for _ in range(20):
        same(first('qAttached'), '1')
    second.sock.settimeout(0.2)
    try:
        raise AssertionError(f'the second client was answered {second.byte()!r}')
    except TimeoutError:
        second.sock.settimeout(DEADLINE)
    first.sock.close()
    same(second.reply(), '1')
    second.sock.close()


PACKETS = [b'?', b'g', b'G00', b'p1', b'P1=00', b'm1000,10', b'M1000,2:0102', b'X1000,2:ab', b'Hg1', b'Hc-1', b'T1',
           b'Z0,1000,1', b'z0,1000,1', b'Z2,9000,8', b'z2,9000,8', b'qSupported:multiprocess+', b'vCont?', b'vCont;s:1',
           b'vCont;s:p1.2;s', b'qRcmd,68656c70', b'qfThreadInfo', b'qThreadExtraInfo,1', b'Qqemu.PhyMemMode:1',
           b'qXfer:features:read:target.xml:0,100', b'vAttach;1', b'!', b'qC', b'QNonStop:0']


def hostile(g, seed):
    """Changed packets and plain noise: every packet that arrives whole is answered, and the machine stays."""
    r = random.Random(seed)
    for _ in range(1500):
        data = bytearray(r.choice(PACKETS))
        for _ in range(r.choice((0, 1, 1, 2, 5))):
            at = r.randrange(len(data) + 1)
            what = r.randrange(4)
            if what == 0 and data:
                del data[at % len(data):at % len(data) + r.randrange(4)]
            elif what == 1:
                data[at:at] = r.choice((b',', b':', b';', b'-1', b'ffffffffffffffff', b'0', b'*', b'}', b'p1.'))
            elif data:
                data[at % len(data)] = r.randrange(256)
        data = bytes(c for c in data if c not in b'#$')
        if data[:1] in (b'c', b'C', b's', b'S', b'D', b'k', b'R') or data[:4] in (b'vKil', b'vRun') \
                or re.match(rb'vCont;.*c|vCont;C|qRcmd,(?!68656c70$)', data, re.I | re.S):
            continue                                    # would run on, or end
        if r.randrange(8) == 0:
            g.sock.sendall(bytes(c for c in r.randbytes(r.randrange(60)) if c not in b'$\3-'))
        try:
            reply = g(data)
            while reply.startswith('O') and reply != 'OK':
                reply = g.reply()
        except TimeoutError:
            raise AssertionError(f'no answer to {data!r} (seed {seed})') from None


def main():
    with machine('-S', '-smp', '2') as p:
        g = Line()
        acknowledgements(g)
        answers(g)
        g.sock.close()
        g = Line()
        running(g)
        interrupts(g)
        behind_a_detach(g)
        behind_a_long_one(g)
        two_clients(g)
        for seed in range(3):
            g = Line()
            hostile(g, seed)
            assert p.poll() is None, p.stderr.read()
            g.sock.close()
        g = Line()
        same(g('qAttached'), '1')
        g.send('$' + 'a' * 100000)                      # never ends
        g.sock.sendall(b'#00')
        g.sock.close()
        g = Line()
        same(g('?')[:3], 'T05')


with tempfile.TemporaryDirectory(prefix='tinamou-gdb-') as directory:
    os.chdir(directory)
    main()
