"""Cases for run.py: Python inside gdb, on the kernel of kernel.asm, and one on Debian's."""
import base64
import contextlib
import gzip
import os
import re
import socket
import subprocess
import sys
import time
import traceback

import gdb

sys.path += os.environ['MODULES'].split(':')
import symbols as kernel_symbols
from guest import Guest

TINAMOU, KERNEL, ROM, ACCEL = (os.environ[name] for name in ('TINAMOU', 'KERNEL', 'ROM', 'ACCEL'))
DEADLINE = 20 * float(os.environ.get('TINAMOU_SLOW', '1'))
MACHINE = [TINAMOU, '-accel', ACCEL, '-display', 'none', '-vga', 'none', '-serial', 'null', '-m', '16', '-bios', ROM]
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


# ---- gdb ----

def do(command):
    return gdb.execute(command, to_string=True)


STOPS = []


def stopped(event):
    if isinstance(event, gdb.BreakpointEvent):
        STOPS.append(' '.join(f'breakpoint {b.number}' for b in event.breakpoints))
    elif isinstance(event, gdb.SignalEvent):
        STOPS.append(event.stop_signal)
    elif isinstance(event, gdb.ExitedEvent):
        STOPS.append(f'exit {getattr(event, "exit_code", 0)}')
    else:
        STOPS.append('stop')


gdb.events.stop.connect(stopped)
gdb.events.exited.connect(stopped)


def go(command, *stops):
    """Let it run; the ways it stopped, all that gdb said of them."""
    STOPS.clear()
    text = do(command)
    same(command, STOPS[-1:], list(stops)[:1])
    return has(text, *stops[1:])


def value(expression):
    return int(gdb.parse_and_eval(expression))


def symbol(name):
    return int(gdb.parse_and_eval(f'(unsigned long)&{name}'))


def same(what, got, expected):
    assert got == expected, f'{what}: {got!r}, not {expected!r}'


def has(text, *patterns):
    for pattern in patterns:
        assert re.search(pattern, text), f'no {pattern!r} in {text!r}'
    return text


def fails(command, *patterns):
    try:
        text = do(command)
    except gdb.error as error:
        has(str(error), *patterns)
    else:
        raise AssertionError(f'{command} did not fail, but said {text!r}')


def where():
    return gdb.selected_frame().name()


def functions():
    frame, names = gdb.newest_frame(), []
    while frame and len(names) < 10:
        names.append(re.sub(r'\[.*', '', frame.name() or '?'))
        frame = frame.older()
    return names


# ---- machines ----

def connected(p, command):
    """It listens a moment after it has been started."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            return do(command)
        except gdb.error as error:
            if p.poll() is not None or time.monotonic() > end:
                raise AssertionError(f'{error} {open("stderr.txt").read()}') from None
            time.sleep(0.02)


@contextlib.contextmanager
def machine(*args, listen='unix:gdb.sock', connect='./gdb.sock', remote='remote'):
    with open('stderr.txt', 'w') as err:
        p = subprocess.Popen([*MACHINE, '-monitor', 'none', '-gdb', listen, *map(str, args)], stderr=err,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        if remote:
            connected(p, f'target {remote} {connect}')
        yield p
    finally:
        with contextlib.suppress(gdb.error):
            do('disconnect')
        if p.poll() is None:
            p.kill()
        p.wait()


def ends(p, status=0):
    same('exit status', p.wait(DEADLINE), status)


# ---- the cases ----

@case
def symbols():
    """Break in the kernel by symbol, walk a stack, step, finish, change a register and a variable."""
    with machine('-S'):
        do('break inner')
        do('hbreak outer')
        go('continue', 'breakpoint 2')
        go('continue', 'breakpoint 1')
        same('stack', functions()[:3], ['inner', 'outer', 'kmain'])
        same('rdi', value('$rdi'), 6)
        counter = value('*(long *)&counter')
        for _ in range(3):                              # each breakpoint once, though gdb starts from the one before
            go('continue', 'breakpoint 2')
            go('continue', 'breakpoint 1')
        same('counter', value('*(long *)&counter'), counter + 3)
        do('delete 2')
        do('finish')
        same('stack', functions()[:2], ['outer', 'kmain'])
        do('set var *(long *)&counter = 1000')
        go('continue', 'breakpoint 1')
        same('counter', value('*(long *)&counter'), 1000)
        do('set var $rax = 0x123456789abcdef0')
        same('eax', value('$eax') & 0xffffffff, 0x9abcdef0)
        before = value('$rip')
        go('stepi', 'stop')
        same('one instruction', value('$rip'), before + 1)
        do('delete')
        do('tbreak outer')
        do('jump outer')
        same('jumped', where(), 'outer')
        do('set var $rip = (long)&kmain')
        same('pc', where(), 'kmain')
        fails('p $cs = 0x10', 'Could not write register "cs"')
        fails('p $xcr0 = 3', 'Could not write register "xcr0"')


@case
def watchpoints():
    """A variable that is written, read, accessed; together with steps; gone when deleted."""
    with machine('-S'):
        do('hbreak kmain')
        go('continue', 'breakpoint 1')
        do('watch *(long *)&counter')
        for n in (1, 2, 3):
            go('continue', 'breakpoint 2')
            same('counter', value('*(long *)&counter'), n)
            same('behind it', value('$rip'), symbol('inner') + 20)
        do('rwatch *(long *)&source')
        go('continue', 'breakpoint 3')
        same('behind it', value('$rip'), symbol('inner') + 12)
        go('continue', 'breakpoint 2')
        do('delete 2 3')
        do('awatch *(int *)&want')
        go('continue', 'breakpoint 4')
        same('behind it', value('$rip'), symbol('inner') + 27)
        do('tbreak inner')
        do('continue')
        for _ in range(4):
            do('stepi')                                 # up to the read
        same('before it', value('$rip'), symbol('inner') + 20)
        go('stepi', 'breakpoint 4')
        do('delete 4')
        do('watch *(long *)((char *)&counter + 4)')     # the upper half does not change, nor do others' writes to it
        do('tbreak outer')
        do('continue')
        same('nothing', where(), 'outer')
        do('set var *(long *)&counter = 0xffffffff')
        go('continue', 'breakpoint 6')
        same('counter', value('*(long *)&counter'), 1 << 32)


@case
def modes():
    """Step through 16, 32 and 64 bits with scripts/gdb/tinamou.py: registers and disassembly are those of each."""
    do('source ' + os.environ['SCRIPTS'] + '/gdb/tinamou.py')
    with machine('-S', '-smp', 1):
        same('at reset', value('$eip'), 0xfffffff0)
        has(do('x/i $pc'), r'ljmp +\$0xf000,\$0x0')
        has(do('show architecture'), 'i8086')
        do('stepi')
        same('start16', where(), 'start16')
        do('stepi')
        has(do('x/i $pc'), r'lgdtw +%cs:')
        for _ in range(4):
            do('stepi')
        has(do('x/i $pc'), r'ljmpl +\$0x8,')
        do('stepi')
        has(do('show architecture'), r'"i386"')
        same('start32', where(), 'start32')
        has(do('x/i $pc'), r'mov +\$0x10,%eax')
        same('cr0', value('$cr0') & 0x80000001, 1)
        do('hbreak *((long)&start64 - 7)')
        do('continue')
        has(do('x/i $pc'), r'ljmp +\$0x18,')
        do('stepi')
        has(do('show architecture'), 'i386:x86-64')
        do('stepi')
        has(do('x/i $pc'), r'mov +0x20\(%rbx\),%eax')
        same('rip', value('$rip'), symbol('start64') + 5)
        same('efer', value('$efer') & 0x500, 0x500)
        do('break inner')
        do('continue')
        same('stack', functions()[:3], ['inner', 'outer', 'kmain'])
        do('delete')
        do('set var *(int *)&want = 2')                 # back to 16 bits by a reset
        go('continue', 'stop', 'the machine was reset')
        has(do('show architecture'), 'i8086')
        do('stepi')
        same('start16', where(), 'start16')
        do('tinamou-follow off')
        do('hbreak start32')
        do('continue')
        has(do('show architecture'), 'i8086')
        do('tinamou-follow on')
        has(do('show architecture'), r'"i386"')


@case
def processors():
    """Two vCPUs: the list, registers of each, breakpoints in either's code, stepping one while the other stands still."""
    with machine('-S', '-smp', 2):
        same('threads', len(gdb.selected_inferior().threads()), 2)
        has(do('info threads'), r'CPU#0 \[running\]', r'CPU#1 \[waits for SIPI\]')
        do('break ap_step')
        do('continue')
        same('stopped', gdb.selected_thread().num, 2)
        same('stack', functions()[:2], ['ap_step', 'ap_main'])
        same('r14', value('$r14'), 0x1234)
        same('r15', value('$r15'), 1)
        do('thread 1')
        same('r15', value('$r15'), 0)
        assert value('$r14') != 0x1234
        do('set scheduler-locking on')
        for _ in range(4):
            ap, own = value('*(long *)&ap_counter'), value('*(long *)&counter')
            do('tbreak outer')
            do('continue')
            same('thread', gdb.selected_thread().num, 1)
            same('ap_counter', value('*(long *)&ap_counter'), ap)
        assert value('*(long *)&counter') > own
        do('thread 2')
        counter = value('*(long *)&counter')
        for _ in range(20):
            do('stepi')
        same('counter', value('*(long *)&counter'), counter)
        do('set scheduler-locking off')
        do('break outer')
        seen = set()
        for _ in range(40):         # neither starves, and no breakpoint is passed over
            do('continue')
            seen.add((gdb.selected_thread().num, where()))
        same('where they stopped', seen, {(1, 'outer'), (2, 'ap_step')})
        do('delete')
        do('monitor cpu 1')
        do('thread 2')
        has(do('monitor info registers'), r'R15=0*1\b')
        do('thread 1')
        has(do('monitor info registers'), r'R15=0*\b')


@case
def registers():
    """Every register is there and keeps what is written to it, as far as the processor takes it."""
    with machine('-S'):
        do('hbreak inner')
        do('continue')
        has(do('info registers'), r'rip +0x\w+ +0x\w+ <inner', r'fs_base', r'eflags +0x\w+ +\[ ')
        has(do('info registers'), r'cr0 +0x\w+ +\[ PE .*PG', r'efer .*LME LMA', r'gdt_limit +0x1f', r'lstar',
            r'k_gs_base', r'apic_base +0xfee00900', r'dr7 +0x400')
        for name, v in (('rax', 0x1122334455667788), ('r15', 7), ('fs_base', 0x123000), ('gs_base', 0x456000),
                        ('k_gs_base', 0x789000), ('lstar', 0xffffffff81000000), ('cr2', 0x1000), ('mxcsr', 0x1fa0),
                        ('gdt_limit', 0x3f), ('fctrl', 0x27f)):
            do(f'set var ${name} = {v}')
            do('maint flush register-cache')
            same(name, value('$' + name) & (1 << 64) - 1, v)
        do('set var $st0 = 1.5')
        do('set var $xmm3.uint128 = 0x0123456789abcdef')
        do('set var $eflags |= 1')
        do('maint flush register-cache')
        same('st0', float(gdb.parse_and_eval('$st0')), 1.5)
        same('xmm3', value('$xmm3.v2_int64[0]'), 0x0123456789abcdef)
        has(do('p $eflags'), 'CF')
        fails('p $cr0 = (long)0x80000000', 'Could not write register "cr0"')          # paging without protection
        fails('p $fs_base = 0x8000000000000000', 'Could not write register')    # not canonical
        do('delete')
        do('set var $dr0 = (long)&counter')
        do('set var $dr7 = 0xd0401')
        same('dr7', value('$dr7'), 0xd0401)
        do('set var $dr7 = 0')
        same('a function called by gdb', value('((long (*)(long))outer)(3)'), 0)
        do('stepi')
        same('lstar', value('$lstar') & (1 << 64) - 1, 0xffffffff81000000)
        same('rax', value('$rax'), 0x1122334455667788)


# CR4.OSXSAVE and OSFXSR, XCR0; then all of YMM3, ZMM5 and ZMM17 and K1 to memory
VECTORS = {
    'avx': (7, 'c5fc111b'),                                                         # vmovups [rbx], ymm3
    'avx512bw': (0xe7, 'c5fc111b 62f17c48116b01 62e17c48114b02 c4e1f8918bc0000000'),    # zmm5, zmm17; kmovq
}
SWITCH_ON = '0f20e0 0d00020400 0f22e0 31c9 31d2 b8%02x000000 0f01d1 bb00002000'


@case
def vectors():
    """AVX and AVX-512 registers: what is written is there, and the guest stores it."""
    flags = re.search(r'^flags.*$', open('/proc/cpuinfo').read(), re.M)[0].split()
    level = next((name for name in ('avx512bw', 'avx') if name in flags), None)
    if not level:
        print('skipped: this host has no AVX')
        return
    components, stores = VECTORS[level]
    with machine('-S', '-cpu', 'max'):
        do('hbreak inner')
        do('continue')
        do('delete')
        switch_on, stores = bytes.fromhex(SWITCH_ON % components), bytes.fromhex(stores)
        gdb.selected_inferior().write_memory(0x201000, switch_on + stores + b'\xf4')
        do('set var $rip = 0x201000')
        do(f'hbreak *{0x201000 + len(switch_on):#x}')
        do('continue')
        same('xcr0', value('$xcr0'), components)
        written = {'ymm3': 4} if level == 'avx' else {'ymm3': 4, 'zmm5': 8, 'zmm17': 8}
        for name, n in written.items():
            for i in range(n):
                do(f'set var ${name}.v{n}_int64[{i}] = 0x1122334455667700 + {i}')
        if level == 'avx512bw':
            do('set var $k1 = 0xfedcba9876543210')
        do('maint flush register-cache')
        for name, n in written.items():
            same(name, [value(f'${name}.v{n}_int64[{i}]') for i in range(n)], [0x1122334455667700 + i for i in range(n)])
        do(f'hbreak *{0x201000 + len(switch_on) + len(stores):#x}')
        do('continue')
        at = 0x200000
        for name, n in written.items():
            same(f'{name}, stored', [value(f'*(long *){at + 8 * i:#x}') for i in range(n)],
                 [0x1122334455667700 + i for i in range(n)])
            at += 64
        if level == 'avx512bw':
            same('k1', value('$k1') & (1 << 64) - 1, 0xfedcba9876543210)
            same('k1, stored', value('*(unsigned long *)0x2000c0'), 0xfedcba9876543210)


@case
def sessions():
    """Monitor commands, memory of both kinds, detach and attach, reset, triple fault, the end."""
    with machine('-S', '-device', 'isa-debug-exit') as p:
        has(do('monitor info status'), 'paused')
        has(do('monitor xp/2xb 0xf0000'), 'fa')
        has(do('monitor nonsense'), "error: unknown command 'nonsense'")
        has(do('monitor gdbserver none'), 'use another monitor')
        has(do('monitor gdb nonsense'), 'none of arch, catch, mode')
        has(do('monitor gdb mode'), 'i8086')
        assert len(do('monitor help').splitlines()) > 10
        do('hbreak inner')
        do('continue')
        same('status', do('monitor info status').strip(), 'VM status: paused')
        # memory: linear addresses that are not mapped, physical ones beside them, large pieces
        fails('x/x 0x123456789000', 'Cannot access memory')
        fails('x/x 0xfee00020', 'Cannot access memory')
        has(do('maint packet qqemu.PhyMemMode'), 'received: "0"')
        do('maint packet Qqemu.PhyMemMode:1')
        has(do('maint packet qqemu.PhyMemMode'), 'received: "1"')
        has(do('x/2xb 0xf0000'), r'0xfa\s+0x2e')
        do('set var *(int *)0x300000 = 0x12345678')
        has(do('monitor xp/1xw 0x300000'), '12345678')
        do('maint packet Qqemu.PhyMemMode:0')
        data = bytes(range(256)) * 300
        gdb.selected_inferior().write_memory(0x200000, data)
        same('memory', bytes(gdb.selected_inferior().read_memory(0x200000, len(data))), data)
        do('set remote X-packet off')
        gdb.selected_inferior().write_memory(0x200001, data)
        same('memory', bytes(gdb.selected_inferior().read_memory(0x200001, len(data))), data)
        # the machine runs on without a debugger, and its breakpoints are gone
        counter = value('*(long *)&counter')
        do('detach')
        time.sleep(0.2)
        do('target remote gdb.sock')
        assert value('*(long *)&counter') > counter + 100
        # a reset and a triple fault stop it
        do('tbreak inner')
        do('continue')
        do('set var *(int *)&want = 2')
        do('delete')
        go('continue', 'stop', 'Tinamou: the machine was reset')
        same('pc', value('$rip'), 0xfffffff0)
        do('hbreak inner')
        do('continue')
        do('set var *(int *)&want = 1')
        go('continue', 'SIGABRT', 'Tinamou: triple fault of processor 0')
        has(do('x/i $pc'), 'int3')
        do('set var *(int *)&want = 0')
        go('continue', 'stop', 'the machine was reset')
        do('monitor gdb catch none')
        do('delete')
        do('hbreak inner')
        do('continue')
        do('set var *(int *)&want = 1')
        do('disable')
        do('tbreak start16')
        do('continue')
        same('the reset is not caught', where(), 'start16')
        do('set var *(int *)&want = 3')
        go('continue', 'exit 41')                       # 20 * 2 + 1
        ends(p, 41)
    with machine() as p:                                # Ctrl-C, run from a reset, kill
        do('disconnect')
        do('target extended-remote gdb.sock')
        do('hbreak inner')
        do('continue')
        do('continue')
        do('delete')
        do('hbreak start64')
        do('set confirm off')
        do('run')
        same('run', where(), 'start64')
        same('counter', value('*(long *)&counter') > 0, True)
        do('detach')
        do('attach 1')
        do('delete')
        do('kill')
        same('still there', p.poll(), None)
        do('disconnect')
        do('target remote gdb.sock')
        do('kill')
        ends(p)


@case
def stdio():
    """target remote | tinamou -gdb stdio; the TCP port, and what is said when it is taken."""
    do('target remote | exec ' + ' '.join(MACHINE) + ' -gdb stdio -S -monitor none')
    do('break inner')
    go('continue', 'breakpoint 1')
    do('delete')
    do('disconnect')
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
        s.listen()
        done = subprocess.run([*MACHINE, '-gdb', f'tcp::{port}'], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, text=True, timeout=DEADLINE)
    same('status', done.returncode, 1)
    same('says', done.stderr, f'tinamou: -gdb tcp::{port}: cannot listen on tcp:127.0.0.1:{port}: Address already in use\n')
    with machine(listen=f'tcp::{port}', connect=f'localhost:{port}'):
        do('break inner')
        go('continue', 'breakpoint 2')
        do('set remote noack-packet off')
        do('disconnect')
        do(f'target remote localhost:{port}')
        go('stepi', 'stop')
        has(do('maint packet QNonStop:1'), 'received: "E')


SHELL = r'tinamou-guest: shell[^#]*# '


def on_stack():
    """Which functions have left return addresses on a kernel's stack of 16 KiB, the last first, each once."""
    sp, names = value('$rsp') & (1 << 64) - 1, []
    data = bytes(gdb.selected_inferior().read_memory(sp, -sp % 0x4000))
    for at in range(0, len(data) - 7, 8):
        word = int.from_bytes(data[at:at + 8], 'little')
        found = re.match(r'(\w+) \+ \d+ in section .text', do(f'info symbol {word}'))
        names += [found[1]] if found else []
    return list(dict.fromkeys(names))


@case
def linux():
    """Debian's kernel, by the names that it gives in /proc/kallsyms: functions, their callers, variables, steps."""
    files = os.environ['GUESTS']
    with Guest(TINAMOU, '-accel', ACCEL, '-m', 256, '-kernel', f'{files}/vmlinuz', '-initrd', f'{files}/initrd.gz',
               '-append', 'console=ttyS0 quiet nokaslr', '-gdb', 'unix:gdb.sock') as g:
        g.expect(SHELL, 'a prompt')
        g.send("stty -echo; grep ' [tTdDbBrR] [^[]*$' /proc/kallsyms | gzip | base64; echo end; echo the'' end\n")
        g.expect(r'the end\n', 'all names')
        packed = ''.join(re.findall(r'^[A-Za-z0-9+/=]{1,76}$', g.serial[g.serial.index('H4sI'):], re.M)[:-1])
        names = kernel_symbols.parse(gzip.decompress(base64.b64decode(packed)).decode())
        with open('linux.elf', 'wb') as f:
            f.write(kernel_symbols.elf(names))
        do('file linux.elf')
        do('target remote ./gdb.sock')
        # a function by its name, its callers, what it was called with
        do('break *vfs_read')
        g.send('\n')                                   # the shell reads the next line
        go('continue', 'breakpoint 1')
        same('function', where(), 'vfs_read')
        has(do('x/2i $pc'), r'=> 0x\w+ <vfs_read>:')
        callers = ['ksys_read', 'do_syscall_64', 'entry_SYSCALL_64_after_hwframe']
        same('callers', [n for n in on_stack() if n in callers], callers)
        has(do('bt 2'), r'#0 .* in vfs_read \(\)\n#1 .* in ksys_read \(\)')
        do('delete')
        # variables
        has(do('x/s (char *)&linux_banner'), r'Linux version 6\.')
        jiffies = value('*(unsigned long *)&jiffies')
        do('watch *(unsigned long *)&jiffies')
        g.send('\n')
        go('continue', 'breakpoint 2')
        same('jiffies', value('*(unsigned long *)&jiffies') > jiffies, True)
        has(' '.join([where(), *on_stack()]), r'tick|jiffies', r'timer')
        do('delete')
        # steps, and out of a function
        do('break *ksys_read')
        g.send('\n')
        go('continue', 'breakpoint 3')
        before = value('$rip')
        go('stepi', 'stop')
        assert 0 < value('$rip') - before < 16
        same('function', where(), 'ksys_read')
        do('delete')
        do('break *vfs_read')
        go('continue', 'breakpoint 4')
        go('finish', 'stop')
        same('function', where(), 'ksys_read')
        do('delete')
        do('detach')
        g.send('stty echo\n')
        g.send('echo still $((6 * 7)) here\n')
        g.expect('still 42 here', 'the guest runs on')
        # from the beginning, where nothing but the kernel's boot code has run
        do('target extended-remote ./gdb.sock')
        do('hbreak *start_kernel')
        do('run')
        same('function', where(), 'start_kernel')
        same('jiffies', value('*(unsigned long *)&jiffies') & 0xffffffff, 0xfffedb08)       # as it is linked: -300 s
        do('kill')


def main():
    name = os.environ['CASE']
    for command in ('set pagination off', 'set confirm off', 'set width 0', 'file ' + KERNEL):
        do(command)
    try:
        CASES[name]()
        print(f'case {name} passed')
    except BaseException:
        traceback.print_exc()
        if os.path.exists('stderr.txt'):
            print(open('stderr.txt').read())


main()
