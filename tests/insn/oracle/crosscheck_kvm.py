#!/usr/bin/env python3
"""tinamou-crosscheck with KVM against interpreter and translator: one CASE, or what is generated; and what it says where
there is no KVM.  With --on-svm, on the processor that QEMU's TCG emulates with SVM (scripts/kvm-host.sh): generated cases
against that processor itself, run natively, since it is no x86 processor to compare ours with.  Exit status 77:
skipped, with the reason.

Usage: crosscheck_kvm.py CROSSCHECK [CASE | --on-svm KVM_HOST_SH GUESTS]
"""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / 'kvm'))
from on_svm import missing

# Where QEMU 7.2 ends itself, or its processor does not do the same twice.  With AVX it ends itself at VEX.L of a scalar
# instruction; with SMAP an IRET of ring 3, which reads its stack by the right of ring 0, kills the host's kernel; with
# five levels of tables the host's addresses are longer than the guest's.
TCG_CPU = 'max,-smap,-la57,-avx,-avx2,-f16c,-fma'
TCG_LEFT_OUT = [
    'bt[src]',                  # LOCK and a register: QEMU ends itself
    'iret.*|retf.*',            # as said of IRET: where the stack is not there, without SMAP, too
    'adcx|adox',                # leaves anything in RFLAGS, TF and VM, too
    'fnsave|fnstenv',           # pointers that FXRSTOR should have loaded, and does not
    'wr[fg]sbase',              # takes an address that is not canonical, which VMSAVE makes canonical
    'p.*|cvt.*|mov.*|maskmovq',     # of MMX: REX.B makes another register of one
]
ENOUGH = 5000


def run(crosscheck, *arguments):
    return subprocess.run([crosscheck, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def without_kvm(crosscheck, asked):
    """Asked for, KVM has to be there; else it is left out, and why is said in one line."""
    why = asked.stdout.removeprefix('tinamou-crosscheck: ').strip()
    rest = run(crosscheck, '--count', '1')
    said = [line for line in rest.stdout.splitlines() if line.startswith('without kvm: ')]
    if asked.returncode != 2 or said != [f'without kvm: {why}']:
        print(f'status {asked.returncode}: {asked.stdout}\nby default: {rest.stdout}')
        return 1
    print(f'skipped: {why}')
    return 77


def here(crosscheck, case):
    kvm = run(crosscheck, '--engines', 'kvm,interp', '--count', '1', '--rows', '^nop$')
    emulated = 'emulates ring 0' in kvm.stdout
    if not emulated and 'the hardware runs ring 0' not in kvm.stdout:
        return without_kvm(crosscheck, kvm)
    if not case and 'QEMU TCG CPU' in open('/proc/cpuinfo').read():
        print('skipped: QEMU\'s TCG is no x86 processor to compare with; crosscheck-on-svm compares KVM with itself')
        return 77
    # Elsewhere than in 64-bit code of ring 3 it is such a kernel's emulator that would be compared.
    which = ['--replay', case] if case else ['--seconds', '5', *(['--bits', '64'] if emulated else [])]
    return subprocess.call([crosscheck, '--engines', 'kvm,interp,dbt', *which])


def on_svm(crosscheck, kvm_host, guests):
    why = missing(guests)
    if why:
        print(f'skipped: {why}')
        return 77
    command = (f'for i in 1 2 3; do "{crosscheck}" --engines native,kvm --bits 64 --seconds 10 '
               f"--rows '^(?!({'|'.join(TCG_LEFT_OUT)})$)'; done")
    machine = subprocess.run([kvm_host, guests, 'sh', '-c', command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, env=os.environ | {'KVM_HOST_CPU': TCG_CPU})
    print(machine.stdout)
    # The kernel may still end the child of a run: at a far branch, or at one to bytes that happen to be an IRET.
    cases = sum(int(line.split()[1]) for line in machine.stdout.splitlines() if line.startswith('all '))
    return ' against ' in machine.stdout or cases < ENOUGH


if sys.argv[2:3] == ['--on-svm']:
    sys.exit(on_svm(sys.argv[1], *sys.argv[3:]))
sys.exit(here(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
