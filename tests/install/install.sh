# Install to an empty prefix, then build and run a small program against it, as a user would: by
# pkg-config and by find_package, with the shared and with the static library.
#
# sh install.sh SOURCE_DIR BUILD_DIR

set -eu
source=$1
build=$2
cc=${CC:-cc}
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT

cmake --install "$build" --prefix "$temp/first" >"$temp/log" || { cat "$temp/log"; exit 1; }
# Moved after the installation: the files must not remember the prefix.
mv "$temp/first" "$temp/prefix"
prefix=$temp/prefix

folder=$(dirname "$(find "$prefix" -name skua.pc)")
export PKG_CONFIG_PATH="$folder"
LD_LIBRARY_PATH=$(dirname "$(find "$prefix" -name libskua.so)")
export LD_LIBRARY_PATH

# check NAME PROGRAM shared|static: it runs, and is linked the way it should be.
check() {
    "$2" || { echo "$1: the program failed"; exit 1; }
    linked=static
    readelf -d "$2" | grep -q 'NEEDED.*libskua\.so\.0' && linked=shared
    [ "$linked" = "$3" ] || { echo "$1: linked $linked, expected $3"; exit 1; }
    echo "$1: ok"
}

consumer=$source/tests/install/consumer.c
$cc "$consumer" -o "$temp/a" $(pkg-config --cflags --libs skua)
check 'pkg-config skua' "$temp/a" shared
$cc "$consumer" -o "$temp/b" $(pkg-config --cflags --libs skua-static)
check 'pkg-config skua-static' "$temp/b" static

if [ -f "$folder/skua-tls.pc" ]; then
    $cc "$source/tests/install/consumer_tls.c" -o "$temp/c" $(pkg-config --cflags --libs skua-tls)
    check 'pkg-config skua-tls' "$temp/c" shared
fi

generator=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$build/CMakeCache.txt")
cmake -S "$source/tests/install" -B "$temp/build" -G "$generator" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_PREFIX_PATH="$prefix" >"$temp/log" 2>&1 &&
    cmake --build "$temp/build" >>"$temp/log" 2>&1 || { cat "$temp/log"; exit 1; }
check 'find_package skua::skua' "$temp/build/consumer_shared" shared
check 'find_package skua::skua_static' "$temp/build/consumer_static" static
[ ! -x "$temp/build/consumer_tls" ] || check 'find_package skua::tls' "$temp/build/consumer_tls" shared

for header in "$source"/include/skua/*.h; do
    [ -f "$prefix/include/skua/${header##*/}" ] || { echo "${header##*/} is not installed"; exit 1; }
done
