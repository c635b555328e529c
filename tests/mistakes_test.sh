# Each examples/mistakes/NAME.c makes a mistake, and says in its first comment what the library or the
# compiler says of it: sh mistakes_test.sh SOURCE BUILD. What a thread of the library has to see in time
# it may miss on a machine that lets it wait: so a program that said nothing of the kind is run again.
# covers: A45 A93

source=${1:?usage: mistakes_test.sh SOURCE BUILD}
build=${2:?usage: mistakes_test.sh SOURCE BUILD}
[ -d "$build/mistakes" ] || exit 77
failures=0

# expected WORD FILE: the rest of the line in the comment that begins with "WORD: ".
expected() { sed -n "s|^ *$1: \(.*[^ ]\) *\*/\$|\1|p" "$2"; }

# tell NAME EXPECTED SAID
tell() {
    printf '%s: expected "%s", and there was:\n%s\n' "$1" "$2" "$3"
    failures=$((failures + 1))
}

for program in "$source"/examples/mistakes/*.c; do
    name=$(basename "$program" .c)
    grep -q ": \`$name\` |" "$source/docs/guide/when.md" || tell "$name" 'a row in docs/guide/when.md' ''
    wanted=$(expected 'Compiler says' "$program")
    if [ -n "$wanted" ]; then
        said=$("${CC:-cc}" -c -Wall -Werror -I"$source/include" -o /dev/null "$program" 2>&1) &&
            tell "$name" 'an error of the compiler' "$said"
    else
        wanted=$(expected Says "$program")
        for attempt in 1 2 3 4 5; do
            said=$(SKUA_DEBUG=1 timeout 60 "$build/mistakes/$name" 2>&1)
            case $said in
            *"${wanted:?$name does not tell what is said of it}"*) break ;;
            esac
        done
    fi
    case $said in
    *"${wanted:?$name does not tell what is said of it}"*) ;;
    *) tell "$name" "$wanted" "$said" ;;
    esac
done
[ "$failures" -eq 0 ]
