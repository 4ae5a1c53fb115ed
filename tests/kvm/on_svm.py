#!/usr/bin/env python3
"""Run the tests of suite `kvm` where KVM has hardware below it: on the processor that QEMU emulates, with SVM and
nested pages (scripts/kvm-host.sh).  Exit status 77: skipped, with the reason.

Usage: on_svm.py KVM_HOST_SH GUESTS BUILD
"""
import os
import shutil
import subprocess
import sys


def missing(guests):
    """Why scripts/kvm-host.sh cannot make its machine; None: it can."""
    if not shutil.which('qemu-system-x86_64'):
        return 'qemu-system-x86_64 is missing (package qemu-system-x86)'
    if not os.path.exists(f'{guests}/kvmhost.gz'):
        return f'{guests}/kvmhost.gz is missing (make check makes it with scripts/guests.sh)'
    return None


def main(kvm_host, guests, build):
    why = missing(guests)
    if why:
        print(f'skipped: {why}')
        return 77
    # Not to the serial port at once: meson would take it for a terminal.
    tests = (f'meson test -C "{build}" --no-rebuild --suite kvm --num-processes 1 --timeout-multiplier 3 --print-errorlogs'
             ' >/dev/shm/log 2>&1; status=$?; cat /dev/shm/log; exit $status')
    return subprocess.call([kvm_host, guests, 'sh', '-c', tests])


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
