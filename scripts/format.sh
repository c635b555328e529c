#!/bin/sh
# sh scripts/format.sh [--check]
#
# Lays out all C files with clang-format (14 or later); --check only says which would change.

set -eu
. "$(dirname "$0")/lib.sh"

command -v clang-format >/dev/null 2>&1 || die 'clang-format is missing (package clang-format).'
case ${1-} in
'') mode=-i ;;
--check) mode='--dry-run -Werror' ;;
*) die 'usage: sh scripts/format.sh [--check]' ;;
esac
cd "$root"
find src include tests bench examples -name '*.[ch]' 2>/dev/null | sort |
    xargs -r clang-format $mode
