# Chapters of the guide and their programs: sh guide_test.sh SOURCE BUILD. Every block of C in
# docs/guide/NAME.md stands in examples/guide_NAME.c, word for word, and the program prints what the
# chapter says it prints.
# covers: A30

source=${1:?usage: guide_test.sh SOURCE BUILD}
build=${2:?usage: guide_test.sh SOURCE BUILD}
failures=0
# The thread sanitizer keeps signals from threads that sleep.
grep -q '^SKUA_SANITIZE:STRING=thread$' "$build/CMakeCache.txt" && deaf=yes || deaf=no

# blocks LANGUAGE CHAPTER: the lines inside the fences; blocks are separated by a line "@@".
blocks() {
    awk -v fence="\`\`\`$1" '
        $0 == "```" && inside { inside = 0; print "@@"; next }
        inside
        $0 == fence { inside = 1 }' "$2"
}

# quoted CHAPTER PROGRAM: prints the functions of the chapter that are not in the program.
quoted() {
    blocks c "$1" | awk -v program="$2" '
        BEGIN { while ((getline line < program) > 0) text = text line "\n" }
        # A blank line in a block may stand for something left out.
        function check() { if (part != "" && !index(text, part)) printf "not in the program:\n%s", part; part = "" }
        $0 == "@@" || $0 == "" && depth == 0 { check(); next }
        { part = part $0 "\n"; depth += gsub(/{/, "{") - gsub(/}/, "}") }'
}

for program in "$source"/examples/guide_*.c; do
    name=$(basename "$program" .c | sed 's/^guide_//')
    chapter=$source/docs/guide/$name.md
    missing=$(quoted "$chapter" "$program")
    if [ -n "$missing" ]; then
        printf '%s: %s\n' "$chapter" "$missing"
        failures=$((failures + 1))
    fi
    [ -x "$build/guide_$name" ] || continue
    [ $deaf = yes ] && grep -q skua_signal_open "$program" && continue
    # On that clock what it prints does not depend on how busy the machine is.
    clock=$(grep -q 'SKUA_CLOCK=virtual' "$program" && echo virtual)
    said=$(SKUA_CLOCK=$clock "$build/guide_$name" 2>&1)
    expected=$(blocks text "$chapter" | sed '/^@@$/d')
    if [ -n "$expected" ] && [ "$said" != "$expected" ]; then
        printf 'guide_%s prints:\n%s\n\nand not:\n%s\n' "$name" "$said" "$expected"
        failures=$((failures + 1))
    fi
done
[ "$failures" -eq 0 ]
