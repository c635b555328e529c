# What libskua-tls.so shows and asks for: the functions of its header, and of Skua only what is public.

. "$(dirname "$0")/lib.sh"

[ -n "$build" ] && [ -f "$build/libskua-tls.so" ] || exit 77
shared=$build/libskua-tls.so

{
    exported=$(nm -D --defined-only "$shared" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }')
    printf '%s\n' "$exported" | grep -v '^skua_tls_' | sed 's/$/: libskua-tls.so exports it/'
    public_functions | while read -r name kind; do
        case $name in skua_tls_*) ;; *) continue ;; esac
        printf '%s\n' "$exported" | grep -qx "$name" ||
            echo "include/skua declares $name, which libskua-tls.so does not export"
    done
    nm -D --undefined-only "$shared" | awk '$2 ~ /^skua__/ {
        print "libskua-tls.so asks for " $2 ", which is not public"
    }'
} | report
