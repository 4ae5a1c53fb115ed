#!/bin/sh
# Install the Debian packages of scripts/deps.txt that are missing, for the needs named as arguments.
# Usage: install-deps.sh build run guests test
set -e
list=$(dirname "$0")/deps.txt
missing=
for need in "$@"; do
    for package in $(awk -v need="$need" '$1 == need { print $NF }' "$list"); do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null || {
    echo "install-deps: this is not Debian; please install what these packages hold:$missing" >&2
    exit 1
}
root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "install-deps: run as root:  apt-get install$missing" >&2
        exit 1
    }
    root=sudo
fi
echo "Installing:$missing"
$root apt-get update -q
$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
