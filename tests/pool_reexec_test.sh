# Programs that have threads before they need a zygote: it is the program executed anew, with the
# same jobs, and main does not run again. Libraries that are loaded later.
#   sh pool_reexec_test.sh SOURCE_DIR BUILD_DIR
# covers: A67

set -eu
source=$(cd "$1" && pwd)
build=$(cd "$2" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

flags=
case $(sed -n 's/^SKUA_SANITIZE:[A-Z]*=//p' "$build/CMakeCache.txt") in
address) flags="-fsanitize=address,undefined" ;;
thread) flags="-fsanitize=thread" ;;
esac
compiler=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
# ASan looks for what a process has not freed; the zygote and its workers never come to an end.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}

cc() {
    "$compiler" -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Werror -O2 $flags \
        -I "$source/include" -I "$source/tests/reexec" "$@"
}

cd "$source/tests/reexec"
cc -fPIC -shared library.c -Wl,--build-id -o "$work/liblibrary.so"
cc -fPIC -shared -DNAME=combine late.c -Wl,--build-id -o "$work/liblate.so"
cc -fPIC -shared -DNAME=combine -DFACTOR=7 late.c -Wl,--build-id -o "$work/libother.so"
cc -fPIC -shared -DNAME=combine late.c -Wl,--build-id=none -o "$work/libplain.so"
cc -fPIC -shared -DNAME=add late.c -Wl,--build-id -o "$work/libtwice.so"
link="-L $work -llibrary -L $build -lskua -Wl,-rpath,$work:$build -pthread"
cc program.c $link -o "$work/program"
cc -no-pie -fno-pie program.c $link -Wl,--build-id=none -o "$work/fixed"
cc -DWITHOUT_JOBS program.c $link -o "$work/jobless"
mkdir "$work/here"
cd "$work/here"

failures=0
# expect NAME COMMAND...: it prints what comes on our input.
expect() {
    name=$1
    shift
    cat >"$work/expected"
    timeout 60 "$@" >"$work/printed" 2>"$work/errors" </dev/null || echo "status $?" >>"$work/printed"
    if ! diff "$work/expected" "$work/printed" >"$work/difference"; then
        echo "$name: $*"
        cat "$work/difference" "$work/errors"
        failures=$((failures + 1))
    fi
}

tell="constructors 111, main 0, variable 0, argument 7, few fds in /here"
for program in program fixed; do
    expect "executed anew" "$work/$program" threads <<END
main
tell: 0: $tell
add: 7
multiply: 12
END
done
# Forked when main had begun.
expect "forked" "$work/program" prepared <<END
main
tell: 0: constructors 111, main 1, variable 0, argument 8, few fds in /here
add: 7
multiply: 12
END
# Nothing in the executable itself says when all jobs are there.
expect "without jobs" "$work/jobless" threads <<END
main
create: -95: the program has threads, and no job of its own by which it could be executed anew: call skua_pool_prepare() first in main
END
# A variable that is meant for somebody else.
expect "a stray variable" env SKUA_ZYGOTE=3:4:1:2 "$work/program" threads <<END
main
tell: 0: constructors 111, main 0, variable 0, argument 7, few fds in /here
add: 7
multiply: 12
END
expect "two jobs with one name" "$work/program" twice "$work/libtwice.so" <<END
main
create: -17: two jobs are called 'add'
END

# When the program is killed, all that it has started ends, on a busy machine within 20 seconds.
mkfifo "$work/pipe"
"$work/program" die >"$work/pipe" 2>"$work/errors" &
program=$!
pids=$(sed -n '/^pids: /{ s///p; q; }' "$work/pipe")
kill -9 $program
wait $program 2>/dev/null || true
tries=0
for pid in $pids; do
    while kill -0 "$pid" 2>/dev/null && grep -qs '^State:[[:space:]]*[^Z]' "/proc/$pid/status"; do
        tries=$((tries + 1))
        if [ $tries -gt 400 ]; then
            echo "process $pid has outlived its program"
            failures=$((failures + 1))
            break
        fi
        sleep 0.05
    done
done
[ "$(echo $pids | wc -w)" -eq 3 ] || { echo "no processes: $pids"; failures=$((failures + 1)); }

# Libraries that are loaded when the workers are there: each worker loads them by itself.
for library in liblate libplain; do
    for mode in late late_prepared; do
        expect "$library" "$work/program" $mode "$work/$library.so" <<END
main
tell: 0: $(echo "$tell" | if [ $mode = late ]; then sed 's/argument 7/argument 4/'
    else sed 's/argument 7/argument 13/; s/main 0/main 1/'; fi)
add: 7
multiply: 12
combine: 304
combine: 304
END
    done
done
# But never another one of the same name.
cp "$work/liblate.so" "$work/replaced.so"
expect "a library that was replaced" "$work/program" late "$work/replaced.so" "$work/libother.so" <<END
main
tell: 0: $(echo "$tell" | sed 's/argument 7/argument 4/')
add: 7
multiply: 12
rename: 0
combine: -2: the library $work/replaced.so (deleted) is not there
combine: -2: the library $work/replaced.so (deleted) is not there
END

if [ -f "$build/libskua.a" ]; then
    libraries=$(pkg-config --libs --static hwloc liburing 2>/dev/null || echo "-lhwloc -luring")
    if (cd "$source/tests/reexec" && cc -static program.c library.c "$build/libskua.a" $libraries \
        -pthread -o "$work/static") >/dev/null 2>&1; then
        expect "a static program" "$work/static" threads <<END
main
tell: 0: $tell
add: 7
multiply: 12
END
    else
        echo "no static program: its libraries are not there"
    fi
fi

exit $failures
