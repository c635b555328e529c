# The patterns of asyncio, side by side: sh patterns_test.sh SOURCE BUILD [NAME...]. Each of
# examples/patterns/NAME.c has a NAME.py beside it that does the same with Python's asyncio. Both run on
# a clock that jumps, and must print the same lines and end well: in the same order on one worker, in any
# order on four. Builds with a sanitizer do the latter only. Without names, all of them.
# covers: A9 A10 A19 A20 A21 A22 A23 A26 A28 A33 A35 A36 A40 A41 A42 A47 A48 A50 A51 A52 A56 A57 A60
# covers: A62 A72 A80 A81 A85 A86

source=${1:?usage: patterns_test.sh SOURCE BUILD [NAME...]}
build=${2:?usage: patterns_test.sh SOURCE BUILD [NAME...]}
shift 2
pages=$source/examples/patterns
programs=$build/patterns
[ -d "$programs" ] || exit 77
command -v python3 >/dev/null || exit 77

export SKUA_CLOCK=virtual
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
sanitizer=$(sed -n 's/^SKUA_SANITIZE:STRING=//p' "$build/CMakeCache.txt")

# complain TEXT: says what is wrong, and counts.
complain() {
    echo "$1"
    failures=$((failures + 1))
}

# same NAME WHAT FILE FILE: complains if the files differ.
same() {
    diff -u "$3" "$4" >"$scratch/diff" || complain "$1: $2 differ
$(cat "$scratch/diff")"
}

# ours NAME WORKERS: runs the program in C; what it prints is in the file "ours".
ours() {
    SKUA_WORKERS=$2 timeout 60 "$programs/$1" >"$scratch/ours" 2>&1 ||
        complain "$1: ended with $? on $2 workers"
}

# theirs NAME...: runs all scripts; what NAME.py prints is in the file "theirs/NAME".
theirs() {
    mkdir "$scratch/theirs"
    for name; do
        shift
        set -- "$@" "$pages/$name.py"
    done
    timeout 200 python3 "$source/tests/patterns/virtual.py" "$scratch/theirs" "$@" \
        >"$scratch/ended" 2>&1 || complain "Python ended with $?"
    [ -s "$scratch/ended" ] && complain "$(cat "$scratch/ended")"
}

compare() {
    for file in "$pages/$1.py" "$pages/$1.c" "$programs/$1"; do
        [ -e "$file" ] || { complain "$1: there is no $file" && return; }
    done
    expected=$scratch/theirs/$1
    [ -s "$expected" ] || complain "$1: Python printed nothing"
    if [ -z "$sanitizer" ]; then # one has more to see where there are several
        ours "$1" 1
        same "$1" 'Python (-) and one worker (+)' "$expected" "$scratch/ours"
    fi
    ours "$1" 4
    sort "$expected" >"$scratch/expected.sorted"
    sort "$scratch/ours" >"$scratch/ours.sorted"
    same "$1" 'Python (-) and four workers (+), sorted,' "$scratch/expected.sorted" "$scratch/ours.sorted"
}

# names SUFFIX: of all pages in that language. No name has a space.
names() { (cd "$pages" && printf '%s\n' *."$1" | sed "s|[.]$1\$||"); }

# The thread sanitizer keeps signals from threads that sleep.
[ "$sanitizer" = thread ] && without=signals || without=
all() { (names c && names py) | sort -u | grep -vx "$without"; }

# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(all)
theirs "$@"
for name; do
    compare "$name"
done
[ "$failures" -eq 0 ]
