# What the checks share. Each is run as `sh tests/tidy/NAME.sh TREE [BUILD]`, prints one line for
# each finding (file:line: rule) and fails if there is any. POSIX sh, awk, grep and binutils are
# enough.

tree=${1:?usage: $0 TREE [BUILD]}
build=${2:-}
cd "$tree" || exit 2
export LC_ALL=C

# files FOLDER...: the C files below the folders, those that exist.
files() {
    find "$@" -name '*.[ch]' 2>/dev/null | sort
}

# code FILE...: lines "file<TAB>line<TAB>text" without comments and with empty string literals; with
# keep=1 in the environment literals stay.
code() {
    [ $# -gt 0 ] || return 0
    awk -v keep="${keep:-0}" '
    FNR == 1 { comment = 0 }
    {
        rest = $0
        out = ""
        while (rest != "") {
            if (comment) {
                end = index(rest, "*/")
                if (!end) break
                rest = substr(rest, end + 2)
                comment = 0
                out = out " "
                continue
            }
            if (!match(rest, /\/\*|\/\/|"|\047/)) {
                out = out rest
                break
            }
            out = out substr(rest, 1, RSTART - 1)
            start = substr(rest, RSTART, RLENGTH)
            rest = substr(rest, RSTART)
            if (start == "//") break
            if (start == "/*") {
                comment = 1
                rest = substr(rest, 3)
                continue
            }
            if (start == "\"") match(rest, /^"([^"\\]|\\.)*"/)
            else match(rest, /^\047([^\047\\]|\\.)*\047/)
            length_all = RLENGTH > 0 ? RLENGTH : 1
            out = out (keep ? substr(rest, 1, length_all) : start start)
            rest = substr(rest, length_all + 1)
        }
        print FILENAME "\t" FNR "\t" out
    }' "$@"
}

# public_functions: lines "name kind" for what the public headers declare; kind is `inline` when the
# body is there too, else `extern`.
public_functions() {
    code $(files include/skua) | awk -F '\t' '
    $3 ~ /^[ ]*#/ || continued { continued = $3 ~ /\\$/; next }
    {
        text = $3
        kind = text ~ /static inline/ ? "inline" : "extern"
        while (match(text, /skua_[a-z0-9][a-z0-9_]*[ ]*\(/)) {
            name = substr(text, RSTART, RLENGTH)
            sub(/[ ]*\($/, "", name)
            before = RSTART > 1 ? substr(text, RSTART - 1, 1) : " "
            if (before !~ /[A-Za-z0-9_]/ && !(name in seen)) {
                seen[name] = 1
                print name, kind
            }
            text = substr(text, RSTART + RLENGTH)
        }
    }'
}

# report: print the findings on stdin; fail if there are any.
report() {
    findings=$(cat)
    [ -z "$findings" ] && return 0
    printf '%s\n' "$findings"
    return 1
}
