#!/usr/bin/env python3
"""Boot Debian's kernel to init on Tinamou's interpreter and on QEMU's TCG, turn about, and compare.

Usage: boot.py --build DIR --guests DIR [--runs N]
Prints both times, their ratio (the limit is 12) and the guest instructions a second (at least 60
million).  Exit status 1 when a limit is missed.
"""
import argparse
import re
import statistics
import subprocess
import sys
import time

MOST_RATIO, LEAST_MIPS = 12, 60


def run(command):
    start = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace',
                          timeout=600)
    seconds = time.monotonic() - start
    text = done.stdout + done.stderr
    if 'init reached' not in text:
        sys.exit(f'did not reach init: {" ".join(command)}\n{text[-2000:]}')
    return seconds, text


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
        t, text = run(ours)
        q, _ = run(theirs)
        found = re.search(r'(\d+) instructions in ([\d.]+) s', text)
        mips = int(found[1]) / float(found[2]) / 1e6
        rows.append((t, q, t / q, mips))
        print(f'run {i + 1}: tinamou {t:6.2f} s, qemu {q:6.2f} s, ratio {t / q:5.2f}, '
              f'{int(found[1]) / 1e6:.0f} million instructions, {mips:.0f} million a second', flush=True)
    t, q, ratio, mips = (statistics.median(column) for column in zip(*rows))
    print(f'median: tinamou {t:.2f} s, qemu {q:.2f} s, ratio {ratio:.2f} (at most {MOST_RATIO}), '
          f'{mips:.0f} million instructions a second (at least {LEAST_MIPS})')
    return ratio > MOST_RATIO or mips < LEAST_MIPS


sys.exit(main())
