# Each public header compiles alone, twice in a row, as C11 and as C++17, and is at most 250 lines
# long. The compilers are CC and CXX; without a C++ compiler only C is checked.

. "$(dirname "$0")/lib.sh"

# alone HEADER COMPILER...: nothing is printed when it compiles.
alone() {
    header=$1
    shift
    printf '#include <%s>\n#include <%s>\n' "$header" "$header" |
        "$@" -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I include - 2>&1
}

for file in $(files include/skua); do
    lines=$(wc -l <"$file")
    [ "$lines" -le 250 ] || echo "$file:$lines: a public header is at most 250 lines long"
    alone "${file#include/}" "${CC:-cc}" -x c -std=c11
    [ -z "${CXX-c++}" ] || alone "${file#include/}" "${CXX-c++}" -x c++ -std=c++17
done | report
