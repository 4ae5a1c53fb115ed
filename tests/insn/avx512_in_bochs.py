#!/usr/bin/env python3
"""The EVEX and opmask rows under Bochs, for want of a processor with AVX-512.

Usage: avx512_in_bochs.py BUILD [CASES] [--kernel FILE] [--keep DIR] [--timeout SECONDS]

Boots Linux in Debian's Bochs (model corei7_skylake_x: AVX-512 F, CD, BW, DQ, VL) from a CD with BUILD's
hostrun_test as the only program, which compares what our stubs do with the same bytes run natively -
by Bochs.  So what this shows is of Bochs and of no silicon: that registers are renamed, memory operands
sized, masks and faults handled as they ought to be.  An error that Bochs itself makes on both sides is not
seen.  Rows of other extensions (IFMA, VBMI, VNNI, FP16 ...) do not run: that model has not got them, and
Bochs's models that have them do not boot this kernel.

Packages: bochs bochsbios vgabios, and those of the guests in scripts/deps.txt.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HOSTRUN = '/bin/hostrun_test'

# What Bochs 2.7 does otherwise than the manual, found by this script: (pattern of the line, the reason).
EXPLAINED = [
    (r'^vpacksswb |bit 62\w\w[89a-f]\w\w\w63\w+ .*exception -3',
     'VPACKSSWB is WIG (volume 2); Bochs takes W0 only'),
    (r'bit 62\w\w[89a-f]\w\w\w17\w+ .*exception -3', 'VEXTRACTPS is WIG (volume 2); Bochs takes W0 only'),
    (r'bit 62[0-389ab]\w{5}(2a|6e|7e|7a|7b|7c|c4|14|15|16|17|20|22)[c-f]\w',
     'X extends no general register (volume 2, 2.7.2); Bochs goes to one beyond R15'),
    (r'bit 62\w{4}\w[0-7](9[0-3]|a[0-3])\w+ .*exception -1, native 6',
     "V' extends the index of VSIB (2.7.2); Bochs wants it to be 1"),
    (r'bit 62\w{6}9[13]\w+ v(p?gatherq[dps]+) .*zmm quadword',
     'all above half a vector is zeroed (VGATHERQPS, VPGATHERQD: operation); not by Bochs'),
    (r'bit 62\w{6}[23]a[c-f]\w .*zmm quadword',
     'all above the length is zeroed (VPBROADCASTM, operation); not by Bochs'),
    (r'bit 62\w[3b]\w{4}15[4-7]\w.*memory differs',
     'disp8 counts in words (VPEXTRW, 2.7.5); not in Bochs'),
    (r'bit 62\w[3b]\w{4}20[4-7]\w.*zmm quadword',
     'disp8 counts in bytes (VPINSRB, 2.7.5); not in Bochs'),
    (r"bit 62\w{4}[13579bdf]\w(08|09|0a|0b)[c-f]\w.*zmm quadword",
     "L'L is ignored with sae (table 2-36); Bochs rounds VRNDSCALE as it says"),
]

BOCHSRC = """\
config_interface: textconfig
display_library: rfb, options="timeout=0"
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
memory: guest=512, host=512
cpu: model=corei7_skylake_x, count=1, ips=50000000, reset_on_triple_fault=0
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=cd.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=serial.txt
sound: driver=dummy
speaker: enabled=0
clock: sync=none, time0=utc
log: bochs.log
panic: action=fatal
error: action=report
info: action=ignore
"""

# clearcpuid: APERFMPERF (124), XSAVEC (321) and XSAVES (323), with which the kernel does not boot there.
ISOLINUX = """\
default test
prompt 0
timeout 1
label test
    kernel /vmlinuz
    append initrd=/initrd.gz console=ttyS0 quiet KERNEL_OPTIONS
"""
KERNEL_OPTIONS = 'clearcpuid=124,323,321 mitigations=off nokaslr no_timer_check lpj=4000000'

INIT = f"""\
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
$b mount -t tmpfs tmp /tmp
exec >/dev/ttyS0 2>&1
echo "bochs: $($b grep -m1 flags /proc/cpuinfo)"
run() {{
    {HOSTRUN} -p "/insn/hostrun/$1/avx512" CASES >/tmp/out 2>&1
    status=$?
    $b grep -v '^# skipped' /tmp/out | $b head -n 500
    echo "bochs: $1 ended with $status"
}}
run against-native
run fault-rules
echo 'bochs: end'
$b sleep 3600
"""


def libraries(program):
    """The files that the dynamic linker maps for it."""
    out = subprocess.run(['ldd', program], check=True, capture_output=True, text=True).stdout
    return re.findall(r'(/\S+) \(0x', out)


def make_cd(folder, build, kernel, cases):
    root, cd = os.path.join(folder, 'root'), os.path.join(folder, 'cd')
    for d in ('bin', 'dev', 'proc', 'tmp'):
        os.makedirs(os.path.join(root, d))
    os.makedirs(cd)
    program = os.path.join(build, 'tests/insn/hostrun_test')
    files = {program: HOSTRUN, '/bin/busybox': '/bin/busybox'} | {f: f for f in libraries(program)}
    for source, target in files.items():
        os.makedirs(os.path.dirname(root + target), exist_ok=True)
        shutil.copy(source, root + target)
    with open(root + '/init', 'w') as f:
        f.write(INIT.replace('CASES', str(cases)))
    os.chmod(root + '/init', 0o755)
    with open(cd + '/isolinux.cfg', 'w') as f:
        f.write(ISOLINUX.replace('KERNEL_OPTIONS', KERNEL_OPTIONS))
    shutil.copy(kernel, cd + '/vmlinuz')
    with open(cd + '/initrd.gz', 'w') as f:
        subprocess.run('find . | cpio --quiet -o -H newc -R 0:0 | gzip -1', shell=True, cwd=root, stdout=f,
                       check=True)
    for f in ('/usr/lib/ISOLINUX/isolinux.bin', '/usr/lib/syslinux/modules/bios/ldlinux.c32'):
        shutil.copy(f, cd)
    subprocess.run(['xorriso', '-as', 'mkisofs', '-quiet', '-o', folder + '/cd.iso', '-b', 'isolinux.bin',
                    '-c', 'boot.cat', '-no-emul-boot', '-boot-load-size', '4', '-boot-info-table', cd],
                   check=True, capture_output=True)


def run_bochs(folder, timeout):
    """What came over the serial line until 'bochs: end', the end of Bochs, or the timeout."""
    with open(folder + '/bochsrc', 'w') as f:
        f.write(BOCHSRC)
    with open(folder + '/rc', 'w') as f:
        f.write('c\n')                  # Debian's Bochs has the debugger: go on
    serial = folder + '/serial.txt'
    text = ''
    with open(folder + '/out.txt', 'w') as out:
        bochs = subprocess.Popen(['bochs', '-q', '-f', 'bochsrc', '-rc', 'rc'], cwd=folder,
                                 stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        end = time.monotonic() + timeout
        while time.monotonic() < end and bochs.poll() is None and 'bochs: end' not in text:
            time.sleep(1)
            if os.path.exists(serial):
                with open(serial, errors='replace') as f:
                    text = f.read().replace('\r', '')
        bochs.kill()
        bochs.wait()
    return text


def judge(text):
    """Lines that say an instruction differs and are not explained; whether all of it ran."""
    found = [x for x in text.splitlines() if re.match(r'\d\d-bit |\S+ \(map \d|.*ERROR:', x)]
    explained = {x: reason for x in found for pattern, reason in EXPLAINED if re.search(pattern, x)}
    wrong = [x for x in found if x not in explained]
    for reason in sorted(set(explained.values())):
        print(f'explained, {list(explained.values()).count(reason)} times: {reason}')
    ran = re.search(r'# avx512: (\d+) rows, (\d+) skipped, (\d+) cases, (\d+) of them faults', text)
    return wrong, ran


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('build')
    parser.add_argument('cases', nargs='?', type=int, default=4, help='of each row (4)')
    parser.add_argument('--kernel', help='Linux for x86-64 (BUILD/guests/vmlinuz, of scripts/guests.sh)')
    parser.add_argument('--keep', help='a new folder for what is made, to be kept')
    parser.add_argument('--timeout', type=int, default=1800, help='seconds (1800)')
    args = parser.parse_args()
    kernel = args.kernel or os.path.join(args.build, 'guests/vmlinuz')
    if not os.path.exists(kernel):
        sys.exit(f'avx512_in_bochs.py: no kernel {kernel}: scripts/guests.sh {args.build}/guests linux')
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.path.abspath(args.keep or os.path.join(temporary, 'bochs'))
        os.makedirs(folder)
        make_cd(folder, os.path.abspath(args.build), kernel, args.cases)
        text = run_bochs(folder, args.timeout)
    wrong, ran = judge(text)
    print('\n'.join(wrong[:60]))
    if 'bochs: end' not in text or not ran:
        last = '\n'.join(text.splitlines()[-15:])
        sys.exit(f'avx512_in_bochs.py: did not get to the end; the last lines:\n{last}')
    print(f'Bochs (no silicon): {ran[0][2:]}; {len(wrong)} differences')
    sys.exit(bool(wrong))


main()
