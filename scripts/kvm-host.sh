#!/bin/sh
# Run a command on a machine that has a good /dev/kvm, where this one has none, or one whose kernel emulates
# ring 0 in software: Debian's kernel in QEMU, whose TCG emulates AMD's SVM with nested pages, so that the guest's
# KVM is the real one, with "hardware" below it.  The command sees the whole file system, as it is here; what it
# writes goes to memory and is gone afterwards.
#
# Usage: kvm-host.sh DIR COMMAND [ARGUMENT...]
#   DIR            where the kernel and its initramfs are made and kept (as of guests.sh)
#   KVM_HOST_CPU   QEMU's -cpu (max)
#   KVM_HOST_SMP   its processors (1: with more, QEMU 7.2 has been seen to stand still)
#   KVM_HOST_MEM   its memory (4G)
# Ends with the command's status; with 125 if the machine did not come up.
set -e
scripts=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || { echo "kvm-host.sh: no command" >&2; exit 125; }

"$scripts/guests.sh" "$dir" kvmhost >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# quote WORD: for the shell
quote()
{
    printf " '%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"
}

{
    printf cd
    quote "$PWD"
    echo
    for argument; do
        quote "$argument"
    done
    echo
} >"$work/command"

# The kernel's messages come through the first serial port, the command's output through the second.
qemu-system-x86_64 -accel tcg,thread=multi -cpu "${KVM_HOST_CPU:-max}" -smp "${KVM_HOST_SMP:-1}" -m "${KVM_HOST_MEM:-4G}" \
    -nodefaults -no-user-config -display none -no-reboot \
    -kernel "$dir/vmlinuz" -initrd "$dir/kvmhost.gz" -append "console=ttyS0 quiet panic=-1 mitigations=off" \
    -chardev "file,id=log,path=$work/log" -serial chardev:log \
    -chardev stdio,id=out,signal=on -serial chardev:out \
    -fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap -device virtio-9p-pci,fsdev=root,mount_tag=root \
    -fsdev "local,id=work,path=$work,security_model=none" -device virtio-9p-pci,fsdev=work,mount_tag=work </dev/null || true
if [ ! -f "$work/status" ]; then
    echo "kvm-host.sh: the machine ended before the command did; its last messages:" >&2
    tail -n 20 "$work/log" >&2
    exit 125
fi
exit "$(cat "$work/status")"
