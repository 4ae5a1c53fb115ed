"""Inside gdb: guest.asm while it runs, counted or recorded (MODE), taken back and forth.  TARGET and SERIAL say where the
server and the serial port are."""
import os
import socket

import gdb
from session import INC_TYPED, TYPED, expect, fails, pc, report, run, typed, where

SERIAL = socket.socket(socket.AF_UNIX)


def forward(*values):
    places = []
    for value in values:
        run('continue')
        expect(typed() == value, f'{value} typed')
        places.append(where())
    return places


def back(*values):
    for value in values:
        run('reverse-continue')
        expect(typed() == value and pc() == INC_TYPED, f'not before the write of {value + 1}')


def main():
    run('set pagination off')
    run('set confirm off')
    run(f'target remote {os.environ["TARGET"]}')
    SERIAL.connect(os.environ['SERIAL'])
    beginning = where()
    run('reverse-stepi')
    expect(where() == beginning, 'there is something before the beginning')
    SERIAL.sendall(b'hello')
    run(f'watch *(int *){TYPED:#x}')
    first = forward(1, 2, 3, 4, 5)

    # What comes from outside comes again, where it came
    back(4, 3, 2, 1, 0)
    run('reverse-continue')
    expect(where() == beginning, 'back to the beginning')
    expect(forward(1, 2, 3) == first[:3], 'not as it was')
    run('reverse-stepi 2')
    run('stepi 2')
    expect(where() == first[2], 'two there and back again')
    expect('error: what changes' in run('monitor o/b 0x80 1'), 'the past was changed')
    expect(forward(4, 5) == first[3:], 'not as it was')

    # And on from there, into what has not been yet
    SERIAL.sendall(b'xy')
    more = forward(6, 7)
    back(6, 5, 4)
    if os.environ['MODE'] == 'record':
        expect('received: "E' in run('maint packet vRun;'), 'the past was reset')
    expect(forward(5, 6, 7) == first[4:] + more, 'not as it was')
    expect('error' not in run('monitor o/b 0x80 1'), 'the present is not to be changed')
    if os.environ['MODE'] == 'record':
        fails(f'set var *(int *){TYPED:#x} = 100')
        fails('set var $rax = 7')
        expect(typed() == 7, 'a recording is not changed')
    else:
        # A change begins another history, here and in the past
        run(f'set var *(int *){TYPED:#x} = 100')
        here = where()
        run('reverse-stepi')
        expect(where() == here, 'a way back from what was changed')
        SERIAL.sendall(b'ab')
        forward(101, 102)
        back(101)
        run('set var $rbx = 7')
        SERIAL.sendall(b'c')
        forward(102)
        forward(103)
        back(102)
        forward(103)
    run('delete')
    SERIAL.sendall(b'q')
    try:
        run('continue')
    except gdb.error as err:
        print(err)
    SERIAL.settimeout(20)
    said = b''
    while data := SERIAL.recv(100):
        said += data
    expect(said == {'record': b'helloxyq', 'icount': b'helloxyabcq'}[os.environ['MODE']], f'said {said!r}')


report('past', main)
