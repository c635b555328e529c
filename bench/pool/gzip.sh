#!/bin/sh
# Compresses 500 MB of text as gzip -6 does, with WORKERS processes or threads: gzip.sh [CASE [WORKERS]]
#
# $BENCH_GZIP is the program, $BENCH_WHO its name; the text is made by corpus.sh, in $BENCH_CORPUS or a folder that goes
# away again. What comes out is checked with gunzip. Prints records like the other benchmarks, see bench.h.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
program=${BENCH_GZIP:?the program}
who=${BENCH_WHO:?the name of the program}
workers=${2:-${BENCH_WORKERS:-1}}
runs=${BENCH_RUNS:-5}
bytes=$(awk -v scale="${BENCH_SCALE:-1}" 'BEGIN { printf "%d", 500000000 * scale }')

folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
corpus=${BENCH_CORPUS:-$folder}
mkdir -p "$corpus" || exit 1
text=$corpus/text-$bytes
sh "$here/corpus.sh" "$text" "$bytes" || exit 1
cat "$text" >"$folder/packed" # so that it is in memory, and the output has pages as well

run=0
: >"$folder/times"
while [ "$run" -lt "$runs" ]; do
    run=$((run + 1))
    start=$(date +%s%N)
    "$program" -6 -c -p "$workers" <"$text" >"$folder/packed" 2>"$folder/log" || { cat "$folder/log" >&2; exit 1; }
    echo "$((($(date +%s%N) - start) / 1000))" >>"$folder/times"
done
gunzip -c <"$folder/packed" | cmp - "$text" || exit 1
packed=$(stat -c %s "$folder/packed")

sort -n "$folder/times" | awk -v who="$who" -v workers="$workers" -v packed="$packed" '
    { ms[NR] = $1 / 1e3 }
    function put(row, unit, median, least, most) {
        printf "{\"row\":\"%s\",\"who\":\"%s\",\"workers\":%d,\"unit\":\"%s\",", row, who, workers, unit
        printf "\"median\":%.3f,\"min\":%.3f,\"max\":%.3f,\"runs\":%d}\n", median, least, most, NR
    }
    END {
        put("gzip-500m", "ms", (ms[int((NR + 1) / 2)] + ms[int(NR / 2) + 1]) / 2, ms[1], ms[NR])
        put("gzip-500m-size", "MiB", packed / 1048576, packed / 1048576, packed / 1048576)
    }'
