#!/bin/sh
# Installs the peers that bench/compare.sh measures, from Debian packages, when they are missing.
#
#   sh bench/install_peers.sh            install what is missing, and say what could not be had
#   sh bench/install_peers.sh --check    only say what is missing
#
# A peer that cannot be installed is named and skipped: its column then holds "-".
# Needs root or sudo only if something is missing. Exit status 0 whatever could be had.
set -u

# One peer a line: its name, then the packages that it is built from.
peers='
python3 python3
libuv gcc libc6-dev pkg-config libuv1-dev
libgomp g++
oneTBB g++ libtbb-dev
Boost.Context g++ libboost-context-dev
Boost.Fiber g++ libboost-fiber-dev libboost-context-dev
Go golang-go
tokio librust-tokio-dev
async-channel librust-tokio-dev librust-async-channel-dev
rayon librust-rayon-dev
crossbeam librust-crossbeam-channel-dev
Redis redis-server redis-tools
OpenMPI gcc libc6-dev libopenmpi-dev openmpi-bin
pigz pigz
'

say() {
    printf 'peers: %s\n' "$*"
}

is_installed() {
    dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q '^install ok installed$'
}

missing_of() {
    for package in "$@"; do
        is_installed "$package" || printf '%s ' "$package"
    done
}

# Any cargo will do for the Rust peers; Debian's is taken when there is none.
rust_tools() {
    command -v cargo >/dev/null 2>&1 || printf 'cargo rustc'
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        return 1
    fi
}

install_packages() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" \
        </dev/null >"$log" 2>&1
}

if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
    say 'this is not a Debian system: only the peers that are already here can be measured'
    exit 0
fi

# The peers with what each still lacks, one a line; nothing when all are there.
# shellcheck disable=SC2046,SC2086 # package lists are words
lacking() {
    printf '%s\n' "$peers" | while read -r name packages; do
        [ -n "$name" ] || continue
        case $packages in *librust-*) packages="$(rust_tools) $packages" ;; esac
        wanted=$(missing_of $packages)
        [ -z "$wanted" ] || printf '%s: %s\n' "$name" "$wanted"
    done
}

# What cannot be measured, and for want of which package.
say_result() {
    missing=$(lacking)
    [ -n "$missing" ] || { say 'all peers can be built'; return; }
    printf '%s\n' "$missing" | while read -r line; do
        say "missing for $line"
    done
}

if [ "${1:-}" = --check ]; then
    say_result
    exit 0
fi

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM

packages=$(lacking | cut -d ' ' -f 2- | tr ' ' '\n' | sort -u | tr '\n' ' ')
# shellcheck disable=SC2086 # package lists are words
if [ -n "$packages" ]; then
    say "installing:$packages"
    as_root apt-get update -q >"$log" 2>&1 || say 'the package lists could not be updated, going on'
    install_packages $packages || {
        say 'not all at once; trying one peer at a time'
        lacking | while IFS=: read -r name wanted; do
            install_packages $wanted || say "$name: $(tail -n 1 "$log")"
        done
    }
fi
say_result
exit 0
