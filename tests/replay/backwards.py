"""Inside gdb: a recording of guest.asm, with `hello` typed, forwards and backwards.  TARGET says where the server is."""
import os

from session import INC_TYPED, TYPED, expect, fails, pc, report, run, typed, where


def main():
    run('set pagination off')
    run('set confirm off')
    run(f'target remote {os.environ["TARGET"]}')
    beginning = where()
    run('reverse-stepi')
    expect(where() == beginning, 'there is something before the beginning')
    run('continue')
    end = where()
    run('continue')
    expect(where() == end, 'the end of the recording stops the guest')
    expect(typed() == 5, 'not all was typed')

    # To the last write of a variable, and on to those before; memory is as it was before each
    run(f'watch *(int *){TYPED:#x}')
    for value in 4, 3, 2, 1, 0:
        run('reverse-continue')
        expect(typed() == value and pc() == INC_TYPED, 'not before the write')
    run('continue')
    expect(typed() == 1, 'the write, forwards')
    run('delete')

    # Steps there and back again
    here = where()
    for n in range(3):
        run('reverse-stepi')
        expect(int(where()[0]) == int(here[0]) - 1 - n, 'a step back is one instruction')
    run('stepi 3')
    expect(where() == here, 'three there and back again')

    # Breakpoints
    run('continue')
    expect(where() == end, 'from the middle to the same end')
    run(f'hbreak *{INC_TYPED:#x}')
    for value in 4, 3:
        run('reverse-continue')
        expect(typed() == value and pc() == INC_TYPED, 'not at the breakpoint')
    run('delete')
    run('reverse-continue')
    expect(where() == beginning, 'back to the beginning')
    run('continue')
    expect(where() == end, 'from the beginning to the same end')

    # A recording is not changed
    fails('set var *(int *)0x9010 = 7')
    fails('set $rax = 7')
    run('kill')


report('backwards', main)
