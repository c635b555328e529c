#!/bin/sh
# Measures Skua and its peers side by side, and writes what came out: benchmarks.md, bench.json and two charts,
# benchmarks.svg and benchmarks-ratio.svg. Takes some 40 minutes; the machine should be idle.
#
#   sh bench/compare.sh [OPTION...] [WHAT...]
#
#   WHAT             only these sections, cases or rows; patterns are allowed: io fib 'chan-*'
#   --only WHAT,...  the same
#   --rounds N       how often everybody takes a turn in each case (5)
#   --minutes N      begin no more turns after that time, and write what there is
#   --continue       go on with what was interrupted last: what has been measured then is not measured again
#   --page           measure nothing, only write the page from the results that there are
#   --prepare        install and build everything, and stop
#   --list           print who would take part in which case, and stop
#   --skip-install   do not install missing peers
#   --peers-only     without Skua
#   --build DIR      where to build, and where results are kept (build/ of the project)
#   --out DIR        where the page goes (docs/ of the project if there are results of every case; else where it is built)
#
# $LACE_SOURCE may name a folder with the source of Lace, which no package has: then it takes part.
#
# In each round every competitor takes one turn in every case of a section, the competitors of a case one right after
# the other: what disturbs the machine for a while disturbs them all. A competitor that is missing gets a "-"; one that
# fails or hangs is listed as failed, and the others go on.
#
# Results are kept case by case, whenever all competitors of a case have taken their turns. What is interrupted loses
# the turns of one case; a case that is measured anew replaces what was known of it. The page is written from all
# results that there are, each with its date.
# shellcheck disable=SC2030,SC2031 # loops behind a pipe have variables of their own, as is meant
set -u

bench=$(cd "$(dirname "$0")" && pwd) || exit 1
project=$(dirname "$bench")
build=$project/build
out=
rounds=5
minutes=
install=yes
what_to_do=measure
goes_on=no
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
Skua          bench_par      1,2  for-*,reduce,scan,sort-*
rayon         rayon_par      1,2  for-*,reduce,sort-*
oneTBB        onetbb_par     1,2  for-*,reduce,scan,sort-int,sort-record
libstdc++     libstdcxx      1,2  sort-*
qsort         qsort          1    sort-*
Skua          bench_io_load  1,2  echo-*,short-connections,udp-64,proxy
Skua          bench_io_load  1    idle-10k
Skua          bench_blocking 1,2  offload-*
Skua          bench_files    1,2  files-30k
pthreads      pthreads       1,2  files-30k
Skua          bench_keyvalue 1,2  keyvalue-*
Redis         redis          1    keyvalue-*
epoll         epoll_io       1,2  echo-*,short-connections,udp-64
epoll         epoll_io       1    proxy,idle-10k
tokio         tokio_io       1,2  echo-*,short-connections,udp-64,proxy
tokio         tokio_io       1    idle-10k
Go            go_io          1,2  echo-*,short-connections,udp-64,proxy
Go            go_io          1    idle-10k
libuv         libuv_io       1    echo-*,short-connections,udp-64,proxy,idle-10k
asyncio       asyncio_io     1    echo-*,short-connections,udp-64,proxy,idle-10k
Skua               bench_pool           1,2  pool-asleep,pool-call,pool-call-64,pool-submit,pool-map,pool-stream
Skua               bench_pool           1,2  pool-queue,pool-1m-*,pool-crash
Skua               bench_pool           2    pool-idle
Skua               bench_pool           1    pool-start-4
shared-ring        pool_ring            1,2  pool-asleep,pool-call,pool-call-64,pool-map,pool-1m-*
shared-ring        pool_ring            2    pool-idle
shared-ring        pool_ring            1    pool-start-4
socketpair         pool_socketpair      1,2  pool-asleep,pool-call,pool-call-64,pool-map,pool-1m-copies,pool-crash
socketpair         pool_socketpair      2    pool-idle
socketpair         pool_socketpair      1    pool-start-4
concurrent.futures pool_futures         2    pool-asleep,pool-call,pool-call-64,pool-map,pool-submit,pool-queue
concurrent.futures pool_futures         2    pool-1m-copies,pool-crash,pool-idle
concurrent.futures pool_futures         1    pool-start-4
multiprocessing    pool_multiprocessing 2    pool-asleep,pool-call,pool-call-64,pool-map,pool-submit,pool-queue
multiprocessing    pool_multiprocessing 2    pool-1m-copies,pool-idle
multiprocessing    pool_multiprocessing 1    pool-start-4
OpenMPI            pool_openmpi         1,2  pool-call,pool-map,pool-1m-copies
OpenMPI            pool_openmpi         1    cluster-map
OpenMPI-batches    pool_openmpi_batches 1,2  pool-map
OpenMPI-batches    pool_openmpi_batches 1    cluster-map
Skua               bench_pool_mpirun    1    cluster-map
Skua               bench_gzip           2    gzip-500m
pigz               pool_pigz            2    gzip-500m
'
# The sections and their cases, in the order in which they are measured.
sections='
io       echo-1 echo-64 echo-1k echo-10k short-connections udp-64 proxy idle-10k keyvalue-1 keyvalue-16
files    files-30k offload-1 offload-1k
pool     pool-asleep pool-call pool-call-64 pool-submit pool-map pool-stream pool-queue
pool     pool-1m-copies pool-1m-untouched pool-1m-in-place pool-crash pool-start-4 pool-idle
cluster  cluster-map
gzip     gzip-500m
forks    fib fib-general skynet nqueens uts tree-sleep tree-pipe
tasks    switch spawn-join spawn-1m yield mutex mutex-held
channels chan-pingpong chan-1p1c-0 chan-1p1c-128 chan-4p4c-0 chan-4p4c-128
waking   sleep-1m sleep-20k-p99 foreign-wake busy-fd
parked   parked-1m
loops    for-light for-heavy for-piece reduce scan sort-int sort-int-stable sort-record sort-record-stable
counted  rmw-fib rmw-steal rmw-spawn-join rmw-spawn-1m rmw-yield rmw-mutex
counted  rmw-chan-pingpong rmw-chan-1p1c-0 rmw-chan-1p1c-128 rmw-chan-4p4c-0 rmw-chan-4p4c-128
'

# cases_in SECTION; without one: all.
cases_in() {
    printf '%s' "$sections" | awk -v section="${1:-}" \
        'section == "" || $1 == section { for (i = 2; i <= NF; i++) print $i }'
}

section_names=$(printf '%s' "$sections" | awk 'NF > 0 && !seen[$1]++ { print $1 }')
all_cases=$(cases_in)

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
    --only) only=$only,${2:?which rows}; shift ;;
    --rounds) rounds=${2:?how many rounds}; shift ;;
    --minutes) minutes=${2:?how many minutes}; shift ;;
    --build) build=${2:?which folder}; shift ;;
    --out) out=${2:?which folder}; shift ;;
    --list) what_to_do=list ;;
    --page) what_to_do=page ;;
    --prepare) what_to_do=prepare ;;
    --continue) goes_on=yes ;;
    --skip-install) install=no ;;
    --peers-only) with_skua=no ;;
    -h | --help) usage 0 ;;
    -*) usage 2 >&2 ;;
    *) only=$only,$1 ;;
    esac
    shift
done
[ "$rounds" -ge 1 ] 2>/dev/null || die "--rounds wants a number, not $rounds"
[ "${minutes:-1}" -ge 1 ] 2>/dev/null || die "--minutes wants a number, not $minutes"

# has_case CASE PATTERNS: whether one of the patterns, with commas between them, fits the case.
has_case() (
    set -f
    # shellcheck disable=SC2254 # a pattern is wanted
    for pattern in $(printf '%s' "$2" | tr , ' '); do
        case $1 in $pattern) exit 0 ;; esac
    done
    exit 1
)

# The cases of a section, or those that fit one pattern; if there is none, those that go on behind it ("echo"), or the
# one whose row it names: rows go on behind their case's name.
# shellcheck disable=SC2086 # one line is wanted
cases_of() {
    fitting=$(cases_in "$1")
    [ -n "$fitting" ] || fitting=$(for one in $all_cases; do ! has_case "$one" "$1" || echo "$one"; done)
    [ -n "$fitting" ] || fitting=$(for one in $all_cases; do ! has_case "$one" "$1-*" || echo "$one"; done)
    [ -n "$fitting" ] || fitting=$(for one in $all_cases; do ! has_case "$1" "$one-*" || echo "$one"; done)
    [ -n "$fitting" ] ||
        die "there is no row \"$1\"; the sections are:" $section_names"; the cases are:" $all_cases
    echo "$fitting"
}

if [ -n "$only" ]; then
    wanted=$(set -f; for one in $(printf '%s' "$only" | tr , ' '); do cases_of "$one" || exit; done) || exit
else
    wanted=$all_cases
fi
wanted=$(printf '%s' "$wanted" | tr -s ' \n' ,)
cases=$(for one in $all_cases; do ! has_case "$one" "$wanted" || echo "$one"; done)

mkdir -p "$build" || die "cannot make $build"
build=$(cd "$build" && pwd)
peers=$build/peers
work=$peers/work
skua=$build/release
# What is measured with other counts, or without Skua, is kept apart.
results=$peers/results${BENCH_SCALE:+-scale-$BENCH_SCALE}
[ "$with_skua" = yes ] || results=$results-peers
seconds=$work/seconds
mkdir -p "$work" "$results" || die "cannot make $work and $results"

python=python3
[ -x /usr/bin/python3 ] && python=/usr/bin/python3
command -v "$python" >/dev/null || die 'python3 is needed for the report'

# shellcheck source=bench/build.sh
. "$bench/build.sh"

# What gzip-500m compresses; made here, since that takes longer than a turn may. `bytes` as in bench/pool/gzip.sh.
make_corpus() {
    bytes=$(awk -v scale="${BENCH_SCALE:-1}" 'BEGIN { printf "%d", 500000000 * scale }')
    mkdir -p "$work/corpus"
    sh "$bench/pool/corpus.sh" "$work/corpus/text-$bytes" "$bytes" || { say 'there is no text for gzip-500m'; return; }
    corpus=$(cat "$work/corpus/text-$bytes.from")
    say "gzip-500m: $corpus"
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

# Who takes part in the cases, built or not: lines "case who workers program".
write_competitors() {
    printf '%s' "$competitors" | awk -v all="$all_cases" -v with_skua="$with_skua" -v skua="$skua/bench/" -v peers="$peers/" '
    function fits(name, patterns,    i, n, one) {
        n = split(patterns, one, ",")
        for (i = 1; i <= n; i++) {
            gsub(/\*/, ".*", one[i])
            if (name ~ "^" one[i] "$") return 1
        }
        return 0
    }
    NF == 4 && ($1 != "Skua" || with_skua == "yes") { line[++lines] = $0 }
    END {
        count = split(all, name, /[ \n]+/)
        for (i = 1; i <= count; i++) {
            for (k = 1; k <= lines; k++) {
                split(line[k], word, " ")
                if (!fits(name[i], word[4])) continue
                several = split(word[3], workers, ",")
                for (w = 1; w <= several; w++)
                    print name[i], word[1], workers[w], (word[1] == "Skua" ? skua : peers) word[2]
            }
        }
    }'
}

write_competitors >"$work/competitors"
awk -v cases="$cases" '
    BEGIN { n = split(cases, name, /[ \n]+/); while (n > 0) wanted[name[n--]] = 1 }
    wanted[$1]' "$work/competitors" >"$work/wanted"
if [ $what_to_do = list ]; then
    awk '
        $1 != last { printf "%s%s:", last == "" ? "" : "\n", $1; last = $1 }
        { printf " %s/%sw", $2, $3 }
        END { print "" }' "$work/wanted"
    exit 0
fi

# The plan: a line "round case who workers program" for each turn that is still to be taken. A section has all its rounds
# before the next one begins: what is interrupted leaves whole sections. Every other round goes through a section
# backwards, so that nobody always comes behind the same one.
write_plan() {
    while read -r line; do
        [ ! -x "${line##* }" ] || echo "$line"
    done <"$work/wanted" >"$work/present"
    for case in $cases; do
        echo "$case $(rounds_done "$case")"
    done >"$work/done"
    for section in $section_names; do
        cases_in "$section" >"$work/section"
        round=1
        while [ "$round" -le "$rounds" ]; do
            awk -v round="$round" '
                FILENAME ~ /done$/ { rounds[$1] = $2; next }
                FILENAME ~ /section$/ { is_here[$1] = 1; next }
                is_here[$1] && rounds[$1] < round { print round, $0 }
            ' "$work/done" "$work/section" "$work/present" >"$work/round"
            if [ $((round % 2)) -eq 1 ]; then cat "$work/round"; else tac "$work/round"; fi
            round=$((round + 1))
        done
    done
}

# What is known of a case, in $results/CASE: `records`, `failures`, when (`date`), how often (`rounds`), and in which
# comparison (`run`).

# How many rounds of a case this comparison already has.
rounds_done() {
    if [ "$(cat "$results/$1/run" 2>/dev/null)" = "$run" ]; then cat "$results/$1/rounds"; else echo 0; fi
}

# A round of a case is complete. What an earlier comparison knew of it makes place.
keep_group() {
    kept=$results/$group_case
    if [ "$(rounds_done "$group_case")" -eq 0 ]; then
        rm -rf "$kept"
        mkdir -p "$kept"
    fi
    cat "$work/group.records" >>"$kept/records"
    cat "$work/group.failures" >>"$kept/failures"
    date +%Y-%m-%d >"$kept/date"
    echo "$group_round" >"$kept/rounds"
    echo "$run" >"$kept/run"
}

begin_group() {
    group_round=$round
    group_case=$case
    : >"$work/group.records"
    : >"$work/group.failures"
}

# Minutes until the last turn has been taken. $seconds holds what turns took, in this comparison and in earlier
# ones, the latest last; one that was never taken counts as the mean of the others.
minutes_left() {
    cat /dev/null "$seconds" | awk -v plan="$work/plan" -v now="$turn" '
    { of[$1] = $2 }
    END {
        for (key in of) { sum += of[key]; known++ }
        mean = known ? sum / known : 2
        while ((getline line < plan) > 0) {
            split(line, word, " ")
            key = word[2] "." word[3] "." word[4]
            if (++position >= now) left += key in of ? of[key] : mean
        }
        printf "%d", left / 60 + 0.99
    }'
}

show_progress() {
    text="turn $turn of $turns: $case, round $round, $who ${workers}w"
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

# Nobody waits for more than the program of a turn, so that a signal is heard at once.
run_program() {
    BENCH_RUNS=1 BENCH_SCALE=$(scale_of "$case") BENCH_FILES=$work/files BENCH_CORPUS=$work/corpus \
        timeout -k 5 "$run_seconds_max" "$program" "$case" "$workers" \
        </dev/null >"$work/turn" 2>"$work/turn.log" &
    turn_process=$!
    wait "$turn_process"
    status=$?
    turn_process=
}

# One turn: a fresh process, one run. A failure ends its turns in this comparison.
take_turn() {
    key=$case.$who.$workers
    [ ! -e "$work/turns/$key.out" ] || return 0
    started=$(date +%s%N)
    run_program
    took_ms=$((($(date +%s%N) - started) / 1000000))
    [ "$stopped" = no ] || return 0
    [ -n "${BENCH_SCALE:-}" ] || echo "$key $((took_ms / 1000)).$((took_ms % 1000 / 100))" >>"$seconds"
    if [ $status -ne 0 ] || ! grep -q '^{"row"' "$work/turn"; then
        reason="status $status"
        [ $status -eq 124 ] || [ $status -eq 137 ] && reason="no end after $run_seconds_max s"
        printf '%s, %sw\t%s\t%s %s\n' "$who" "$workers" "$case" "$reason" \
            "$(tail -n 1 "$work/turn.log" | tr '\t' ' ' | sed "s|$build/||g; s|$project/||g")" >>"$work/group.failures"
        : >"$work/turns/$key.out"
        return 0
    fi
    grep '^{"row"' "$work/turn" >>"$work/group.records"
    spent_ms=$(($(cat "$work/turns/$key.spent" 2>/dev/null || echo 0) + took_ms))
    echo $spent_ms >"$work/turns/$key.spent"
    [ $((spent_ms + spent_ms / round)) -le $((turns_seconds_max * 1000)) ] || : >"$work/turns/$key.out"
}

# A signal ends the turn that is being taken; what has been measured is kept.
stop() {
    stopped=yes
    [ -z "$turn_process" ] || kill "$turn_process" 2>/dev/null
}

# Whether another case may begin.
may_begin() {
    [ -z "$minutes" ] || [ $(($(date +%s) - began)) -lt $((minutes * 60)) ] || stopped=late
    [ "$stopped" = no ]
}

take_turns() {
    turn=0
    group_case=
    while read -r round case who workers program; do
        turn=$((turn + 1))
        if [ "$round $case" != "$group_round $group_case" ]; then
            [ -z "$group_case" ] || keep_group
            may_begin || return 0
            begin_group
        fi
        show_progress
        take_turn
        [ "$stopped" = no ] || return 0
    done <"$work/plan"
    keep_group
}

measure() {
    if [ "$goes_on" = yes ] && [ -e "$results/run" ]; then
        run=$(cat "$results/run")
    else
        run=$(date +%Y%m%d-%H%M%S)
        echo "$run" >"$results/run"
        rm -rf "$work/turns"
    fi
    mkdir -p "$work/turns" "$results/machines" || die "cannot write to $work"
    touch "$seconds"
    describe_machine >"$results/machines/$(date +%Y-%m-%d)"
    write_plan >"$work/plan"
    turns=$(wc -l <"$work/plan")
    if [ "$turns" -eq 0 ]; then
        [ "$goes_on" = yes ] || die 'nothing was built that could be measured'
        say 'everything has been measured'
        return
    fi
    last_case=
    group_round=
    turn_process=
    stopped=no
    trap stop HUP INT TERM
    measuring=$(date +%s)
    take_turns
    trap - HUP INT TERM
    [ ! -t 1 ] || printf '\r\033[K'
    say "measured for $((($(date +%s) - measuring + 59) / 60)) minutes"
    [ "$stopped" = no ] || say "stopped before the end; --continue takes the turns that are left"
}

# Whether a case has results, or nobody who takes part in it could be built here.
is_known() {
    [ ! -e "$results/$1/records" ] || return 0
    awk -v name="$1" '$1 == name { print $4 }' "$work/competitors" | {
        while read -r program; do [ ! -x "$program" ] || exit 1; done
    }
}

# The page is that of docs/ only with results of every case.
write_page() {
    missing=$(for case in $all_cases; do is_known "$case" || printf '%s ' "$case"; done)
    if [ -z "$out" ]; then
        out=$build
        if [ -z "$missing" ] && [ -z "${BENCH_SCALE:-}" ] && [ "$with_skua" = yes ]; then out=$project/docs; fi
    fi
    [ -z "$missing" ] || say "not measured yet: $missing"
    mkdir -p "$out" || die "cannot make $out"
    "$python" "$bench/report.py" --results "$results" --targets "$bench/targets.tsv" --remarks "$bench/remarks.tsv" \
        --json "$out/bench.json" --page "$out/benchmarks.md" --svg "$out/benchmarks.svg" \
        --ratios "$out/benchmarks-ratio.svg" || die 'the report failed'
    for case in $all_cases; do
        cat "$results/$case/failures" 2>/dev/null
    done >"$work/failures"
    [ ! -s "$work/failures" ] || { say 'failed:' && cat "$work/failures"; }
    say "benchmarks.md, bench.json and the charts are in $out"
}

# In order.

began=$(date +%s)
if [ $what_to_do = page ]; then
    write_page
    exit 0
fi
[ "$install" = no ] || sh "$bench/install_peers.sh"
[ "$with_skua" = no ] || build_skua
build_peers
corpus=
! has_case gzip-500m "$wanted" || make_corpus
if [ $what_to_do = measure ]; then
    measure
    write_page
fi
say "done in $((($(date +%s) - began + 59) / 60)) minutes"
