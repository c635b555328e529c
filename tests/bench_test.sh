# Every benchmark runs, with a thousandth of its work, and gives records that the report understands.
# usage: bench_test.sh SOURCE BUILD

source=${1:?usage: $0 SOURCE BUILD}
build=${2:?usage: $0 SOURCE BUILD}
ls "$build"/bench/bench_* >/dev/null 2>&1 || exit 77
# Nothing is measured with a sanitizer, and it would take long.
grep -q '^SKUA_SANITIZE:STRING=$' "$build/CMakeCache.txt" || exit 77

temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
failures=0
mkdir -p "$temp/results/all" "$temp/corpus"
export BENCH_RUNS=1 BENCH_SCALE=0.001 BENCH_WORKERS=2 BENCH_CORPUS="$temp/corpus"
hangs=124 # says timeout(1)

# check NAME COMMAND...: it runs and gives records. A launcher of others that hangs is left out.
check() {
    name=$1
    shift
    "$@" >"$temp/out" 2>"$temp/err"
    status=$?
    [ "$status" -ne "$hangs" ] || { echo "$name: hangs" && return; }
    if [ "$status" -ne 0 ] || ! grep -q '^{"row"' "$temp/out"; then
        echo "$name:" && cat "$temp/out" "$temp/err"
        failures=$((failures + 1))
    fi
    grep '^{"row"' "$temp/out" >>"$temp/results/all/records"
}

for program in "$build"/bench/bench_*; do
    case $program in */bench_sim*) continue ;; esac # the simulation has a test of its own
    case $program in
    */bench_io_skua | */bench_io_epoll | */bench_io_uring_echo) continue ;; # bench_io_load starts them
    esac
    case $program in */bench_pool_mpirun) continue ;; esac # below
    case $program in */bench_gzip) command -v gunzip >/dev/null || continue ;; esac
    case $program in */bench_keyvalue) command -v redis-benchmark >/dev/null || continue ;; esac
    check "$(basename "$program")" "$program"
done
# Alone on its processor a server is started in another way.
check 'a server with one worker' "$build/bench/bench_io_load" echo-64 1

# The pools of others, as far as they are installed.
pool=$source/bench/pool
if command -v mpicc >/dev/null && command -v mpirun >/dev/null; then
    mpicc -std=gnu11 -O2 -I"$source/bench" "$pool/mpi.c" "$pool/raw.c" -o "$temp/mpi" || failures=$((failures + 1))
    check 'one message for each job' timeout 60 env BENCH_CASES='pool-call pool-1m-copies' \
        sh "$pool/mpirun.sh" "$temp/mpi"
    check 'a message for 64 jobs' timeout 60 env BENCH_CASES=cluster-map BENCH_BATCH=64 \
        sh "$pool/mpirun.sh" "$temp/mpi"
fi
if command -v python3 >/dev/null; then
    for kind in futures multiprocessing; do
        check "$kind" env PYTHONDONTWRITEBYTECODE=1 python3 "$pool/python.py" $kind
    done
fi
if command -v pigz >/dev/null; then
    check pigz env BENCH_WHO=pigz BENCH_GZIP=pigz sh "$pool/gzip.sh"
fi

if command -v python3 >/dev/null 2>&1; then
    echo 2001-02-03 >"$temp/results/all/date"
    printf 'Nobody, 3w\tfib\tstatus 9\n' >"$temp/results/all/failures"
    python3 "$source/bench/report.py" --results "$temp/results" --targets "$source/bench/targets.tsv" \
        --remarks "$source/bench/remarks.tsv" --json "$temp/bench.json" --page "$temp/page.md" \
        --svg "$temp/all.svg" --ratios "$temp/ratio.svg" || failures=$((failures + 1))
    # shellcheck disable=SC2016 # no expansion is meant
    for text in '`fib`' '`tree-sleep-ratio`' '`spawn-join`' '`chan-1p1c-128`' '`parked-1m-bytes`' '`pool-map`' \
        '`sort-int`' '`gzip-500m`' '`rmw-fib`' 'runs on 2001-02-03' 'Nobody, 3w: fib: status 9 (2001-02-03)'; do
        grep -qF "$text" "$temp/page.md" || { echo "$text is not on the page" && failures=$((failures + 1)); }
    done
fi

# Every row of the page belongs to a case that somebody measures.
sh "$source/bench/compare.sh" --list --build "$temp/build" >"$temp/list" || failures=$((failures + 1))
awk -F '[:\t]' '
    FILENAME ~ /list$/ { cases[$1] = 1; next }
    NF > 1 && !/^#/ {
        name = $1
        while (!(name in cases) && sub(/-[^-]*$/, "", name)) { }
        if (!(name in cases)) { print $1 " is on the page, but in no case"; bad = 1 }
    }
    END { exit bad }' "$temp/list" "$source/bench/targets.tsv" || failures=$((failures + 1))
[ $failures -eq 0 ]
