# The patterns of asyncio, side by side: sh patterns_test.sh SOURCE BUILD. Each examples/patterns/NAME.c
# has a NAME.py beside it that does the same with Python's asyncio. Both run on a clock that jumps, and
# must print the same lines: in the same order on one worker, in any order on four.
# covers: A9 A30 A93

source=${1:?usage: patterns_test.sh SOURCE BUILD}
build=${2:?usage: patterns_test.sh SOURCE BUILD}
programs=$build/patterns
[ -d "$programs" ] || exit 77
command -v python3 >/dev/null || exit 77

export SKUA_CLOCK=virtual
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# differ NAME WHAT FILE FILE: says how, and counts.
differ() {
    diff -u "$3" "$4" >"$scratch/diff" && return
    printf '%s: %s\n' "$1" "$2"
    cat "$scratch/diff"
    failures=$((failures + 1))
}

for script in "$source"/examples/patterns/*.py; do
    name=$(basename "$script" .py)
    if [ ! -x "$programs/$name" ]; then
        echo "$name: $script has no program in C beside it"
        failures=$((failures + 1))
        continue
    fi
    timeout 20 python3 "$source/tests/patterns/virtual.py" "$script" >"$scratch/theirs" 2>&1
    SKUA_WORKERS=1 timeout 20 "$programs/$name" >"$scratch/ours" 2>&1
    differ "$name" 'Python (-) and one worker (+) differ' "$scratch/theirs" "$scratch/ours"
    SKUA_WORKERS=4 timeout 20 "$programs/$name" 2>&1 | sort >"$scratch/many"
    sort "$scratch/theirs" >"$scratch/sorted"
    differ "$name" 'Python (-) and four workers (+), sorted, differ' "$scratch/sorted" "$scratch/many"
done
[ "$failures" -eq 0 ]
