# What the tests of wordfreq share. POSIX sh, coreutils, gzip and awk are enough.

export LC_ALL=C
umask 022

temp=$(mktemp -d)
trap 'chmod -R u+rwx "$temp"; rm -rf "$temp"' EXIT
failures=0

# check TEXT COMMAND...: the command must succeed.
check() {
    text=$1
    shift
    if "$@"; then
        echo "ok: $text"
    else
        echo "FAILED: $text"
        failures=$((failures + 1))
    fi
}

# text SEED LINES: some text, always the same for the same numbers.
text() {
    awk -v seed="$1" -v lines="$2" 'BEGIN {
        srand(seed)
        for (word = 0; word < 700; word++) {
            letters = 1 + int(rand() * rand() * 14)
            for (i = 0; i < letters; i++) {
                words[word] = words[word] sprintf("%c", 97 + int(rand() * rand() * 26))
            }
        }
        for (line = 0; line < lines; line++) {
            out = line " Line"
            for (word = 0; word < 12; word++) out = out " " words[int(rand() * 700)]
            print out "."
        }
    }'
}

# counts JSON: lines "count word", in the order of the report. Relies on one pair per line.
counts() {
    sed -n 's/^\["\([a-z]*\)", \([0-9]*\)\].*/\2 \1/p' "$1"
}

# named JSON: how many errors it has.
named() {
    grep -c '^{"path"' "$1" || :
}
