# The patterns of asyncio, side by side: sh patterns_test.sh SOURCE BUILD [NAME...]. Each of
# examples/patterns/NAME.c has a NAME.py beside it that does the same with Python's asyncio. Both run on
# a clock that jumps, and must print the same lines and end well: in the same order on one worker, in any
# order on four. Without names, all of them.
# covers: A9 A10 A19 A20 A21 A22 A23 A26 A28 A30 A33 A35 A36 A40 A41 A42 A47 A48 A50 A51 A52 A56 A57 A60
# covers: A62 A85 A86

source=${1:?usage: patterns_test.sh SOURCE BUILD [NAME...]}
build=${2:?usage: patterns_test.sh SOURCE BUILD [NAME...]}
shift 2
programs=$build/patterns
[ -d "$programs" ] || exit 77
command -v python3 >/dev/null || exit 77

export SKUA_CLOCK=virtual
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

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
    SKUA_WORKERS=$2 timeout 20 "$programs/$1" >"$scratch/ours" 2>&1 ||
        complain "$1: ended with $? on $2 workers"
}

compare() {
    script=$source/examples/patterns/$1.py
    for file in "$script" "${script%.py}.c" "$programs/$1"; do
        [ -e "$file" ] || { complain "$1: there is no $file" && return; }
    done
    timeout 20 python3 "$source/tests/patterns/virtual.py" "$script" >"$scratch/theirs" 2>&1 ||
        complain "$1: Python ended with $?"
    [ -s "$scratch/theirs" ] || complain "$1: Python printed nothing"
    sort "$scratch/theirs" >"$scratch/theirs.sorted"
    ours "$1" 1
    same "$1" 'Python (-) and one worker (+)' "$scratch/theirs" "$scratch/ours"
    ours "$1" 4
    sort "$scratch/ours" >"$scratch/ours.sorted"
    same "$1" 'Python (-) and four workers (+), sorted,' "$scratch/theirs.sorted" "$scratch/ours.sorted"
}

if [ $# -gt 0 ]; then
    for name; do
        compare "$name"
    done
else
    for script in "$source"/examples/patterns/*.py; do
        compare "$(basename "$script" .py)"
    done
    for page in "$source"/examples/patterns/*.c; do
        [ -e "${page%.c}.py" ] || complain "$page has no Python beside it"
    done
fi
[ "$failures" -eq 0 ]
