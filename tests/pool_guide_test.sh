# The example of docs/guide/pool.md compiles without a warning and prints what the chapter says.
#   sh pool_guide_test.sh SOURCE_DIR BUILD_DIR

set -eu
source=$1
build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$source/docs/guide/pool.md" >"$work/example.c"

# The sanitizers' libraries are the program's to link.
flags=
case $(sed -n 's/^SKUA_SANITIZE:[A-Z]*=//p' "$build/CMakeCache.txt") in
address) flags="-fsanitize=address,undefined" ;;
thread) flags="-fsanitize=thread" ;;
esac
compiler=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")

"$compiler" -std=gnu11 -Wall -Wextra -Werror $flags -I "$source/include" "$work/example.c" \
    -L "$build" -lskua -Wl,-rpath,"$build" -pthread -o "$work/example"

"$work/example" | sed 's/worker [0-9]*/worker N/' >"$work/printed"
printf '%s\n' "job 'count_lines': worker N was killed by signal 6 (Aborted)" "2 lines" >"$work/expected"
diff "$work/expected" "$work/printed"
