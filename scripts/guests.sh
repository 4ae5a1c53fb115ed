#!/bin/sh
# Make guests to boot from Debian's packages, which are downloaded and unpacked but not installed.
#
# Usage: guests.sh DIR WHAT...
#   linux     vmlinuz and initrd.gz: Debian's amd64 kernel and an initramfs with busybox
#   linux32   vmlinuz32 and initrd32.gz: the same with the kernel of Debian's i386 installer
#   iso       tinamou.iso: linux behind isolinux, on the serial port and the screen
#   netboot   netboot.iso: Debian's network installer behind isolinux, on the VBE framebuffer
#   grub      grub.iso: GRUB's rescue CD
#   kvmhost   vmlinuz and kvmhost.gz: the machine of kvm-host.sh
# What is there already is kept.  The installer gets no serial console: its menu would go there.
set -e
scripts=$(cd "$(dirname "$0")" && pwd)
dir=$1
shift
mkdir -p "$dir"
cd "$dir"

# unpack PACKAGE: its files below packages/PACKAGE
unpack()
{
    [ -d "packages/$1" ] && return
    mkdir -p packages
    rm -rf "packages/$1.new"
    echo "Fetching $1"
    (cd packages && { apt-get download -q "$1" || { apt-get update -q && apt-get download -q "$1"; }; }) >&2
    dpkg-deb -x "$(ls packages/"$1"_*.deb | tail -n 1)" "packages/$1.new"
    rm -f packages/"$1"_*.deb
    mv "packages/$1.new" "packages/$1"
}

# The package that the meta package of Debian's kernel stands for today.
kernel_package()
{
    name=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image-/ { print $2; exit }')
    if [ -z "$name" ]; then
        apt-get update -q >&2
        name=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
    fi
    echo "$name"
}

# pack FILE: the folder initramfs, which goes
pack()
{
    (cd initramfs && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) | gzip -9n >"$1.new"
    mv "$1.new" "$1"
    rm -rf initramfs
}

# initramfs FILE BUSYBOX [MODULE...]: busybox, modules, and scripts/guest-init as /init
initramfs()
{
    file=$1
    busybox=$2
    shift 2
    rm -rf initramfs
    mkdir -p initramfs/bin initramfs/dev initramfs/proc initramfs/sys initramfs/tmp
    cp "$busybox" initramfs/bin/busybox
    mkdir initramfs/modules
    [ $# = 0 ] || cp "$@" initramfs/modules/
    cp "$scripts/guest-init" initramfs/init
    chmod 755 initramfs/init initramfs/bin/busybox
    pack "$file"
}

# isolinux_iso FILE FOLDER: a bootable CD of the folder, which has its isolinux.cfg
isolinux_iso()
{
    cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$2/"
    xorriso -as mkisofs -quiet -J -R -V TINAMOU -o "$1.new" -b isolinux.bin -c boot.cat -no-emul-boot \
        -boot-load-size 4 -boot-info-table "$2"
    mv "$1.new" "$1"
    rm -rf "$2"
}

make_linux()
{
    [ -f vmlinuz ] && [ -f initrd.gz ] && [ initrd.gz -nt "$scripts/guest-init" ] && [ initrd.gz -nt "$scripts/guests.sh" ] && return
    package=$(kernel_package)
    unpack "$package"
    unpack busybox-static
    cp "packages/$package"/boot/vmlinuz-* vmlinuz
    # Without button.ko the kernel does not listen to the power button.
    initramfs initrd.gz packages/busybox-static/bin/busybox \
        $(find "packages/$package" -name button.ko)
}

make_iso()
{
    make_linux
    [ tinamou.iso -nt initrd.gz ] && return
    mkdir -p iso
    cp vmlinuz initrd.gz iso/
    cat >iso/isolinux.cfg <<END
serial 0 115200
default linux
prompt 0
timeout 10
label linux
    kernel /vmlinuz
    append initrd=/initrd.gz console=tty0 console=ttyS0,115200
END
    isolinux_iso tinamou.iso iso
}

make_netboot()
{
    [ netboot.iso -nt "$scripts/guests.sh" ] && return
    unpack debian-installer-12-netboot-amd64
    images=packages/debian-installer-12-netboot-amd64/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
    mkdir -p netboot
    cp "$images/linux" "$images/initrd.gz" netboot/
    cat >netboot/isolinux.cfg <<END
default install
prompt 0
timeout 10
label install
    kernel /linux
    append initrd=/initrd.gz vga=788
END
    isolinux_iso netboot.iso netboot
}

make_linux32()
{
    [ -f vmlinuz32 ] && [ -f initrd32.gz ] && [ initrd32.gz -nt "$scripts/guest-init" ] && return
    unpack debian-installer-12-netboot-i386
    images=packages/debian-installer-12-netboot-i386/usr/lib/debian-installer/images/12/i386/text/debian-installer/i386
    cp "$images/linux" vmlinuz32
    # The i386 installer's own busybox, and the libraries it needs.
    cp "$images/initrd.gz" installer32.gz
    initrd32
}

# The installer's user land with our /init in front of it.
initrd32()
{
    rm -rf initramfs
    mkdir initramfs
    (cd initramfs && zcat ../installer32.gz | cpio --quiet -idm --no-absolute-filenames 'bin/*' 'lib/*' 'sbin/*' 2>/dev/null)
    rm -rf initramfs/lib/modules initramfs/lib/firmware
    mkdir -p initramfs/dev initramfs/proc initramfs/sys initramfs/tmp
    cp "$scripts/guest-init" initramfs/init
    chmod 755 initramfs/init
    pack initrd32.gz
    rm installer32.gz
}

make_grub()
{
    [ -f grub.iso ] && return
    unpack grub-rescue-pc
    cp packages/grub-rescue-pc/usr/lib/grub-rescue/grub-rescue-cdrom.iso grub.iso
}

# The modules in the order in which they can be loaded.
make_kvmhost()
{
    make_linux
    [ kvmhost.gz -nt "$scripts/kvm-host-init" ] && [ kvmhost.gz -nt "$scripts/guests.sh" ] && return
    package=packages/$(kernel_package)
    version=$(ls "$package/lib/modules")
    [ -f "$package/lib/modules/$version/modules.dep" ] || depmod -b "$package" "$version"
    rm -rf initramfs
    mkdir -p initramfs/bin initramfs/dev initramfs/proc initramfs/sys initramfs/modules
    for module in virtio_pci 9p 9pnet_virtio overlay kvm-amd; do
        modprobe -d "$package" -S "$version" --show-depends "$module"
    done | while read -r _ file _; do
        [ -f "initramfs/modules/${file##*/}" ] && continue
        cp "$file" initramfs/modules/
        echo "${file##*/}" >>initramfs/modules/order
    done
    cp packages/busybox-static/bin/busybox initramfs/bin/
    cp "$scripts/kvm-host-init" initramfs/init
    chmod 755 initramfs/init
    pack kvmhost.gz
}

for what; do
    case $what in
    linux | linux32 | iso | netboot | grub | kvmhost) make_$what ;;
    *) echo "guests.sh: no guest '$what'" >&2; exit 1 ;;
    esac
done
