#!/usr/bin/env python3
"""Boot Debian's kernel to init on Tinamou's interpreter and on QEMU's TCG, turn about, and compare.

Usage: boot.py --build DIR --guests DIR [--runs N]
Prints both times, their ratio (the limit is 12) and the guest instructions that a second of processor
time gives (at least 60 million): processor time, because the machine may have other work as well.  Exit status 1
when a limit is missed.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import time

MOST_RATIO, LEAST_MIPS = 12, 60


def run(command):
    """Wall seconds, processor seconds, and what was printed."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = process.stdout.read().decode(errors='replace')
    _, _, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    if 'init reached' not in text:
        sys.exit(f'did not reach init: {" ".join(command)}\n{text[-2000:]}')
    return seconds, usage.ru_utime + usage.ru_stime, text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', default='build')
    parser.add_argument('--guests', default='build/guests')
    parser.add_argument('--accel', default='interp')
    parser.add_argument('--runs', type=int, default=3)
    a = parser.parse_args()
    guest = ['-m', '512', '-nographic', '-no-reboot', '-kernel', f'{a.guests}/vmlinuz', '-initrd',
             f'{a.guests}/initrd.gz', '-append', 'console=ttyS0 quiet tinamou.do=poweroff']
    ours = [f'{a.build}/tinamou', '-accel', a.accel, '-d', 'stats', *guest]
    theirs = ['qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max', *guest]
    rows = []
    for i in range(a.runs):
        t, t_cpu, text = run(ours)
        q, q_cpu, _ = run(theirs)
        count = int(re.search(r'(\d+) instructions in', text)[1])
        rows.append((t, q, t / q, t_cpu / q_cpu, count / t_cpu / 1e6))
        print(f'run {i + 1}: tinamou {t:6.2f} s (processor {t_cpu:.2f}), qemu {q:6.2f} s (processor {q_cpu:.2f}), '
              f'ratio {t / q:5.2f} (processor {t_cpu / q_cpu:.2f}), {count / 1e6:.0f} million instructions, '
              f'{count / t_cpu / 1e6:.0f} million a processor second', flush=True)
    t, q, ratio, cpu_ratio, mips = (statistics.median(column) for column in zip(*rows))
    print(f'median: tinamou {t:.2f} s, qemu {q:.2f} s, ratio {ratio:.2f} (at most {MOST_RATIO}; processor time '
          f'{cpu_ratio:.2f}), {mips:.0f} million instructions a second (at least {LEAST_MIPS})')
    return ratio > MOST_RATIO or mips < LEAST_MIPS


sys.exit(main())
