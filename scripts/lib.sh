# What the scripts share: finding and installing what they need. POSIX sh.

export LC_ALL=C
root=$(cd "$(dirname "$0")/.." && pwd)

say() {
    printf '%s\n' "-- $*"
}

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

# missing PACKAGE...: those that are not installed.
missing() {
    for package in "$@"; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=none
        [ "$state" = installed ] || printf '%s ' "$package"
    done
}

# packages PACKAGE...: install what is missing (Debian and its relatives). Elsewhere the same tools
# may be there under other names; that is for the user to see to.
packages() {
    if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
        for tool in cc cmake pkg-config; do
            command -v "$tool" >/dev/null 2>&1 || elsewhere "$tool is missing" "$@"
        done
        pkg-config --exists hwloc || elsewhere 'the development files of hwloc are missing' "$@"
        return 0
    fi
    wanted=$(missing "$@")
    if [ -z "$wanted" ]; then
        say 'All packages are there.'
        return 0
    fi
    say "Installing packages: $wanted"
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || die "Installing packages needs root or sudo. As root:
    apt-get install $wanted"
        as_root=sudo
    fi
    log=$(mktemp)
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update >"$log" 2>&1 &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
            $wanted >>"$log" 2>&1 || {
        tail -n 30 "$log"
        rm -f "$log"
        die "apt-get could not install: $wanted"
    }
    rm -f "$log"
}

# elsewhere WHAT PACKAGE...: what to do where there is no apt-get.
elsewhere() {
    what=$1
    shift
    die "$what, and this system has no apt-get to install it with.
Please install these with your package manager (names as in Debian), then run this again:
    $*"
}

# configure FOLDER CMAKE-OPTION...: quick when nothing has changed.
configure() {
    folder=$1
    shift
    generator='Unix Makefiles'
    command -v ninja >/dev/null 2>&1 && generator=Ninja
    # A folder keeps the generator that it was made with.
    [ -f "$folder/CMakeCache.txt" ] &&
        generator=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$folder/CMakeCache.txt")
    quietly "$folder" cmake -S "$root" -B "$folder" -G "$generator" "$@"
}

# compile FOLDER
compile() {
    quietly "$1" cmake --build "$1" --parallel "$(nproc)"
}

# quietly FOLDER COMMAND...: its output is shown only when it fails.
quietly() {
    mkdir -p "$1"
    log=$1/log.txt
    shift
    "$@" >"$log" 2>&1 || {
        status=$?
        cat "$log"
        return $status
    }
}

# seconds FROM TO: the difference of two `date +%s%N`.
seconds() {
    awk -v from="$1" -v to="$2" 'BEGIN { printf "%.2f", (to - from) / 1e9 }'
}
