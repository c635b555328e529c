# Every public function is named somewhere in docs/ or in README.md.

. "$(dirname "$0")/lib.sh"

pages=$(find docs README.md -name '*.md' 2>/dev/null)
words=$(cat /dev/null $pages | tr -cs 'a-z0-9_' '\n' | sort -u)
public_functions | while read -r name kind; do
    printf '%s\n' "$words" | grep -qx "$name" || echo "$name is named nowhere in docs/ or README.md"
done | report
