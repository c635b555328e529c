# Sizes and markers: what is too long to be read at once, and what was left for later.

. "$(dirname "$0")/lib.sh"

all=$(files src include tests bench examples)

{
    # A function begins where braces open at the outermost level behind a parenthesis, and ends at a
    # brace in the first column, which also repairs the count where #if splits a block.
    code $(files src) | awk -F '\t' '
    FNR == 1 || $1 != file { file = $1; depth = 0; head = ""; start = 0 }
    $3 ~ /^[ ]*#/ || continued { continued = $3 ~ /\\$/; next }
    {
        text = $3
        sub(/[ ]+$/, "", text)
        opens = gsub(/\{/, "{", text)
        closes = gsub(/\}/, "}", text)
        if (depth == 0) {
            if (text == "") next
            if (head == "") first = $2
            head = head " " text
            if (opens > 0) {
                before = head
                sub(/[ ]*\{.*/, "", before)
                if (before ~ /\)$/ && before !~ /=/) start = first
            }
        }
        depth += opens - closes
        if (text ~ /^\}/ || depth < 0) depth = 0
        if (depth == 0 && (opens || closes || text ~ /;$/)) {
            if (start && closes) {
                size = $2 - start + 1
                if (size > 70) print $1 ":" start ": a function of " size " lines; at most 70"
                start = 0
            }
            head = ""
        }
    }'
    for file in $all; do
        lines=$(wc -l <"$file")
        [ "$lines" -le 800 ] || echo "$file:$lines: a file of $lines lines; at most 800"
    done
    [ -z "$all" ] || awk 'length($0) > 100 { print FILENAME ":" FNR ": longer than 100 columns" }' $all
    # In two halves, so that this line is not its own finding.
    markers='TO''DO|FIX''ME|XX''X|HA''CK'
    [ -z "$all" ] || grep -HnE "(^|[^A-Za-z0-9_])($markers)([^A-Za-z0-9_]|\$)" $all |
        sed 's/^\([^:]*:[0-9]*\):.*/\1: a marker; open an issue instead/'
} | report
