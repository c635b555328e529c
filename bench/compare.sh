#!/bin/sh
# Measures Skua and its peers side by side, and writes what came out: bench.json in the build folder,
# benchmarks.md and benchmarks.svg in docs/. Takes less than 20 minutes; the machine should be idle.
#
#   sh bench/compare.sh [OPTION...] [CASE...]      the cases named, or all
#
#   --rounds N      how often everybody takes a turn in each case (5)
#   --skip-install  do not install missing peers
#   --peers-only    without Skua
#   --build DIR     where to build (build/ of the project)
#   --out DIR       where the page and the chart go (docs/ of the project; of a part only: where it is built)
#
# In each case all competitors run one after the other, and that is repeated: what disturbs the machine
# for a while disturbs them all. A competitor that is missing, fails, or hangs gets a "-".
set -u

bench=$(cd "$(dirname "$0")" && pwd) || exit 1
project=$(dirname "$bench")
build=$project/build
out=
rounds=5
install=yes
with_skua=yes
run_seconds_max=60
turns_seconds_max=60 # of one competitor in one case: after that it gets no more turns

# Who, program, numbers of workers, cases (as shell patterns). Skua's own programs begin with bench_.
competitors='
Skua          bench_switch   1    switch
Skua          bench_spawn    1,2  spawn-*
Skua          bench_yield    1    yield
Skua          bench_channel  1,2  chan-*
Skua          bench_timer    1,2  sleep-*
Skua          bench_wake     1,2  foreign-wake
Skua          bench_parked   1,2  parked-1m
Go            go             1,2  spawn-*,chan-*,sleep-*,foreign-wake,parked-1m
Go            go             1    yield
tokio         tokio          1,2  spawn-*,chan-pingpong,chan-*-128,sleep-*,foreign-wake,parked-1m
tokio         tokio          1    yield
async-channel async_channel  1,2  chan-pingpong,chan-*-128
crossbeam     crossbeam      2    chan-*
rayon         rayon          1,2  spawn-*,foreign-wake
oneTBB        onetbb         1,2  spawn-*,foreign-wake
libgomp       openmp         1,2  spawn-*
Boost.Context boost_context  1    switch
Boost.Fiber   boost_fiber    1    spawn-*,yield,chan-*,sleep-20k-p99,parked-1m
libuv         libuv          1    sleep-*,foreign-wake
asyncio       asyncio        1    spawn-*,yield,chan-pingpong,chan-*-128,sleep-20k-p99,foreign-wake,parked-1m
ucontext      ucontext       1    switch
'
all_cases='switch spawn-join spawn-1m yield chan-pingpong chan-1p1c-0 chan-1p1c-128 chan-4p4c-0 chan-4p4c-128
    sleep-1m sleep-20k-p99 foreign-wake parked-1m'

say() {
    printf 'compare: %s\n' "$*"
}

die() {
    say "$*" >&2
    exit 1
}

usage() {
    sed -n '2,/^set -u/ { /^#/ s/^# \{0,1\}//p; }' "$0"
    exit "$1"
}

cases=
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=${2:?how many rounds}; shift ;;
    --build) build=${2:?which folder}; shift ;;
    --out) out=${2:?which folder}; shift ;;
    --skip-install) install=no ;;
    --peers-only) with_skua=no ;;
    -h | --help) usage 0 ;;
    -*) usage 2 >&2 ;;
    *) cases="$cases $1" ;;
    esac
    shift
done
if [ -z "$out" ]; then
    out=$build
    [ -n "$cases" ] || [ "$with_skua" = no ] || out=$project/docs
fi
cases=${cases:-$all_cases}

mkdir -p "$build" "$out" || die "cannot make $build and $out"
build=$(cd "$build" && pwd)
out=$(cd "$out" && pwd)
peers=$build/peers
work=$peers/work
skua=$build/release
records=$work/records
failures=$work/failures
machine=$work/machine

# Building. What cannot be built is said once and is missing afterwards.

python=python3
[ -x /usr/bin/python3 ] && python=/usr/bin/python3
command -v "$python" >/dev/null || die 'python3 is needed for the report'

# shellcheck disable=SC2086 # targets are words
build_skua() {
    say 'building Skua'
    programs=$(printf '%s' "$competitors" | awk '$1 == "Skua" { print $2 }' | sort -u)
    cmake -S "$project" -B "$skua" -DCMAKE_BUILD_TYPE=Release -DSKUA_BUILD_BENCH=ON >"$work/skua.log" 2>&1 &&
        cmake --build "$skua" -j "$(nproc)" --target $programs >>"$work/skua.log" 2>&1 && return
    tail -n 20 "$work/skua.log" >&2
    die 'Skua does not build'
}

# build_peer NAME COMMAND...: the command leaves the program in $peers/NAME.
build_peer() {
    name=$1
    shift
    rm -f "${peers:?}/$name"
    if (cd "$work/source" && "$@") >"$work/$name.log" 2>&1; then
        say "built $name"
    else
        reason=$(grep -m 1 -i error "$work/$name.log" || tail -n 1 "$work/$name.log")
        say "$name is left out, it cannot be built: $reason"
    fi
}

compile_c() {
    name=$1
    shift
    build_peer "$name" gcc -std=gnu11 -O2 -I"$bench" "$name.c" -o "$peers/$name" "$@"
}

compile_cpp() {
    name=$1
    shift
    build_peer "$name" g++ -std=c++20 -O2 -I"$bench" "$name.cpp" -o "$peers/$name" "$@"
}

compile_go() {
    cd go && env GOCACHE="$work/go-cache" GOPATH="$work/go-path" GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local \
        go build -o "$peers/go" .
}

# The crates are Debian's, from the system's registry; nothing is downloaded.
compile_rust() {
    (cd "$1" && env CARGO_TARGET_DIR="$work/cargo" cargo build --release --offline \
        --config 'source.crates-io.replace-with="system"' \
        --config 'source.system.directory="/usr/share/cargo/registry"') &&
        cp "$work/cargo/release/bench-$(printf %s "$1" | tr _ -)" "$peers/$1"
}

write_asyncio() {
    { printf '#!%s\n' "$python" && cat asyncio_tasks.py; } >"$peers/asyncio" && chmod +x "$peers/asyncio"
}

build_peers() {
    rm -rf "$work/source"
    cp -R "$bench/peers" "$work/source" || die 'cannot copy the sources of the peers'
    compile_c ucontext
    compile_c openmp -fopenmp
    compile_c libuv -luv
    compile_cpp onetbb -ltbb
    compile_cpp boost_context -lboost_context
    compile_cpp boost_fiber -lboost_fiber -lboost_context -pthread
    build_peer go compile_go
    for crate in tokio async_channel rayon crossbeam; do
        build_peer $crate compile_rust $crate
    done
    build_peer asyncio write_asyncio
}

# What the figures belong to, as "what<TAB>which" lines.

package_version() {
    dpkg-query -W -f '${Version}' "$1" 2>/dev/null | sed 's/^[0-9]*://; s/[-+~].*//'
}

describe_machine() {
    model=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)
    printf '%s, %s processors\n' "${model:-$(uname -m)}" "$(nproc)"
    printf 'Linux\t%s\n' "$(uname -r | cut -d . -f 1,2)"
    printf 'gcc\t%s\n' "$(gcc -dumpfullversion 2>/dev/null)"
    [ -x "$peers/tokio" ] && printf 'rustc\t%s\n' "$(rustc --version 2>/dev/null | cut -d ' ' -f 2)"
    [ -x "$peers/asyncio" ] && printf 'Python\t%s\n' "$("$python" --version | cut -d ' ' -f 2)"
    while read -r program name package; do
        version=$(package_version "$package")
        [ -x "$peers/$program" ] && [ -n "$version" ] && printf '%s\t%s\n' "$name" "$version"
    done <<END
go Go golang-go
tokio tokio librust-tokio-dev
async_channel async-channel librust-async-channel-dev
rayon rayon librust-rayon-dev
crossbeam crossbeam-channel librust-crossbeam-channel-dev
onetbb oneTBB libtbb-dev
boost_fiber Boost libboost1.74-dev
libuv libuv libuv1-dev
END
}

# Running.

# has_case CASE PATTERNS: whether one of the patterns, with commas between them, fits the case.
has_case() (
    set -f
    # shellcheck disable=SC2254 # a pattern is wanted
    for pattern in $(printf '%s' "$2" | tr , ' '); do
        case $1 in $pattern) exit 0 ;; esac
    done
    exit 1
)

# The competitors of a case: lines "who workers program".
competitors_of() {
    printf '%s' "$competitors" | while read -r who program workers patterns; do
        has_case "$1" "$patterns" || continue
        if [ "$who" = Skua ]; then
            [ "$with_skua" = yes ] || continue
            program=$skua/bench/$program
        else
            program=$peers/$program
        fi
        [ -x "$program" ] || continue
        for n in $(printf %s "$workers" | tr , ' '); do
            printf '%s %s %s\n' "$who" "$n" "$program"
        done
    done
}

show_progress() {
    if [ -t 1 ]; then
        printf '\r\033[K[%s/%s] %s' "$case_index" "$case_count" "$*"
    elif [ "$round" -eq 1 ]; then
        printf '[%s/%s] %s\n' "$case_index" "$case_count" "$*"
    fi
}

# A million parked tasks need some 5 GB: on a small machine a tenth of them have to do.
scale_of() {
    available_kib=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
    case $1 in
    parked-1m | sleep-1m | spawn-1m) [ "$available_kib" -gt 10000000 ] || { echo "${BENCH_SCALE:-0.1}"; return; } ;;
    esac
    echo "${BENCH_SCALE:-1}"
}

# One turn: a fresh process, one run. Records go to $work/turns/WHO.WORKERS; a failure ends its turns.
take_turn() {
    key=$1.$2
    [ ! -e "$work/turns/$key.out" ] || return 0
    started=$(date +%s)
    BENCH_RUNS=1 BENCH_SCALE=$(scale_of "$case") timeout -k 5 "$run_seconds_max" "$3" "$case" "$2" \
        </dev/null >"$work/turn" 2>"$work/turn.log"
    status=$?
    if [ $status -ne 0 ] || ! grep -q '^{"row"' "$work/turn"; then
        reason="status $status"
        [ $status -eq 124 ] || [ $status -eq 137 ] && reason="no end after $run_seconds_max s"
        printf '%s, %sw\t%s\t%s %s\n' "$1" "$2" "$case" "$reason" \
            "$(tail -n 1 "$work/turn.log" | tr '\t' ' ' | sed "s|$build/||g; s|$project/||g")" >>"$failures"
        : >"$work/turns/$key"
        : >"$work/turns/$key.out"
        return 0
    fi
    grep '^{"row"' "$work/turn" >>"$work/turns/$key"
    spent=$(($(cat "$work/turns/$key.spent" 2>/dev/null || echo 0) + $(date +%s) - started))
    echo $spent >"$work/turns/$key.spent"
    [ $((spent + spent / round)) -le $turns_seconds_max ] || : >"$work/turns/$key.out"
}

run_case() {
    rm -rf "$work/turns"
    mkdir "$work/turns" || die "cannot write to $work"
    competitors_of "$case" >"$work/competitors"
    round=1
    while [ $round -le "$rounds" ]; do
        while read -r who workers program; do
            show_progress "$case, round $round of $rounds: $who, ${workers}w"
            take_turn "$who" "$workers" "$program"
        done <"$work/competitors"
        round=$((round + 1))
    done
    for turns in "$work"/turns/*.[0-9]; do
        [ ! -e "$turns" ] || cat "$turns" >>"$records"
    done
}

# In order.

began=$(date +%s)
mkdir -p "$work" || die "cannot make $work"
rm -f "$records" "$failures"
: >"$records"
: >"$failures"
[ "$install" = no ] || sh "$bench/install_peers.sh"
[ "$with_skua" = no ] || build_skua
build_peers
describe_machine >"$machine"

case_count=$(printf '%s\n' "$cases" | wc -w)
case_index=0
for case in $cases; do
    case_index=$((case_index + 1))
    run_case
done
[ ! -t 1 ] || printf '\r\033[K'

"$python" "$bench/report.py" --records "$records" --failures "$failures" --machine "$machine" \
    --targets "$bench/targets.tsv" --remarks "$bench/remarks.tsv" \
    --json "$build/bench.json" --page "$out/benchmarks.md" --svg "$out/benchmarks.svg" || die 'the report failed'
[ ! -s "$failures" ] || { say 'failed:' && cat "$failures"; }
say "done in $((($(date +%s) - began + 59) / 60)) minutes: $build/bench.json, $out/benchmarks.md, $out/benchmarks.svg"
