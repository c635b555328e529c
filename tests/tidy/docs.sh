# Every public function is named somewhere in docs/ or in README.md, and what the guide names is in a
# header.

. "$(dirname "$0")/lib.sh"

pages=$(find docs README.md -name '*.md' 2>/dev/null)
words=$(cat /dev/null $pages | tr -cs 'a-z0-9_' '\n' | sort -u)
known=$(cat /dev/null include/skua/*.h | tr -cs 'A-Za-z0-9_' '\n' | sort -u)

unnamed() {
    public_functions | while read -r name kind; do
        printf '%s\n' "$words" | grep -qx "$name" || echo "$name is named nowhere in docs/ or README.md"
    done
}

invented() {
    for page in docs/guide/*.md; do
        [ -f "$page" ] || continue
        grep -oE '`SKUA_[A-Z_]+`|`skua_[a-z0-9_]+\(' "$page" | tr -d '`(' | sort -u | while read -r name; do
            printf '%s\n' "$known" | grep -qx "$name" || echo "$page: $name is in no header"
        done
    done
}

# The words of the umbrella header are in the others.
umbrella() {
    others=$(ls include/skua/*.h 2>/dev/null | grep -v '/skua\.h$')
    others=$(cat /dev/null $others | tr -cs 'a-z0-9_' '\n' | sort -u)
    cat /dev/null $(ls include/skua/skua.h 2>/dev/null) | grep -oE '\bskua_[a-z0-9_]+' | sort -u | while read -r name; do
        printf '%s\n' "$others" | grep -qx "$name" || echo "include/skua/skua.h: $name is in no other header"
    done
}

{
    unnamed
    invented
    umbrella
} | report
