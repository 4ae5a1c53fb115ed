#!/usr/bin/env python3
"""The same work natively, on QEMU's TCG and on Tinamou: processor seconds and their ratios.

Usage: work.py --build DIR --guests DIR [--accel dbt] [--only REGEX] [--runs N] [--smp] [--memory N] [--strict]

Both emulators boot the same kernel and initramfs, turn about, with one processor of model max; in the guest
one piece of work follows another, and each says when it begins and ends.  Time is the emulator's own
processor time between the two, so that other work on the machine counts little.  Checksums must agree with
the native run's.  --smp compares one and two processors of Tinamou instead; --memory N measures memory beyond
the guest's own while real programs run on N processors.  --strict: exit status 1 when a limit is missed.
"""
import argparse
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import guest

# name: QEMU / Tinamou at least
LIMITS = {'integer': 2, 'sha256': 3, 'compress': 3, 'sort': 3, 'calls': 3, 'switch': 3, 'double': 15, 'sse': 15, 'avx': 15,
          'x87': 15, 'fft': 15, 'memcpy': 4, 'memset': 4, 'strings': 4, 'chase': 1.5, 'syscall': 2, 'pipe': 2, 'fork': 2,
          'faults': 2, 'signals': 2, 'boot': 2}
LEAST, MEAN = 1.5, 4
GUEST_MIB, MEMORY = 1024, 200           # the guest's, and at most beside it
CANNOT_EXECUTE = 126                    # the shell's status: some hosts have no 32-bit programs


def cpu_seconds(pid):
    return time.clock_gettime(~pid << 3 | 2)       # the process's clock, all threads (clock_getcpuclockid)


def progress(text):
    if sys.stderr.isatty():
        print(f'\r{text:44}\r', end='', file=sys.stderr, flush=True)


def native(job):
    name, command = job
    with tempfile.NamedTemporaryFile() as out:
        process = subprocess.Popen(['sh', '-c', command], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   env={'PATH': '/usr/bin:/bin', 'LC_ALL': 'C', 'HOME': '/tmp'})
        _, status, usage = os.wait4(process.pid, 0)
        text = open(out.name, encoding='utf-8', errors='replace').read().splitlines()
    return usage.ru_utime + usage.ru_stime, status, text[-1] if text else ''


def emulate(command, jobs):
    """{name: (seconds, status, last line)} of the guest's jobs; 'boot' is what came before the first."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    start, result, tail = 0.0, {}, []
    for raw in process.stdout:
        line = raw.decode(errors='replace').strip()
        tail = tail[-30:] + [line]
        if m := re.search(r'@begin (\S+)', line):
            start = cpu_seconds(process.pid)
            result.setdefault('boot', (start, '0', ''))
            progress(f'{os.path.basename(command[0])}: {m[1]}')
        elif m := re.search(r'@end (\S+) (\d+) ?(.*)', line):
            result[m[1]] = (cpu_seconds(process.pid) - start, m[2], m[3].strip())
    process.wait()
    progress('')
    missing = [name for name, _ in jobs if name not in result]
    if missing:
        print(f'{" ".join(command)}\nended before {missing[0]}:', *tail, sep='\n', file=sys.stderr)
        sys.exit(1)
    return result


def jobs_of(a):
    names = subprocess.run([f'{a.build}/tests/bench/work64', 'list'], capture_output=True, text=True, check=True).stdout
    names = [line.split()[0] for line in names.splitlines()]
    jobs = []
    for name in names:
        if name == 'two':
            continue
        for bits in (64, 32):
            if os.path.exists(f'{a.build}/tests/bench/work{bits}'):
                jobs.append((f'{name}{bits}', f'work{bits} {name}'))
    jobs += list(guest.REAL.items())
    return [j for j in jobs if re.search(a.only, j[0])]


def command_of(a, emulator, initrd, smp=1):
    common = ['-smp', str(smp), '-m', str(GUEST_MIB), '-cpu', 'max', '-nographic', '-no-reboot',
              '-kernel', f'{a.guests}/vmlinuz', '-initrd', initrd, '-append', 'console=ttyS0 quiet mitigations=off']
    if emulator == 'qemu':
        return ['qemu-system-x86_64', '-accel', 'tcg', *common]
    return [f'{a.build}/tinamou', '-accel', a.accel, *common]


def programs_of(a):
    return {f'work{bits}': f'{a.build}/tests/bench/work{bits}' for bits in (64, 32)
            if os.path.exists(f'{a.build}/tests/bench/work{bits}')}


def limit_of(name):
    m = re.fullmatch(r'(.*?)(64|32)', name)
    return LIMITS.get(m[1] if m else name, LEAST)


def natively(a, jobs, folder):
    """The same commands here, with the programs and data at the places where the guest has them."""
    guest.data(f'{folder}/data')
    result = {}
    for name, command in jobs:
        here = command.replace('/data/', f'{folder}/data/')
        if command.startswith('work'):
            here = f'{a.build}/tests/bench/{command}'
        seconds, status, last = native((name, here))
        if os.waitstatus_to_exitcode(status) == CANNOT_EXECUTE:
            print(f'{name}: this host does not run it: {last}')
        else:
            result[name] = seconds, status, last
    return result


def compare(a, jobs, folder):
    initrd = f'{folder}/initrd.gz'
    guest.make(initrd, f'{a.guests}/packages/busybox-static/bin/busybox', programs_of(a), jobs)
    here, times, wrong = natively(a, jobs, folder), {}, []
    for _ in range(a.runs):
        pair = {}
        for who in ('qemu', 'tinamou'):
            pair[who] = emulate(command_of(a, who, initrd), jobs)
        for name in pair['qemu']:
            times.setdefault(name, []).append((pair['qemu'][name][0], pair['tinamou'][name][0]))
            for who in pair:
                should = here[name][2].strip() if name in here else pair['qemu'][name][2]
                if pair[who][name][2] != should:
                    wrong.append(f'{name}: {who} says "{pair[who][name][2]}", it should be "{should}"')
    print(f'{"work":12} {"native s":>9} {"QEMU s":>8} {"Tinamou s":>10} {"QEMU/Tinamou":>13} {"at least":>9} '
          f'{"Tinamou/native":>15}')
    ratios, missed = [], []
    for name, pairs in times.items():
        q, t = (statistics.median(column) for column in zip(*pairs))
        ratio = statistics.median(x / y for x, y in pairs)
        ratios.append(ratio)
        n = here[name][0] if name in here else None
        if ratio < limit_of(name):
            missed.append(name)
        print(f'{name:12} {n and f"{n:9.2f}" or "":>9} {q:8.2f} {t:10.2f} {ratio:13.2f} {limit_of(name):9.1f} '
              f'{n and f"{t / max(n, .01):15.2f}" or "":>15}{"  below" if ratio < limit_of(name) else ""}')
    mean = math.exp(statistics.fmean(math.log(r) for r in ratios))
    print(f'geometric mean of {len(ratios)}: {mean:.2f} (at least {MEAN}); least {min(ratios):.2f} (at least {LEAST})')
    for line in wrong:
        print('WRONG', line)
    return bool(wrong) or a.strict and (bool(missed) or mean < MEAN or min(ratios) < LEAST)


def beyond_guest(pid, guest_bytes):
    """Bytes of RAM that the process has without the guest's; translated code, mapped twice, counted once."""
    total, counted = 0, False
    with open(f'/proc/{pid}/smaps', encoding='ascii', errors='replace') as f:
        for line in f:
            if m := re.match(r'([0-9a-f]+)-([0-9a-f]+) (\S+)', line):
                counted = int(m[2], 16) - int(m[1], 16) < guest_bytes and m[3] != 'r-xs'
            elif counted and line.startswith('Rss:'):
                total += int(line.split()[1]) << 10
    return total


def memory(a, folder):
    """The most at any time, of samples twice a second."""
    n, initrd = a.memory, f'{folder}/initrd.gz'
    each = '; '.join(f'sh -c "{guest.REAL[name]}"' for name in ('python3', 'sqlite3', 'gcc'))
    together = ' & '.join(f'({each}) >/dev/null' for _ in range(n))
    # A name of one of the real programs brings them all into the guest
    guest.make(initrd, f'{a.guests}/packages/busybox-static/bin/busybox', {}, [('gcc', f'{together} & wait')])
    process = subprocess.Popen(command_of(a, 'tinamou', initrd, smp=n), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        most = max(most, beyond_guest(process.pid, GUEST_MIB << 20))
        seconds = cpu_seconds(process.pid)
        time.sleep(0.5)
    print(f'{n} processors: at most {most >> 20} MiB beyond the guest\'s memory (at most {MEMORY}); {seconds:.1f} s of processor '
          'time')
    return a.strict and most >> 20 > MEMORY


def scale(a, folder):
    """Two processes on two processors against one on one: wall time, as that is what it is about."""
    initrd = f'{folder}/initrd.gz'
    jobs = [('one', 'work64 integer'), ('two', 'work64 two')]
    guest.make(initrd, f'{a.guests}/packages/busybox-static/bin/busybox', programs_of(a), jobs)
    best = 0
    for _ in range(a.runs):
        walls = {}
        process = subprocess.Popen(command_of(a, 'tinamou', initrd, smp=2), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        for raw in process.stdout:
            if m := re.search(rb'@(begin|end) (\S+)', raw):
                walls[m[1], m[2]] = time.monotonic()
        process.wait()
        one, two = (walls[b'end', n] - walls[b'begin', n] for n in (b'one', b'two'))
        best = max(best, 2 * one / two)
        print(f'one process {one:.2f} s, two at once {two:.2f} s: {2 * one / two:.2f} times the work of one')
    print(f'best: {best:.2f} (at least 1.9)')
    return a.strict and best < 1.9


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', default='build')
    parser.add_argument('--guests', default='build/guests')
    parser.add_argument('--accel', default='dbt')
    parser.add_argument('--only', default='')
    parser.add_argument('--runs', type=int, default=1)
    parser.add_argument('--smp', action='store_true')
    parser.add_argument('--memory', type=int, metavar='N')
    parser.add_argument('--strict', action='store_true')
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if a.memory:
            return memory(a, folder)
        return scale(a, folder) if a.smp else compare(a, jobs_of(a), folder)


sys.exit(main())
