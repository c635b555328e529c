#!/bin/sh
# Makes a server of keys and values work by redis-benchmark: keyvalue.sh [CASE [WORKERS]]
#
# $BENCH_SERVER is the command that starts it, but for the path of its Unix socket, $BENCH_WHO its name. The cases are
# keyvalue-N: 50 connections, each with N requests under way. One worker: the server has the first processor, the
# client the second; two: both share both. Prints records like the other benchmarks, see bench.h.
set -u

server=${BENCH_SERVER:?the command that starts the server}
who=${BENCH_WHO:?the name of the server}
cases=${1:-keyvalue-1 keyvalue-16}
workers=${2:-${BENCH_WORKERS:-1}}
command -v redis-benchmark >/dev/null || { echo 'redis-benchmark is not there' >&2; exit 77; }

requests=$(awk -v scale="${BENCH_SCALE:-1}" 'BEGIN { n = 100000 * scale; printf "%d", (n < 1000 ? 1000 : n) }')
there= here=
if [ "$workers" = 1 ] && taskset -c 0,1 true 2>/dev/null; then
    there='taskset -c 0' here='taskset -c 1'
fi

folder=$(mktemp -d) || exit 1
socket=$folder/socket
log=$folder/log
pid=
clean_up() {
    [ -z "$pid" ] || { kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; }
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# shellcheck disable=SC2086 # words are wanted
SKUA_WORKERS=$workers $there $server "$socket" >"$log" 2>&1 &
pid=$!
tries=0
until [ "$(redis-cli -s "$socket" ping 2>/dev/null)" = PONG ]; do
    tries=$((tries + 1))
    kill -0 "$pid" 2>/dev/null && [ $tries -lt 200 ] || { cat "$log" >&2; exit 1; }
    sleep 0.05
done

for case in $cases; do
    # shellcheck disable=SC2086
    $here redis-benchmark -s "$socket" -t ping_mbulk,set,get -n "$requests" -c 50 -P "${case#keyvalue-}" -q --csv \
        >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
    # Requests in a second become microseconds for each.
    tr -d '"' <"$log" | awk -F , -v name="$case" -v who="$who" -v workers="$workers" '
        $1 ~ /^(PING_MBULK|SET|GET)$/ && $2 > 0 {
            row = tolower($1)
            sub(/_mbulk/, "", row)
            us = 1e6 / $2
            printf "{\"row\": \"%s-%s\", \"who\": \"%s\", \"workers\": %d, \"unit\": \"us\", ", name, row, who, workers
            printf "\"median\": %.3f, \"min\": %.3f, \"max\": %.3f, \"runs\": 1}\n", us, us, us
            rows++
        }
        END { exit rows != 3 }' || { cat "$log" >&2; exit 1; }
done
