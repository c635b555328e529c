#!/bin/sh
# sh scripts/demo.sh [--compare] [FOLDER...]
#
# Builds Skua and counts the words below the folders with examples/wordfreq; without folders, those
# of /usr/include and /usr/share/doc. --compare counts them once more with find, zcat, tr, sort and
# uniq. Does all set-up, packages included (Debian, as root or with sudo).

set -eu
. "$(dirname "$0")/lib.sh"

compare=no
if [ "${1-}" = --compare ]; then
    compare=yes
    shift
fi
case ${1-} in
-*) die 'usage: sh scripts/demo.sh [--compare] [FOLDER...]' ;;
esac
if [ $# -eq 0 ]; then
    for folder in /usr/include /usr/share/doc; do
        [ ! -d "$folder" ] || set -- "$@" "$folder"
    done
    [ $# -gt 0 ] || die 'Which folder? There is neither /usr/include nor /usr/share/doc here.'
fi
for folder in "$@"; do
    [ -d "$folder" ] || die "$folder is not a folder."
done

packages gcc libc6-dev cmake ninja-build pkg-config libhwloc-dev liburing-dev zlib1g-dev

build=$root/build/release
wordfreq=$build/wordfreq
say 'Building Skua and wordfreq in build/release.'
configure "$build" -DCMAKE_BUILD_TYPE=Release -DSKUA_BUILD_TESTS=OFF -DSKUA_BUILD_BENCH=OFF
compile "$build"

say "Counting the words below $*"
"$wordfreq" "$@"
[ "$compare" = yes ] || exit 0

# The same by the tools of every Debian. The newline behind each file keeps its last word apart from
# the first word of the next.
pipeline() {
    find "$@" -type f -exec sh -c 'for file; do zcat -f -- "$file"; echo; done' sh {} + 2>/dev/null |
        tr -cs 'A-Za-z' '\n' | tr A-Z a-z | sort | uniq -c | awk 'NF == 2' |
        sort -k1,1nr -k2,2 | head -n 20 | awk '{ print $1, $2 }'
}

# "top" of the JSON, as lines "count word".
top() {
    tr -d ' \t\n' | sed 's/.*"top":\[//; s/\]\].*//' | tr -d '["' | tr ']' '\n' |
        sed 's/^,//' | awk -F , 'NF == 2 { print $2, $1 }'
}

temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
say 'The same with find, zcat, tr, sort and uniq.'
start=$(date +%s%N)
pipeline "$@" >"$temp/pipeline"
between=$(date +%s%N)
"$wordfreq" --json "$@" >"$temp/json"
end=$(date +%s%N)
top <"$temp/json" >"$temp/wordfreq"

theirs=$(seconds "$start" "$between")
ours=$(seconds "$between" "$end")
ratio=$(awk -v a="$theirs" -v b="$ours" 'BEGIN { printf "%.1f", a / (b > 0 ? b : 0.01) }')
say "pipeline $theirs s, wordfreq $ours s: $ratio times as fast"
if cmp -s "$temp/pipeline" "$temp/wordfreq"; then
    say 'The 20 most frequent words and their counts are the same.'
else
    say 'The 20 most frequent words differ (pipeline <, wordfreq >):'
    diff "$temp/pipeline" "$temp/wordfreq" || exit 1
fi
