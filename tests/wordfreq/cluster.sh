# wordfreq under mpirun: sh cluster.sh WORDFREQ. Four ranks find what one process finds; the others have
# unpacked some of the files, and one whose process crashes is lost alone.

wordfreq=${1:?usage: cluster.sh WORDFREQ}
command -v mpirun >/dev/null || { echo 'mpirun is not there'; exit 77; }
. "$(dirname "$0")/lib.sh"
tree=$temp/tree
mkdir "$tree"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

# cluster RANKS ARGUMENT...: wordfreq, on so many ranks of this machine.
cluster() {
    ranks=$1
    shift
    # An MPI never gives back all that it takes; leaks of ours are looked for without one.
    ASAN_OPTIONS="${ASAN_OPTIONS-}:detect_leaks=0" timeout -k 5 100 \
        mpirun --oversubscribe --bind-to none --mca btl self,vader -n "$ranks" "$wordfreq" "$@" </dev/null
}

# number KEY JSON
number() {
    sed -n "s/.*\"$1\": \([0-9]*\),.*/\1/p" "$2" | head -n 1
}

text 1 5000 >"$temp/text"
for file in 1 2 3 4 5 6 7 8; do
    { cat "$temp/text"; text "$((file + 10))" 100; } | gzip -1 >"$tree/$file.gz"
    text "$((file + 20))" 50 >"$tree/$file"
    for again in a b c; do
        ln "$tree/$file.gz" "$tree/$file$again.gz"
    done
done
printf 'Crash on purpose, these words are lost\n' | gzip >"$tree/crash.gz"
printf 'no end' | gzip | head -c 15 >"$tree/cut.gz"
export WORDFREQ_CRASH_ON="Crash on purpose"

"$wordfreq" --top 0 --jobs 2 --json "$tree" >"$temp/alone.json"
check "alone" [ $? -eq 0 ]
cluster 4 --top 0 --jobs 2 --json "$tree" >"$temp/four.json"
check "on four ranks" [ $? -eq 0 ]
cat "$temp/four.json" | head -n 3
counts "$temp/alone.json" >"$temp/alone"
counts "$temp/four.json" >"$temp/four"
check "the same words" cmp "$temp/alone" "$temp/four"
check "there are words" [ -s "$temp/four" ]
sed -n '/^{"path"/p' "$temp/alone.json" | sort >"$temp/alone.errors"
sed -n '/^{"path"/p' "$temp/four.json" | sort >"$temp/four.errors"
check "the same errors" cmp "$temp/alone.errors" "$temp/four.errors"
check "two errors" [ "$(named "$temp/four.json")" -eq 2 ]
check "four ranks" [ "$(number ranks "$temp/four.json")" -eq 4 ]
# Once more, if this rank was done before the others had their processes.
attempts=1
while [ "$(number unpacked_elsewhere "$temp/four.json")" -eq 0 ] && [ $attempts -lt 20 ]; do
    attempts=$((attempts + 1))
    cluster 4 --top 0 --jobs 2 --json "$tree" >"$temp/four.json"
done
check "others have unpacked, in $attempts attempts" [ "$(number unpacked_elsewhere "$temp/four.json")" -gt 0 ]
check "alone, nobody else has" [ "$(number unpacked_elsewhere "$temp/alone.json")" -eq 0 ]
cluster 2 --top 3 "$tree" >"$temp/report"
check "the report says so" grep -q '^2 ranks; ' "$temp/report"
[ "$failures" -eq 0 ]
