#!/usr/bin/env python3
"""A live guest under two accelerators at once (docs/check.md): Debian's kernel, then all of stress-ng's CPU and
VM methods with --verify, one of each at a time, round after round; or a command of yours, once.

Usage: lockstep.py --build DIR --guests DIR [--minutes N] [--job COMMAND] [--accel OPTIONS]

By hand, as an hour is too long for make check.  Needs the package stress-ng.  Ends with status 1 at a
difference, or when a command failed, and says how many instructions were compared.  Work is given to
stress-ng by amount and not by time, since the guest's clock stands while a piece of code is compared.
"""
import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'bench'))
import guest  # noqa: E402

STRESS = ('stress-ng --cpu 1 --cpu-method {cpu} --cpu-ops 20 --vm 1 --vm-bytes 8M --vm-method {vm} --vm-ops 100 '
          '--verify --quiet')


def methods(stressor):
    """All that this stress-ng has of --cpu-method or --vm-method; it names them when it is given none of them."""
    text = subprocess.run(['stress-ng', f'--{stressor}-method', '?'], capture_output=True, text=True).stderr
    return [m for m in text.split('one of:')[1].split() if m != 'all' and ends(stressor, m)]


def ends(stressor, method):
    """Some methods' amount of work has no end (cache-lines' and prime-incdec's, of version 0.15.06)."""
    command = ['stress-ng', f'--{stressor}', '1', f'--{stressor}-method', method, f'--{stressor}-ops', '5', '--vm-bytes', '8M',
               '--timeout', '4', '--quiet']
    start = time.monotonic()
    subprocess.run(command, check=True)
    ended = time.monotonic() - start < 3
    if not ended:
        print(f'left out, as it does not end here: {stressor} method {method}')
    return ended


def stress(minutes):
    """Jobs for longer than that: one CPU and one VM method each, every one of them in every round."""
    cpu, vm = methods('cpu'), methods('vm')
    return [(f'{r}-{c}-{vm[(i + r) % len(vm)]}', STRESS.format(cpu=c, vm=vm[(i + r) % len(vm)]))
            for r in range(minutes * 2 + 1) for i, c in enumerate(cpu)]


def compared(path):
    """How many instructions have been compared, by the monitor."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(path)
        s.sendall(b'info accel\n')
        text = b''
        while not re.search(rb'instructions in them +\d+', text):
            piece = s.recv(4096)
            if not piece:
                break
            text += piece
    m = re.search(rb'instructions in them +(\d+)', text)
    return int(m[1]) if m else 0


def run(a, jobs, folder):
    initrd, monitor = f'{folder}/initrd.gz', f'{folder}/monitor'
    guest.make(initrd, f'{a.guests}/packages/busybox-static/bin/busybox', {}, jobs, [shutil.which(jobs[0][1].split()[0])])
    command = [f'{a.build}/tinamou', '-accel', f'check,{a.accel},file={a.file}', '-cpu', 'max', '-m', '1G', '-display', 'none',
               '-serial', 'stdio', '-monitor', f'unix:{monitor},server=on,wait=off', '-no-reboot', '-no-shutdown',
               '-kernel', f'{a.guests}/vmlinuz', '-initrd', initrd, '-append', 'console=ttyS0 quiet mitigations=off']
    start, ended, failed = time.monotonic(), 0, []
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for raw in process.stdout:
            line = raw.decode(errors='replace').rstrip()
            print(f'{time.monotonic() - start:7.1f} {line}', flush=True)
            if m := re.search(r'@end (\S+) (\d+)', line):
                ended += 1
                failed += [m[1]] if m[2] != '0' else []
                if ended == len(jobs) or time.monotonic() - start >= a.minutes * 60:
                    break
        else:
            print(f'ended after {ended} of {len(jobs)} commands, with status {process.wait()}')
            return 1
        print(f'{compared(monitor):,} instructions compared without a difference in {time.monotonic() - start:.0f} s; '
              f'{ended} commands, failed: {failed or "none"}')
        return bool(failed)
    finally:
        process.terminate()
        process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', default='build')
    parser.add_argument('--guests', default='build/guests')
    parser.add_argument('--minutes', type=int, default=60)
    parser.add_argument('--job', help='a command and its arguments, instead of stress-ng')
    parser.add_argument('--accel', default='a=dbt,b=interp,granularity=20000')
    parser.add_argument('--file', default='tinamou-difference.txt', help='where a difference is written')
    a = parser.parse_args()
    program = (a.job or STRESS).split()[0]
    if not shutil.which(program):
        sys.exit(f'lockstep.py: there is no program {program} here')
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(run(a, [('job', a.job)] if a.job else stress(a.minutes), folder))


main()
