#!/bin/sh
# Makes a file of text to compress, if it is not there yet: corpus.sh FILE BYTES
#
# It is C source of the Linux kernel, from Debian's package linux-source-6.1, which is downloaded (135 MB) but not
# installed; one driver's generated tables of registers are left out, since they are no typical text. Where the package
# is not to be had, or few bytes are wanted, it is the texts under /usr/include and /usr/share, again and again.
# FILE.from says which it was.
set -u

file=${1:?usage: $0 FILE BYTES}
bytes=${2:?usage: $0 FILE BYTES}
package=linux-source-6.1

[ "$(stat -c %s "$file" 2>/dev/null)" != "$bytes" ] || exit 0
folder=$(mktemp -d "$(dirname "$file")/corpus.XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

# The archive is kept beside the corpus: the next one, of another size, is made without a download.
kernel() {
    [ "$bytes" -ge 100000000 ] || return 1
    archive=$(dirname "$file")/$package.tar.xz
    if [ ! -s "$archive" ]; then
        (cd "$folder" && apt-get download "$package" && dpkg-deb -x "$package"_*.deb .) >"$folder/log" 2>&1 || return 1
        mv "$folder/usr/src/$package.tar.xz" "$archive" || return 1
    fi
    tar -xJOf "$archive" --exclude='*/asic_reg/*' --wildcards '*.[ch]' 2>/dev/null | head -c "$bytes" >"$folder/text"
}

system() {
    find /usr/include /usr/share -type f \( -name '*.h' -o -name '*.txt' -o -name '*.py' -o -name copyright \) \
        -size -1000k 2>/dev/null | LC_ALL=C sort | tr '\n' '\0' | xargs -0 cat 2>/dev/null | head -c "$bytes" \
        >"$folder/once"
    [ -s "$folder/once" ] || return 1
    while :; do cat "$folder/once" || break; done 2>/dev/null | head -c "$bytes" >"$folder/text"
}

from="C source of the Linux kernel ($package)"
if ! kernel || [ "$(stat -c %s "$folder/text")" != "$bytes" ]; then
    from='texts of /usr/include and /usr/share'
    system || { echo 'there is no text to compress' >&2; exit 1; }
fi
echo "$from" >"$file.from"
mv "$folder/text" "$file"
