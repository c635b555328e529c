# Every order stronger than relaxed says why: within the 6 lines above the call, or inside it,
# stands a comment with "pairs", "orders" or "publishes". Calls span lines, so they are followed to
# their end.

. "$(dirname "$0")/lib.sh"

for file in $(files src | grep -v '^src/base/atomic\.h$'); do
    code "$file" | awk -F '\t' -v raw="$file" '
    # The text of the call that starts at `from`, up to its closing parenthesis.
    function call(from, line,    text, i, c, depth, result) {
        text = substr(text_of[line], from)
        for (end_line = line; end_line <= lines; text = text_of[++end_line]) {
            for (i = 1; i <= length(text); i++) {
                c = substr(text, i, 1)
                result = result c
                if (c == "(") depth++
                if (c == ")" && --depth == 0) return result
            }
        }
        return result
    }
    function explained(line,    i) {
        for (i = line - 6; i <= end_line; i++) {
            if (raw_of[i] ~ /(pairs|orders|publishes)/) return 1
        }
        return 0
    }
    { text_of[$2] = $3; lines = $2 }
    END {
        while ((getline row < raw) > 0) raw_of[++rows] = row
        for (line = 1; line <= lines; line++) {
            at = 0
            rest = text_of[line]
            if (rest ~ /^[ ]*#[ ]*define/) continue
            while (match(rest, /skua__(load|store|exchange|cas|fetch_[a-z]+|fence|fence_compiler)\(/)) {
                at += RSTART
                name = substr(rest, RSTART, RLENGTH)
                rest = substr(rest, RSTART + 1)
                text = call(at, line)
                strong = name ~ /fence/ || text ~ /[(,][ ]*(acquire|release|acq_rel|seq_cst)[ ]*[,)]/
                if (strong && !explained(line)) {
                    print raw ":" line ": " name "...) without a comment that says what it pairs with"
                }
            }
        }
    }'
done | report
