# The project speaks of itself alone: no path of a builder's machine, no host of a package registry.
# Every word is written in two halves here, so that this file is not its own finding.

. "$(dirname "$0")/lib.sh"

paths='/wo''rk/|/fa''rm/|/tmp/bash''_jobs|/\.lib''rary'
hosts='(deb|security|snapshot|archive)\.deb''ian\.org|npm''js|crates\.''io|py''pi|proxy\.gol''ang'

# Tracked files; where there is no repository, all files.
git ls-files -z >/dev/null 2>&1 && list='git ls-files' ||
    list="find . -name .git -prune -o -name build -prune -o -type f -print"
$list | while read -r file; do
    [ -f "$file" ] && grep -HnIiE "$paths|$hosts" "$file" |
        sed 's/^\([^:]*:[0-9]*\):.*/\1: names a machine path or a registry/'
done | report
