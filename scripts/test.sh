#!/bin/sh
# sh scripts/test.sh [--quick | --nightly]
#
# Builds and runs all tests: gcc and clang, plain and with the sanitizers. Does all set-up, packages
# included (Debian, as root or with sudo). --quick: gcc release only. --nightly: both compilers with
# both sanitizers for every suite, and the long stress tests as well. Settings from outside:
# SKUA_STRESS_SECONDS, SKUA_SEED.
#
# A few suites that fail are run once more, one at a time, since a machine whose neighbours take the
# processors away for a second makes any wait too short. What passes then is named as unsteady in
# the summary, for somebody to look at. What a sanitizer has complained of is never run again, and
# nothing is in the nightly run.
#
# The last lines are a summary with "N passed, N failed" alone on a line.

set -eu
. "$(dirname "$0")/lib.sh"

mode=${1---normal}
case $mode in
--normal | --quick | --nightly) ;;
*) die 'usage: sh scripts/test.sh [--quick | --nightly]' ;;
esac

packages gcc g++ libc6-dev binutils cmake ninja-build pkg-config libhwloc-dev liburing-dev \
    libssl-dev openssl zlib1g-dev libcmocka-dev libpq-dev postgresql redis-tools redis-server \
    python3 socat curl openmpi-bin libopenmpi-dev
[ "$mode" = --quick ] || packages clang libclang-rt-dev lld util-linux

export TSAN_OPTIONS='halt_on_error=1 second_deadlock_stack=1'
export ASAN_OPTIONS='detect_stack_use_after_return=1:detect_leaks=1'
export UBSAN_OPTIONS='print_stacktrace=1'

# ThreadSanitizer dies of "unexpected memory mapping" where the kernel scatters mappings too widely.
steady='setarch -R'
$steady true 2>/dev/null || steady=

# The stress suites are short here and long in the nightly run.
export SKUA_STRESS_SECONDS="${SKUA_STRESS_SECONDS:-2}"

unsteady_max=3 # suites of one configuration that may get a second chance

passed=0
failed=0
summary=
started=$(date +%s%N)

# count NAME LOG UNSTEADY-SUITE...: add what ctest said to the totals.
count() {
    name=$1
    numbers=$(awk '
        /tests passed, .* tests? failed out of/ { failed = $4; all = $NF }
        /\*\*\*Skipped/ { skipped++ }
        END { if (all == "") exit 1; print all - failed - skipped, failed + 0, skipped + 0 }' "$2") ||
        numbers='0 1 0'
    shift 2
    second=$#
    set -- $numbers
    set -- $(($1 + second)) $(($2 - second)) "$3"
    passed=$((passed + $1))
    failed=$((failed + $2))
    line=$(printf '%-16s %4s passed %4s failed %4s skipped' "$name" "$@")
}

# failures LOG: the suites that have failed, as ctest lists them.
failures() {
    awk '/^The following tests FAILED:/ { is_list = 1; next }
        is_list && NF == 0 { is_list = 0 }
        is_list && $2 == "-" { print $3 }' "$1"
}

# give_chance LOG: run again what has failed, if it is little and no sanitizer speaks of it. Corrects
# the numbers of count(), and sets `unsteady`.
give_chance() {
    unsteady=
    names=$(failures "$1")
    [ -n "$names" ] && [ "$mode" != --nightly ] || return 0
    [ "$(printf '%s\n' "$names" | wc -l)" -le $unsteady_max ] || return 0
    ! grep -qE 'Sanitizer:|runtime error:' "$1" || return 0
    say "once more, one at a time: $(echo $names)"
    (cd "$build" && $wrapper ctest --rerun-failed --output-on-failure 2>&1 || true) |
        tee "$1.again"
    again=$(failures "$1.again")
    grep -q 'tests passed,' "$1.again" || again=$names
    for suspect in $names; do
        printf '%s\n' "$again" | grep -qxF "$suspect" || unsteady="$unsteady $suspect"
    done
}

# run NAME CTEST-OPTION...: the tests of build/test/NAME.
run() {
    configuration=$1
    shift
    from=$(date +%s%N)
    log=$build/ctest.txt
    wrapper=
    case $configuration in *tsan*) wrapper=$steady ;; esac
    (cd "$build" && $wrapper ctest --output-on-failure -j3 "$@" 2>&1 || true) | tee "$log"
    give_chance "$log"
    count "$configuration" "$log" $unsteady
    summary="$summary
$line $(seconds "$from" "$(date +%s%N)") s${unsteady:+; unsteady:$unsteady}"
}

# suite NAME COMPILER CMAKE-OPTION...: build and run one configuration.
suite() {
    name=$1
    compiler=$2
    shift 2
    build=$root/build/test/$name
    say "$name: building in build/test/$name"
    if configure "$build" -DCMAKE_C_COMPILER="$compiler" -DSKUA_WERROR=ON "$@" &&
        compile "$build"; then
        say "$name: testing"
        run "$name"
        [ "$mode" != --nightly ] || run "$name nightly" -C nightly -L nightly
    else
        failed=$((failed + 1))
        summary="$summary
$(printf '%-16s does not build' "$name")"
    fi
}

# only NAME...: the option that builds just these suites.
only() {
    names=$(printf '%s|' "$@")
    printf '%s' "-DSKUA_TESTS=/(${names%|})(_test)?\.c\$"
}

switching='fork fork_block task migrate local scope chan select mutex io par sched_stress'
lock_free='base deque inject ring wheel heap chan_ends chan_stress cancel_stress select_stress group
    queue rwlock sem wait stream gen blocking block io_net io_reuse_stress reader serve file process'
sharing='pool pool_ring pool_death pool_stream pool_submit pool_stress cluster'

# Line numbers are all that a failure needs.
suite gcc-release gcc '-DCMAKE_C_FLAGS_RELEASE=-O2 -g1'
if [ "$mode" != --quick ]; then
    # What may go wrong here is what a compiler that sees everything believes about switches.
    suite gcc-lto gcc -DSKUA_LTO=ON -DSKUA_BUILD_BENCH=OFF -DSKUA_BUILD_EXAMPLES=OFF \
        "$(only $switching)"
    # Each suite with each sanitizer, and where the compilers differ, which is in what switches, in
    # what is lock-free, and in memory that processes share, with both compilers.
    differing=$(only $switching $lock_free $sharing)
    [ "$mode" != --nightly ] || differing=-DSKUA_TESTS=.
    suite gcc-asan gcc -DSKUA_SANITIZE=address -DSKUA_BUILD_BENCH=OFF
    suite clang-tsan clang -DSKUA_SANITIZE=thread -DSKUA_BUILD_BENCH=OFF
    suite clang-asan clang -DSKUA_SANITIZE=address -DSKUA_BUILD_BENCH=OFF \
        -DSKUA_BUILD_EXAMPLES=OFF "$differing"
    suite gcc-tsan gcc -DSKUA_SANITIZE=thread -DSKUA_BUILD_BENCH=OFF \
        -DSKUA_BUILD_EXAMPLES=OFF "$differing"
fi

printf '\nSummary, after %s s:%s\n\n' "$(seconds "$started" "$(date +%s%N)")" "$summary"
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
