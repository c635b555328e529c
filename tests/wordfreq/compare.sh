# wordfreq against coreutils: sh compare.sh WORDFREQ [SLOWER]. All words of a tree of awkward files are counted both
# ways, and must be the same; what is damaged, and nothing else, must be named.

wordfreq=${1:?usage: compare.sh WORDFREQ [SLOWER]}
# A build that is some times slower than a plain one does it once.
[ "${2:-1}" -gt 1 ] && all_jobs=5 || all_jobs="1 2 5"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../complaints.sh"
tree=$temp/tree

# damage FILE OFFSET OCTAL: overwrite one byte.
damage() {
    printf "\\$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

bytes_of() {
    wc -c <"$1"
}

plain_files() {
    mkdir -p "$tree/sub folder/-dash" "$tree/empty folder"
    echo "plain Plain PLAIN text" >"$tree/plain"
    printf 'no newline at the end' >"$tree/no newline"
    printf 'follows' >"$tree/no newline too"
    : >"$tree/empty"
    echo "spaces in a name" >"$tree/sub folder/with  spaces "
    echo "a dash in front" >"$tree/sub folder/-dash/-n"
    echo "newline in a name" >"$tree/new
line"
    echo "quotes in a name" >"$tree/\"quotes\" and 'others' and \\back\\slash"
    echo "invalid bytes in a name" >"$tree/$(printf 'invalid \377\376 utf')"
    echo "control characters in a name" >"$tree/$(printf 'tab\tescape\033bell\007')"
    printf '\000\001binary\377\200words\000in\303\244between\000' >"$tree/binary"
    printf '\037' >"$tree/one byte"
    printf '\037\000not gzip' >"$tree/nearly gzip"
    echo "text with a wrong name" >"$tree/text.gz"
    # One word of 3 MB, and words that lie across the borders of chunks, whatever their size is.
    awk 'BEGIN { for (i = 0; i < 300000; i++) printf "LongWordXy" }' >"$tree/one word"
    awk 'BEGIN { for (i = 0; i < 400000; i++) printf "w%s ", substr("abcdefghijkl", 1 + i % 7) }' \
        >"$tree/borders"
    awk 'BEGIN { for (i = 0; i < 1048576; i++) printf "x" }' >"$tree/a power of two"
    text 1 8000 >"$tree/long"
    # Many small files, in many folders.
    for folder in a b c d; do
        mkdir -p "$tree/many/$folder/$folder"
        for file in 0 1 2 3 4 5 6 7 8 9; do
            echo "small $folder file" >"$tree/many/$folder/$file"
            echo "smaller" >"$tree/many/$folder/$folder/$file"
        done
    done
}

gzip_files() {
    text 2 3000 | gzip >"$tree/good.gz"
    text 3 300 | gzip -1 >"$tree/gzip without the name"
    text 4 3000 | gzip -n >"$tree/members.gz"
    printf 'a word may go on in the next mem' | gzip >>"$tree/members.gz"
    printf 'ber' | gzip >>"$tree/members.gz"
    : | gzip >"$tree/empty.gz"
    { cat "$tree/good.gz"; head -c 1000 /dev/zero; } >"$tree/zeros behind.gz"
    { cat "$tree/good.gz"; echo "garbage behind it"; } >"$tree/garbage behind.gz"
    # Larger than the first buffer, packed and unpacked.
    text 5 30000 | gzip -1 >"$tree/large.gz"
}

damaged_files() {
    text 6 8000 | gzip >"$temp/whole.gz"
    bytes=$(bytes_of "$temp/whole.gz")

    # Cut among digits: how many of the last codes zcat still takes depends on its reading ahead.
    { text 7 3000; awk 'BEGIN { srand(1); for (i = 0; i < 9000; i++) print int(rand() * 1e9) }'; } |
        gzip >"$temp/digits.gz"
    head -c $(($(bytes_of "$temp/digits.gz") - 9000)) "$temp/digits.gz" >"$tree/cut.gz"
    head -c $((bytes - 3)) "$temp/whole.gz" >"$tree/cut in the trailer.gz"
    head -c 8 "$temp/whole.gz" >"$tree/cut in the header.gz"
    printf '\037\213' >"$tree/cut in the magic"

    cp "$temp/whole.gz" "$tree/$(printf 'checksum\n\377 "\\.gz')"
    damage "$tree/$(printf 'checksum\n\377 "\\.gz')" $((bytes - 8)) 252
    damage "$tree/$(printf 'checksum\n\377 "\\.gz')" $((bytes - 7)) 125
    cp "$temp/whole.gz" "$tree/block type.gz"
    damage "$tree/block type.gz" 10 377
    cp "$temp/whole.gz" "$tree/method.gz"
    damage "$tree/method.gz" 2 7
    for part in 1 2 3 4 5 6 7 8 9; do
        cp "$temp/whole.gz" "$tree/damaged $part.gz"
        damage "$tree/damaged $part.gz" $((bytes * part / 10)) 125
        damage "$tree/damaged $part.gz" $((bytes * part / 10 + 1)) 252
    done
    { cat "$tree/good.gz" "$tree/block type.gz"; gzip -c "$tree/plain"; } >"$tree/second member.gz"
}

other_files() {
    ln -s . "$tree/loop"
    ln -s "$tree" "$tree/sub folder/loop"
    ln -s plain "$tree/link"
    ln -s nowhere "$tree/dangling"
    mkfifo "$tree/fifo"
    echo "secret words" >"$tree/unreadable"
    chmod 0 "$tree/unreadable"
    [ "$(id -u)" -ne 0 ] || echo "skip: root may read every file, so none is unreadable here"
    mkdir "$temp/crash"
    printf 'Crash on purpose, these words are lost\n' | gzip >"$temp/crash/crash me.gz"
}

# What coreutils count, in lines "count word".
pipeline() {
    find "$1" -type f -exec sh -c 'for file; do zcat -f -- "$file"; echo; done' sh {} + 2>/dev/null |
        tr -cs 'A-Za-z' '\n' | tr 'A-Z' 'a-z' | grep . | sort | uniq -c |
        awk '{ print $1, $2 }' | sort -s -k1,1nr
}

# The files that zcat complains of, each with a zero byte.
complaints() {
    find "$1" -type f -exec sh -c 'for file; do
        zcat -f -- "$file" >/dev/null 2>&1 || printf "%s\0" "$file"
    done' sh {} +
}

is_valid_json() {
    python3 -c 'import json, sys; json.loads(sys.stdin.buffer.read().decode("utf-8"))' <"$1"
}

# names_exactly JSON LIST: its errors are those in the list. Paths are unescaped as --help says.
names_exactly() {
    python3 - "$1" "$2" <<'END'
import json, re, sys
def unescape(path):
    if "\\" not in path:
        return path.encode()
    byte = lambda m: b"\\" if m[0] == b"\\\\" else bytes([int(m[0][2:], 16)])
    return re.sub(rb"\\\\|\\x[0-9a-f][0-9a-f]", byte, path.encode())
report = json.load(open(sys.argv[1], encoding="utf-8"))
got = sorted(unescape(error["path"]) for error in report["errors"])
want = sorted(open(sys.argv[2], "rb").read().split(b"\0")[:-1])
for path in want:
    if path not in got: print("not named:", path)
for path in got:
    if path not in want: print("named:", path)
sys.exit(got != want)
END
}

same_counts() {
    counts "$1" >"$temp/got"
    cmp "$temp/got" "$2" || { diff "$temp/got" "$2" | cut -c1-100 | head -20; false; }
}

plain_files
gzip_files
damaged_files
other_files
pipeline "$tree" >"$temp/want"
{ complaints "$tree"; printf '%s\0' "$temp/crash/crash me.gz"; } >"$temp/bad"
files=$(find "$tree" "$temp/crash" -type f | tr -cd '\n' | wc -c)
files=$((files - 2)) # two names have a newline
bad=$(tr -cd '\000' <"$temp/bad" | wc -c)

# compare JOBS: run it, and check all of its report.
compare() {
    json=$temp/$1.json
    WORDFREQ_CRASH_ON="Crash on purpose" \
        "$wordfreq" --top 0 --jobs "$1" --json "$tree" "$temp/crash" >"$json" 2>"$temp/stderr"
    check "jobs $1: it runs" [ $? -eq 0 ]
    cat "$temp/stderr"
    complaints_of "$temp/stderr" >"$temp/complaints"
    check "jobs $1: nothing on stderr, no progress without a terminal" [ ! -s "$temp/complaints" ]
    [ -s "$json" ] || return
    check "jobs $1: all words are the pipeline's" same_counts "$json" "$temp/want"
    check "jobs $1: $bad errors" [ "$(named "$json")" -eq "$bad" ]
    check "jobs $1: $files files" grep -q "\"files\": $files," "$json"
    if command -v python3 >/dev/null; then
        check "jobs $1: the JSON is valid" is_valid_json "$json"
        check "jobs $1: the damaged files are named" names_exactly "$json" "$temp/bad"
    else
        echo "skip: no python3, so the JSON is not parsed"
    fi
}

for jobs in $all_jobs; do
    compare $jobs
done

"$wordfreq" "$tree/plain" "$temp/nowhere" >"$temp/report"
check "one file by name, and one that is not there" grep -q "$temp/nowhere: " "$temp/report"
check "its words" grep -q '1 .* 3  plain ' "$temp/report"
"$wordfreq" "$tree/sub folder/loop" --top 1 >"$temp/report"
check "a link that is named is followed" grep -qE '^ +1 +[0-9,]+  ' "$temp/report"
! "$wordfreq" "$temp/nowhere" >/dev/null
check "nothing readable: status 1" [ $? -eq 0 ]
! "$wordfreq" --jobs x "$tree" 2>/dev/null
check "wrong use: status 1" [ $? -eq 0 ]
"$wordfreq" --help >"$temp/report"
check "--help" grep -q -- '--top N' "$temp/report"

[ "$failures" -eq 0 ]
