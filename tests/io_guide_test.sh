# The examples of docs/guide/io.md and blocking.md compile without a warning and print what they promise.
#   sh io_guide_test.sh SOURCE_DIR BUILD_DIR

set -eu
source=$1
build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The sanitizers' libraries are the program's to link.
flags=
case $(sed -n 's/^SKUA_SANITIZE:[A-Z]*=//p' "$build/CMakeCache.txt") in
address) flags="-fsanitize=address,undefined" ;;
thread) flags="-fsanitize=thread" ;;
esac
compiler=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")

# check CHAPTER EXPECTED
check() {
    awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$source/docs/guide/$1.md" >"$work/$1.c"
    "$compiler" -std=gnu11 -Wall -Wextra -Werror $flags -I "$source/include" "$work/$1.c" \
        -L "$build" -lskua -Wl,-rpath,"$build" -pthread -o "$work/$1"
    printed=$("$work/$1")
    [ "$printed" = "$2" ] || { echo "$1.md printed '$printed', expected '$2'"; exit 1; }
}

check io 'the service says: hello'
check blocking '127.0.0.1'
