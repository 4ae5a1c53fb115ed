"""What the scripts for gdb share: guest.asm's variable, and commands whose answers stand in the log."""
import os
import re

import gdb

TYPED = 0x9010
INC_TYPED = int(os.environ['INC_TYPED'], 16)


def run(command):
    said = gdb.execute(command, to_string=True)
    print(f'(gdb) {command}\n{said}', flush=True)
    return said


def where():
    return re.search(r'(\d+) instructions, (\d+) timers\n.*\nhash (\w+)', run('monitor info icount')).groups()


def typed():
    return int(run(f'x/wx {TYPED:#x}').split()[-1], 16)


def pc():
    return int(gdb.parse_and_eval('(unsigned long)$pc'))


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def fails(command):
    try:
        run(command)
    except gdb.error as err:
        print(err)
    else:
        raise AssertionError(f'{command} was taken')


def report(script, main):
    """gdb would go on with the next command whatever happens."""
    try:
        main()
        print(f'{script} passed', flush=True)
    except Exception as err:
        print(f'failed: {err!r}', flush=True)
