# Every blocking function is swept: sh sweep_list_test.sh SOURCE BUILD. Derives from the public
# headers which functions can block, and looks whether each has an entry in a table of tests/sweep/,
# where it is cancelled and timed out at each of its suspensions, or stands in
# tests/sweep/exceptions.txt with a reason. What is in neither fails, and so does an exception that
# is not needed.

source=${1:?usage: sweep_list_test.sh SOURCE BUILD}
cd "$source" || exit 2
export LC_ALL=C
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

# blocking: the functions whose documentation says that they may switch, or that take a moment to
# wait until. Documentation is the comment before a declaration; it holds up to the next blank line
# behind it.
blocking() {
    awk '
    function declared(text, name) {
        if (text ~ /^typedef|^struct|^extern const|^enum/ || !match(text, /skua_[a-z0-9_]+\(/)) return
        name = substr(text, RSTART, RLENGTH - 1)
        moment = text ~ /skua_time (deadline|until|grace|start_by)[,)]/
        if ((switches || moment) && name !~ /_named$|_at$/) print name
    }
    FNR == 1 { comment = inside = body = 0; text = doc = ""; switches = 0 }
    /^#/ || macro {
        if (!comment) { macro = /\\$/; next }
    }
    !comment && /^\/\*/ { comment = 1; doc = ""; text = "" }
    comment {
        doc = doc " " $0
        if (/\*\//) {
            comment = 0
            gsub(/[ ]+/, " ", doc)
            # A word in a rule for others is not said of the function itself.
            gsub(/calls? that may switch/, "", doc)
            switches = doc ~ /[Mm]ay switch|Switches only/
        }
        next
    }
    body { body = $0 !~ /^}/; next }
    /^{/ { body = 1; text = ""; next }
    /^$/ { if (text == "") switches = 0; next }
    {
        text = text $0
        if (/;$/) { declared(text); text = "" }
        else if (/^}/) text = ""
    }' include/skua/*.h | sort -u
}

# A table has lines {"skua_something", ...} or {"skua_something: which way", ...}.
grep -ho '{"skua_[a-z0-9_]*' tests/sweep/*.c | sed 's/{"//' | sort -u >"$work/swept"
grep -o '^skua_[a-z0-9_]*' tests/sweep/exceptions.txt | sort >"$work/excepted"
blocking >"$work/blocking"
cat "$work/swept" "$work/excepted" | sort -u >"$work/known"

failures=0
say() {
    failures=$((failures + 1))
    echo "$*"
}

[ "$(wc -l <"$work/blocking")" -gt 60 ] || say "fewer than 60 blocking functions were found"
for name in $(comm -23 "$work/blocking" "$work/known"); do
    say "$name: may block, but is neither in a table of tests/sweep nor in exceptions.txt"
done
for name in $(comm -12 "$work/swept" "$work/excepted"); do
    say "$name: is swept; why is it in exceptions.txt?"
done
for name in $(comm -13 "$work/blocking" "$work/excepted"); do
    say "$name: is in exceptions.txt, but is no blocking function"
done
awk '/^skua_/ && NF < 4 { print $1 ": an exception without a reason"; bad = 1 } END { exit bad }' \
    tests/sweep/exceptions.txt || failures=$((failures + 1))

[ -z "$2" ] || [ "$failures" -gt 0 ] || echo "$(wc -l <"$work/blocking") blocking functions"
exit $((failures > 0))
