# What the libraries in BUILD show and ask for. The names with two underlines are what inline
# functions of the public headers use.

. "$(dirname "$0")/lib.sh"

[ -n "$build" ] || exit 77
shared=$build/libskua.so
static=$build/libskua.a

{
    nm -D --defined-only "$shared" | awk '
    $2 != "A" && $3 !~ /^(skua_[a-z]|skua__(fork_line|fork_slowly|sync_slowly)@)/ { print "libskua.so exports " $3 ", which is not skua_*" }'

    nm -D --undefined-only "$shared" | awk '
    $1 != "w" && $2 !~ /@(GLIBC|GCC)_/ && $2 !~ /^hwloc_|@LIBURING_/ {
        print "libskua.so asks for " $2 ", which is not of libc, hwloc or liburing"
    }'

    nm -g --defined-only "$static" 2>/dev/null | awk '
    NF == 3 && $3 !~ /^_*skua_/ { print "libskua.a defines " $3 ", which is not skua_* or skua__*" }'

    # A declaration without an export is a link error at the user.
    exported=$(nm -D --defined-only "$shared" | awk '{ sub(/@.*/, "", $3); print $3 }')
    public_functions | while read -r name kind; do
        [ "$kind" = extern ] || continue
        case $name in skua_tls_*) continue ;; esac # tls.sh looks at that library
        printf '%s\n' "$exported" | grep -qx "$name" ||
            echo "include/skua declares $name, which libskua.so does not export"
    done

    readelf -lW "$shared" | awk '
    $1 == "GNU_STACK" { seen = 1; if ($0 ~ / RWE /) print "libskua.so asks for an executable stack" }
    END { if (!seen) print "libskua.so has no GNU_STACK header" }'

    # One object without the note makes the whole program ask for an executable stack.
    readelf -SW "$static" | awk '
    function close_file() { if (file != "" && !note) print file ": no .note.GNU-stack" }
    /^File: / { close_file(); file = $2; note = 0 }
    / \.note\.GNU-stack / {
        note = 1
        if ($0 ~ / X+ +[0-9]+ +[0-9]+ +[0-9]+$/) print file ": .note.GNU-stack is executable"
    }
    END { close_file() }'
} | report
