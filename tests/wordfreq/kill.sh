# kill -9 of a pool worker in the middle of a run: sh kill.sh WORDFREQ [SLOWER]. It costs at most the file that was
# being unpacked, which is named; all the rest is counted.

wordfreq=${1:?usage: kill.sh WORDFREQ [SLOWER]}
slower=${2:-1} # so many times slower than a plain build: so much less to count
. "$(dirname "$0")/lib.sh"
tree=$temp/tree
mkdir "$tree"

# worker_of PID: a pool worker of that process, which is a child of its zygote.
worker_of() {
    cat /proc/[0-9]*/status 2>/dev/null | awk -v run="$1" '
        /^Name:/ { name = $2 }
        /^Pid:/ { pid = $2 }
        /^PPid:/ { parent[pid] = $2; if (name == "wordfreq-unzip") workers[pid] = 1 }
        END { for (pid in workers) if (parent[parent[pid]] == run) { print pid; exit } }'
}

# same_but_one JSON: at most one error, and the counts of the tree without the file it names.
same_but_one() {
    errors=$(named "$1")
    [ "$errors" -le 1 ] || return 1
    counts "$1" >"$temp/got"
    if [ "$errors" -eq 0 ]; then
        cmp "$temp/got" "$temp/all"
        return
    fi
    lost=$(sed -n 's/^{"path": "\([^"]*\)".*/\1/p' "$1")
    echo "lost: $(sed -n 's/.*"error": "\([^"]*\)".*/\1/p' "$1")"
    mv "$lost" "$temp/lost"
    "$wordfreq" --top 0 --jobs 2 --json "$tree" >"$temp/less.json"
    mv "$temp/lost" "$lost"
    counts "$temp/less.json" | cmp - "$temp/got"
}

text 1 $((12000 / slower)) >"$temp/text"
for file in 1 2 3 4 5 6 7 8 9 10 11 12; do
    { cat "$temp/text" "$temp/text"; text "$((file + 10))" 100; } | gzip -1 >"$tree/$file.gz"
    for again in a b c d; do
        ln "$tree/$file.gz" "$tree/$file$again.gz"
    done
done
"$wordfreq" --top 0 --jobs 2 --json "$tree" >"$temp/all.json"
check "without a kill" [ "$(named "$temp/all.json")" -eq 0 ]
counts "$temp/all.json" >"$temp/all"

killed=0
[ "$slower" -gt 1 ] && delays="0 0.2" || delays="0 0.1 0.3"
for delay in $delays; do
    "$wordfreq" --top 0 --jobs 2 --json "$tree" >"$temp/killed.json" &
    run=$!
    sleep $delay
    worker=
    for attempt in 1 2 3 4 5 6 7 8; do
        [ -n "$worker" ] || worker=$(worker_of "$run")
    done
    if [ -n "$worker" ] && kill -9 "$worker" 2>/dev/null; then
        killed=$((killed + 1))
    fi
    wait "$run"
    check "killed after $delay s: it runs to its end" [ $? -eq 0 ]
    check "killed after $delay s: all but one file" same_but_one "$temp/killed.json"
done
if [ "$killed" -eq 0 ]; then
    echo "skip: every run was over before a worker could be killed"
    exit 77
fi
echo "$killed workers killed"
[ "$failures" -eq 0 ]
