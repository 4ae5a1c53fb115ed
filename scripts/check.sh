#!/bin/sh
# Everything that has to hold: builds with gcc and clang, all tests, and the tests once more under the
# address and undefined-behaviour sanitizers.  The last line is "N passed, N failed, N skipped".
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
scripts/install-deps.sh build run guests test bench || exit 1
failed=0

step()
{
    name=$1
    shift
    printf '== %s\n' "$name"
    "$@" || { echo "FAILED: $name"; failed=$((failed + 1)); }
}

quiet()
{
    "$@" >"$build.log" 2>&1 || { tail -n 40 "$build.log"; return 1; }
}

configure_once()
{
    [ -f "$1/build.ninja" ] || quiet ./configure --build="$@"
}

export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
step "build with gcc" configure_once "$build" && step "compile" quiet ninja -C "$build"
CC=clang; export CC
step "build with clang" configure_once "$build-clang" && step "compile with clang" quiet ninja -C "$build-clang"
unset CC
step "build with sanitizers" configure_once "$build-asan" --enable-asan && step "compile with sanitizers" quiet ninja -C "$build-asan"
step "build with the thread sanitizer" configure_once "$build-tsan" --enable-tsan
step "guests from Debian packages" quiet scripts/guests.sh "$build/guests" linux linux32 iso netboot grub kvmhost
step "tests" meson test -C "$build" --no-rebuild --print-errorlogs
step "tests under sanitizers" meson test -C "$build-asan" --no-rebuild --print-errorlogs \
    --no-suite boot --no-suite lint --timeout-multiplier 4
TSAN_OPTIONS="halt_on_error=1 suppressions=$PWD/tests/guest-memory.supp"; export TSAN_OPTIONS
step "threads under the thread sanitizer" meson test -C "$build-tsan" --print-errorlogs --timeout-multiplier 4 \
    core memory block chardev x86_interp
exec python3 scripts/count-tests.py "$failed" "$build" "$build-asan" "$build-tsan"
