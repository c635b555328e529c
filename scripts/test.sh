#!/bin/sh
# sh scripts/test.sh [--quick | --nightly]
#
# Builds and runs all tests: gcc and clang, plain and with the sanitizers. Does all set-up, packages
# included (Debian, as root or with sudo). --quick: gcc release only. --nightly: the long stress
# tests as well. Settings from outside: SKUA_STRESS_SECONDS, SKUA_SEED.
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

passed=0
failed=0
summary=
started=$(date +%s%N)

# count NAME LOG: add what ctest said to the totals.
count() {
    numbers=$(awk '
        /tests passed, .* tests? failed out of/ { failed = $4; all = $NF }
        /\*\*\*Skipped/ { skipped++ }
        END { if (all == "") exit 1; print all - failed - skipped, failed + 0, skipped + 0 }' "$2") ||
        numbers='0 1 0'
    set -- "$1" $numbers
    passed=$((passed + $2))
    failed=$((failed + $3))
    line=$(printf '%-16s %4s passed %4s failed %4s skipped' "$1" "$2" "$3" "$4")
}

# run NAME CTEST-OPTION...: the tests of build/test/NAME.
run() {
    name=$1
    shift
    from=$(date +%s%N)
    log=$build/ctest.txt
    wrapper=
    case $name in *tsan*) wrapper=$steady ;; esac
    (cd "$build" && $wrapper ctest --output-on-failure -j3 "$@" 2>&1 || true) | tee "$log"
    count "$name" "$log"
    summary="$summary
$line $(seconds "$from" "$(date +%s%N)") s"
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

# Line numbers are all that a failure needs.
suite gcc-release gcc '-DCMAKE_C_FLAGS_RELEASE=-O2 -g1'
if [ "$mode" != --quick ]; then
    # What may go wrong here is what a compiler that sees everything believes about switches.
    suite gcc-lto gcc -DSKUA_LTO=ON -DSKUA_BUILD_BENCH=OFF -DSKUA_BUILD_EXAMPLES=OFF \
        '-DSKUA_TESTS=/(fork|fork_block|task|migrate|local|scope|chan|select|mutex|io|par|sched_stress)(_test)?\.c$'
    suite gcc-asan gcc -DSKUA_SANITIZE=address -DSKUA_BUILD_BENCH=OFF
    suite gcc-tsan gcc -DSKUA_SANITIZE=thread -DSKUA_BUILD_BENCH=OFF
    suite clang-asan clang -DSKUA_SANITIZE=address -DSKUA_BUILD_BENCH=OFF
    suite clang-tsan clang -DSKUA_SANITIZE=thread -DSKUA_BUILD_BENCH=OFF
fi

printf '\nSummary, after %s s:%s\n\n' "$(seconds "$started" "$(date +%s%N)")" "$summary"
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
