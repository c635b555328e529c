#!/bin/sh
# Measures Skua and its peers side by side, and writes what came out: benchmarks.md, bench.json and two charts,
# benchmarks.svg and benchmarks-ratio.svg. Takes less than 20 minutes; the machine should be idle.
#
#   sh bench/compare.sh [OPTION...]
#
#   --only ROW,...   these rows or cases only; patterns are allowed: --only 'fib,skynet,chan-*'
#   --rounds N       how often everybody takes a turn in each case (5)
#   --list           print who would take part in which case, and stop
#   --skip-install   do not install missing peers
#   --peers-only     without Skua
#   --build DIR      where to build (build/ of the project)
#   --out DIR        where the results go (docs/ of the project; of a part only: where it is built)
#
# $LACE_SOURCE may name a folder with the source of Lace, which no package has: then it takes part.
#
# In each round every competitor takes one turn in every case, the competitors of a case one right after the other:
# what disturbs the machine for a while disturbs them all. A competitor that is missing, fails, or hangs gets a "-".
# shellcheck disable=SC2030,SC2031 # loops behind a pipe have variables of their own, as is meant
set -u

bench=$(cd "$(dirname "$0")" && pwd) || exit 1
project=$(dirname "$bench")
build=$project/build
out=
rounds=5
install=yes
list=no
with_skua=yes
run_seconds_max=60
turns_seconds_max=60 # of one competitor in one case: after that it gets no more turns

# Who, program, numbers of workers, cases (as shell patterns). Skua's own programs begin with bench_.
competitors='
Skua          bench_switch           1    switch
Skua          bench_fork             1,2  fib,fib-general,skynet,nqueens,uts
Skua          bench_tree             1,2  tree-*
Skua          bench_spawn            1,2  spawn-*
Skua          bench_yield            1    yield
Skua          bench_mutex            1,2  mutex,mutex-held
Skua          bench_channel          1,2  chan-*
Skua          bench_timer            1,2  sleep-*
Skua          bench_wake             1,2  foreign-wake
Skua          bench_busy             1,2  busy-fd
Skua          bench_parked           1,2  parked-1m
Skua          bench_counted_fork     1,2  rmw-fib
Skua          bench_counted_fork     2    rmw-steal
Skua          bench_counted_mutex    1,2  rmw-mutex
Skua          bench_counted_spawn    1,2  rmw-spawn-*
Skua          bench_counted_yield    1    rmw-yield
Skua          bench_counted_channel  1,2  rmw-chan-*
Go            go             1,2  fib,skynet,nqueens,uts,tree-sleep,spawn-*,mutex,chan-*
Go            go             1,2  sleep-*,foreign-wake,busy-fd,parked-1m
Go            go             1    yield
tokio         tokio          1,2  fib,skynet,nqueens,uts,tree-sleep,spawn-*,mutex,chan-pingpong,chan-*-128
tokio         tokio          1,2  sleep-*,foreign-wake,parked-1m
tokio         tokio          1    yield
async-channel async_channel  1,2  chan-pingpong,chan-*-128
crossbeam     crossbeam      2    chan-*
rayon         rayon          1,2  fib,skynet,nqueens,uts,spawn-*,foreign-wake
oneTBB        onetbb         1,2  fib,skynet,nqueens,uts,spawn-*,foreign-wake
Lace          lace           1,2  fib,skynet,nqueens,uts
libgomp       openmp         1,2  fib,skynet,nqueens,uts,spawn-*
Boost.Context boost_context  1    switch
Boost.Fiber   boost_fiber    1    spawn-*,yield,mutex,chan-*,sleep-20k-p99,parked-1m
libuv         libuv          1    sleep-*,foreign-wake,offload-*
asyncio       asyncio        1    spawn-*,yield,mutex,chan-pingpong,chan-*-128,sleep-20k-p99,foreign-wake,parked-1m
ucontext      ucontext       1    switch
Skua          bench_io_load  1,2  echo-*,short-connections,udp-64,proxy,idle-10k
Skua          bench_blocking 1,2  offload-*
Skua          bench_files    1,2  files-30k
pthreads      pthreads       1,2  files-30k
Skua          bench_keyvalue 1,2  keyvalue-*
Redis         redis          1    keyvalue-*
epoll         epoll_io       1,2  echo-*,short-connections,udp-64
epoll         epoll_io       1    proxy,idle-10k
tokio         tokio_io       1,2  echo-*,short-connections,udp-64,proxy,idle-10k
Go            go_io          1,2  echo-*,short-connections,udp-64,proxy,idle-10k
libuv         libuv_io       1    echo-*,short-connections,udp-64,proxy,idle-10k
asyncio       asyncio_io     1    echo-*,short-connections,udp-64,proxy,idle-10k
Skua               bench_pool           1,2  pool-asleep,pool-call,pool-call-64,pool-submit,pool-map,pool-stream,pool-queue
Skua               bench_pool           1,2  pool-1m-*,pool-crash,pool-idle
Skua               bench_pool           1    pool-start-4
shared-ring        pool_ring            1,2  pool-asleep,pool-call,pool-call-64,pool-map,pool-1m-*,pool-idle
shared-ring        pool_ring            1    pool-start-4
socketpair         pool_socketpair      1,2  pool-asleep,pool-call,pool-call-64,pool-map,pool-1m-copies,pool-crash,pool-idle
socketpair         pool_socketpair      1    pool-start-4
concurrent.futures pool_futures         1,2  pool-asleep,pool-call,pool-call-64,pool-map,pool-submit,pool-queue,pool-1m-copies
concurrent.futures pool_futures         1,2  pool-crash,pool-idle
concurrent.futures pool_futures         1    pool-start-4
multiprocessing    pool_multiprocessing 1,2  pool-asleep,pool-call,pool-call-64,pool-map,pool-submit,pool-queue,pool-1m-copies
multiprocessing    pool_multiprocessing 1,2  pool-idle
multiprocessing    pool_multiprocessing 1    pool-start-4
OpenMPI            pool_openmpi         1,2  pool-call,pool-map,pool-1m-copies
OpenMPI            pool_openmpi         1    cluster-map
OpenMPI-batches    pool_openmpi_batches 1,2  pool-map
OpenMPI-batches    pool_openmpi_batches 1    cluster-map
Skua               bench_pool_mpirun    1    cluster-map
Skua               bench_gzip           1,2  gzip-500m
pigz               pool_pigz            1,2  gzip-500m
'
all_cases='fib fib-general skynet nqueens uts tree-sleep tree-pipe switch spawn-join spawn-1m yield mutex mutex-held
    chan-pingpong chan-1p1c-0 chan-1p1c-128 chan-4p4c-0 chan-4p4c-128
    sleep-1m sleep-20k-p99 foreign-wake busy-fd parked-1m
    echo-1 echo-64 echo-1k echo-10k short-connections udp-64 proxy idle-10k
    keyvalue-1 keyvalue-16
    offload-1 offload-1k files-30k
    pool-asleep pool-call pool-call-64 pool-submit pool-map pool-stream pool-queue
    pool-1m-copies pool-1m-untouched pool-1m-in-place pool-crash pool-start-4 pool-idle
    cluster-map gzip-500m
    rmw-fib rmw-steal rmw-spawn-join rmw-spawn-1m rmw-yield rmw-mutex
    rmw-chan-pingpong rmw-chan-1p1c-0 rmw-chan-1p1c-128 rmw-chan-4p4c-0 rmw-chan-4p4c-128'

say() {
    printf 'compare: %s\n' "$*"
}

die() {
    say "$*" >&2
    exit 1
}

usage() {
    sed -n '2,/^# shellcheck/ { /^# shellcheck/d; /^#/ s/^# \{0,1\}//p; }' "$0"
    exit "$1"
}

only=
while [ $# -gt 0 ]; do
    case $1 in
    --only) only=${2:?which rows}; shift ;;
    --rounds) rounds=${2:?how many rounds}; shift ;;
    --build) build=${2:?which folder}; shift ;;
    --out) out=${2:?which folder}; shift ;;
    --list) list=yes ;;
    --skip-install) install=no ;;
    --peers-only) with_skua=no ;;
    -h | --help) usage 0 ;;
    *) usage 2 >&2 ;;
    esac
    shift
done
[ "$rounds" -ge 1 ] 2>/dev/null || die "--rounds wants a number, not $rounds"
if [ -z "$out" ]; then
    out=$build
    [ -n "$only" ] || [ "$with_skua" = no ] || out=$project/docs
fi

# has_case CASE PATTERNS: whether one of the patterns, with commas between them, fits the case.
has_case() (
    set -f
    # shellcheck disable=SC2254 # a pattern is wanted
    for pattern in $(printf '%s' "$2" | tr , ' '); do
        case $1 in $pattern) exit 0 ;; esac
    done
    exit 1
)

# The cases that fit one pattern; if there is none, those that go on behind it ("echo"), or the one whose row it names:
# rows go on behind their case's name.
# shellcheck disable=SC2086 # one line is wanted
cases_of() {
    fitting=$(for one in $all_cases; do ! has_case "$one" "$1" || echo "$one"; done)
    [ -n "$fitting" ] || fitting=$(for one in $all_cases; do ! has_case "$one" "$1-*" || echo "$one"; done)
    [ -n "$fitting" ] || fitting=$(for one in $all_cases; do ! has_case "$1" "$one-*" || echo "$one"; done)
    [ -n "$fitting" ] || die "there is no row \"$1\"; the cases are:" $all_cases
    echo "$fitting"
}

if [ -n "$only" ]; then
    wanted=$(set -f; for one in $(printf '%s' "$only" | tr , ' '); do cases_of "$one" || exit; done) || exit
else
    wanted=$all_cases
fi
wanted=$(printf '%s' "$wanted" | tr -s ' \n' ,)
cases=$(for one in $all_cases; do ! has_case "$one" "$wanted" || echo "$one"; done)

mkdir -p "$build" "$out" || die "cannot make $build and $out"
build=$(cd "$build" && pwd)
out=$(cd "$out" && pwd)
peers=$build/peers
work=$peers/work
skua=$build/release
records=$work/records
failures=$work/failures
machine=$work/machine
seconds=$work/seconds

# Building. What cannot be built is said once and is missing afterwards.

python=python3
[ -x /usr/bin/python3 ] && python=/usr/bin/python3
command -v "$python" >/dev/null || die 'python3 is needed for the report'

# shellcheck disable=SC2086 # targets are words
build_skua() {
    say 'building Skua'
    programs=$(printf '%s' "$competitors" | awk '$1 == "Skua" { print $2 }' | sort -u)
    programs="$programs bench_io_skua"
    cmake -S "$project" -B "$skua" -DCMAKE_BUILD_TYPE=Release -DSKUA_BUILD_BENCH=ON >"$work/skua.log" 2>&1 &&
        cmake --build "$skua" -j "$(nproc)" --target $programs >>"$work/skua.log" 2>&1 || {
        tail -n 20 "$work/skua.log" >&2
        die 'Skua does not build'
    }
    # What its programs load under mpirun; without Open MPI there is no such target, and no such row.
    cmake --build "$skua" -j "$(nproc)" --target skua_mpi >>"$work/skua.log" 2>&1 || :
    export LD_LIBRARY_PATH="$skua${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
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

# compile_go FOLDER PROGRAM
compile_go() {
    cd "$1" && env GOCACHE="$work/go-cache" GOPATH="$work/go-path" GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local \
        go build -o "$peers/$2" .
}

# compile_rust CRATE PROGRAM
# The crates are Debian's, from the system's registry; nothing is downloaded.
compile_rust() {
    (cd "$1" && env CARGO_TARGET_DIR="$work/cargo" cargo build --release --offline \
        --config 'source.crates-io.replace-with="system"' \
        --config 'source.system.directory="/usr/share/cargo/registry"') &&
        cp "$work/cargo/release/bench-$(printf %s "$1" | tr _ -)" "$peers/$2"
}

# Lace has no package. Its settings are a header that its own build writes: all counters off.
compile_lace() {
    mkdir -p lace &&
        printf '#define LACE_%s 0\n' PIE_TIMES COUNT_TASKS COUNT_STEALS COUNT_SPLITS >lace/lace_config.h &&
        gcc -std=gnu11 -O3 -march=native -Ilace -I"$bench" -I"$LACE_SOURCE/src" lace.c "$LACE_SOURCE/src/lace.c" \
            -o "$peers/lace" -pthread -lm
}

# What takes turns in the I/O rows is the load generator, with the server of somebody behind it: build_server NAME WHO.
build_server() {
    rm -f "${peers:?}/$1"
    [ -x "$peers/io_load" ] || return 0
    [ -x "$peers/$1_server" ] || return 0
    printf '#!/bin/sh\nBENCH_WHO=%s BENCH_SERVER=%s exec %s "$@"\n' "$2" "$peers/$1_server" "$peers/io_load" \
        >"$peers/$1"
    chmod +x "$peers/$1"
}

compile_io() {
    name=$1
    shift
    build_peer "$name" gcc -std=gnu11 -O2 -I"$bench" -I"$bench/io" "$@" -o "$peers/$name"
}

build_servers() {
    compile_io io_load "$bench/io/load.c" "$bench/io/load_run.c" "$bench/io/load_server.c"
    compile_io epoll_io_server "$bench/io/serve_epoll.c" -pthread
    compile_io libuv_io_server libuv_io.c -luv
    build_peer go_io_server compile_go go_io go_io_server
    build_peer tokio_io_server compile_rust tokio_io tokio_io_server
    build_peer asyncio_io_server write_python asyncio_io.py asyncio_io_server
    build_peer redis write_redis
    build_server epoll_io epoll
    build_server libuv_io libuv
    build_server go_io Go
    build_server tokio_io tokio
    build_server asyncio_io asyncio
}

# Pools of processes by hand, and what others have. write_wrapper NAME ENVIRONMENT COMMAND
write_wrapper() {
    printf '#!/bin/sh\nexec env %s %s "$@"\n' "$2" "$3" >"$peers/$1" && chmod +x "$peers/$1"
}

compile_mpi() {
    command -v mpirun && mpicc -std=gnu11 -O2 -I"$bench" "$bench/pool/mpi.c" "$bench/pool/raw.c" \
        -o "$peers/pool_mpi_program" &&
        write_wrapper pool_openmpi BENCH_BATCH=1 "sh '$bench/pool/mpirun.sh' '$peers/pool_mpi_program'" &&
        write_wrapper pool_openmpi_batches BENCH_BATCH=64 "sh '$bench/pool/mpirun.sh' '$peers/pool_mpi_program'"
}

write_pigz() {
    command -v pigz && write_wrapper pool_pigz 'BENCH_WHO=pigz BENCH_GZIP=pigz' "sh '$bench/pool/gzip.sh'"
}

build_pools() {
    for name in ring socketpair; do
        build_peer pool_$name gcc -std=gnu11 -O2 -I"$bench" "$bench/pool/$name.c" "$bench/pool/raw.c" -o "$peers/pool_$name"
    done
    build_peer pool_openmpi compile_mpi
    for name in futures multiprocessing; do
        build_peer pool_$name write_wrapper pool_$name PYTHONDONTWRITEBYTECODE=1 \
            "'$python' '$bench/pool/python.py' $name"
    done
    build_peer pool_pigz write_pigz
}

# What gzip-500m compresses; made here, since that takes longer than a turn may. `bytes` as in bench/pool/gzip.sh.
make_corpus() {
    bytes=$(awk -v scale="${BENCH_SCALE:-1}" 'BEGIN { printf "%d", 500000000 * scale }')
    mkdir -p "$work/corpus"
    sh "$bench/pool/corpus.sh" "$work/corpus/text-$bytes" "$bytes" || { say 'there is no text for gzip-500m'; return; }
    corpus=$(cat "$work/corpus/text-$bytes.from")
    say "gzip-500m: $corpus"
}

# Redis as it comes, but for the disk, which keyvalue does not use either.
write_redis() {
    command -v redis-server && command -v redis-benchmark &&
        cat >"$peers/redis" <<END && chmod +x "$peers/redis"
#!/bin/sh
export BENCH_WHO=Redis BENCH_SERVER='redis-server --port 0 --save "" --appendonly no --unixsocket'
exec sh '$bench/io/keyvalue.sh' "\$@"
END
}

# write_python SOURCE PROGRAM
write_python() {
    { printf '#!%s\n' "$python" && cat "$1"; } >"$peers/$2" && chmod +x "$peers/$2"
}

build_peers() {
    rm -rf "$work/source"
    cp -R "$bench/peers" "$work/source" || die 'cannot copy the sources of the peers'
    compile_c ucontext
    compile_c openmp -fopenmp
    compile_c libuv -luv
    compile_c pthreads -pthread
    compile_cpp onetbb -ltbb
    compile_cpp boost_context -lboost_context
    compile_cpp boost_fiber -lboost_fiber -lboost_context -pthread
    build_peer go compile_go go go
    for crate in tokio async_channel rayon crossbeam; do
        build_peer $crate compile_rust $crate $crate
    done
    build_peer asyncio write_python asyncio_tasks.py asyncio
    build_servers
    build_pools
    rm -f "$peers/lace"
    [ -z "${LACE_SOURCE:-}" ] || build_peer lace compile_lace
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
boost_fiber Boost libboost-fiber-dev
libuv libuv libuv1-dev
redis Redis redis-server
pool_openmpi OpenMPI openmpi-bin
pool_pigz pigz pigz
END
    [ -z "$corpus" ] || printf 'gzip-500m:\t%s\n' "$corpus"
}

# Running.

# The competitors of a case, built or not: lines "case who workers program".
competitors_of() {
    printf '%s' "$competitors" | while read -r who program workers patterns; do
        has_case "$1" "$patterns" || continue
        if [ "$who" = Skua ]; then
            [ "$with_skua" = yes ] || continue
            program=$skua/bench/$program
        else
            program=$peers/$program
        fi
        for n in $(printf %s "$workers" | tr , ' '); do
            printf '%s %s %s %s\n' "$1" "$who" "$n" "$program"
        done
    done
}

# All turns of a round, without those whose program is missing.
write_plan() {
    for case in $cases; do
        competitors_of "$case"
    done | while read -r line; do
        [ ! -x "${line##* }" ] || echo "$line"
    done
}

if [ "$list" = yes ]; then
    for case in $cases; do
        competitors_of "$case"
    done | awk '
        $1 != last { printf "%s%s:", last == "" ? "" : "\n", $1; last = $1 }
        { printf " %s/%sw", $2, $3 }
        END { print "" }'
    exit 0
fi

# Minutes until the last turn has been taken. $seconds holds what turns took, in this comparison and in earlier
# ones, the latest last; one that was never taken counts as the mean of the others.
minutes_left() {
    cat /dev/null "$seconds" | awk -v plan="$work/order" -v now="$turn" -v round="$round" -v rounds="$rounds" '
    { of[$1] = $2 }
    END {
        for (key in of) { sum += of[key]; known++ }
        mean = known ? sum / known : 2
        while ((getline line < plan) > 0) {
            split(line, word, " ")
            key = word[1] "." word[2] "." word[3]
            cost = key in of ? of[key] : mean
            total += cost
            if (++position >= now) left += cost
        }
        printf "%d", (left + total * (rounds - round)) / 60 + 0.99
    }'
}

show_progress() {
    text="round $round of $rounds, turn $turn of $turns: $case, $who ${workers}w"
    if [ -t 1 ]; then
        printf '\r\033[K%s; %s min left' "$text" "$(minutes_left)"
    elif [ "$case" != "$last_case" ]; then
        printf '%s; %s min left\n' "$text" "$(minutes_left)"
    fi
    last_case=$case
}

# A million parked tasks need some 5 GB: on a small machine a tenth of them have to do.
scale_of() {
    available_kib=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
    case $1 in
    parked-1m | sleep-1m | spawn-1m) [ "$available_kib" -gt 10000000 ] || { echo "${BENCH_SCALE:-0.1}"; return; } ;;
    esac
    echo "${BENCH_SCALE:-1}"
}

# One turn: a fresh process, one run. Records go to $work/turns/CASE.WHO.WORKERS; a failure ends its turns.
take_turn() {
    key=$case.$who.$workers
    [ ! -e "$work/turns/$key.out" ] || return 0
    started=$(date +%s%N)
    BENCH_RUNS=1 BENCH_SCALE=$(scale_of "$case") BENCH_FILES=$work/files BENCH_CORPUS=$work/corpus \
        timeout -k 5 "$run_seconds_max" "$program" "$case" "$workers" \
        </dev/null >"$work/turn" 2>"$work/turn.log"
    status=$?
    took_ms=$((($(date +%s%N) - started) / 1000000))
    [ -n "${BENCH_SCALE:-}" ] || echo "$key $((took_ms / 1000)).$((took_ms % 1000 / 100))" >>"$seconds"
    if [ $status -ne 0 ] || ! grep -q '^{"row"' "$work/turn"; then
        reason="status $status"
        [ $status -eq 124 ] || [ $status -eq 137 ] && reason="no end after $run_seconds_max s"
        printf '%s, %sw\t%s\t%s %s\n' "$who" "$workers" "$case" "$reason" \
            "$(tail -n 1 "$work/turn.log" | tr '\t' ' ' | sed "s|$build/||g; s|$project/||g")" >>"$failures"
        : >"$work/turns/$key"
        : >"$work/turns/$key.out"
        return 0
    fi
    grep '^{"row"' "$work/turn" >>"$work/turns/$key"
    spent_ms=$(($(cat "$work/turns/$key.spent" 2>/dev/null || echo 0) + took_ms))
    echo $spent_ms >"$work/turns/$key.spent"
    [ $((spent_ms + spent_ms / round)) -le $((turns_seconds_max * 1000)) ] || : >"$work/turns/$key.out"
}

# Every other round goes through the plan backwards, so that nobody always comes behind the same one.
take_round() {
    cp "$work/plan" "$work/order"
    [ $((round % 2)) -eq 1 ] || tac "$work/plan" >"$work/order"
    turn=0
    while read -r case who workers program; do
        turn=$((turn + 1))
        show_progress
        take_turn
    done <"$work/order"
}

# In order.

began=$(date +%s)
mkdir -p "$work" || die "cannot make $work"
rm -rf "$work/turns"
mkdir "$work/turns" || die "cannot write to $work"
: >"$failures"
touch "$seconds"
[ "$install" = no ] || sh "$bench/install_peers.sh"
[ "$with_skua" = no ] || build_skua
build_peers
corpus=
! has_case gzip-500m "$wanted" || make_corpus
describe_machine >"$machine"

write_plan >"$work/plan"
turns=$(wc -l <"$work/plan")
[ "$turns" -gt 0 ] || die 'nothing was built that could be measured'
last_case=
round=1
measuring=$(date +%s)
while [ "$round" -le "$rounds" ]; do
    take_round
    round=$((round + 1))
done
rm -rf "${work:?}/files" "${work:?}"/corpus/text-*
[ ! -t 1 ] || printf '\r\033[K'
say "measured for $((($(date +%s) - measuring + 59) / 60)) minutes"
cat "$work"/turns/*.[0-9] >"$records"

"$python" "$bench/report.py" --records "$records" --failures "$failures" --machine "$machine" \
    --targets "$bench/targets.tsv" --remarks "$bench/remarks.tsv" --json "$out/bench.json" \
    --page "$out/benchmarks.md" --svg "$out/benchmarks.svg" --ratios "$out/benchmarks-ratio.svg" ||
    die 'the report failed'
[ ! -s "$failures" ] || { say 'failed:' && cat "$failures"; }
say "done in $((($(date +%s) - began + 59) / 60)) minutes: benchmarks.md, bench.json and the charts are in $out"
