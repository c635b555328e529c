# What the public headers promise about results and deadlines: sh results_test.sh SOURCE [BUILD].
# covers: A17 A24 A43
# The lists of functions are read from the headers, so that a new one cannot be forgotten.
#
#   1. A function whose result is an int or a ssize_t is SKUA_MUST_CHECK, or stands in `may_ignore`
#      with the reason.
#   2. The compiler says so for each of them, and is content if the status is looked at. For the
#      calls that are forgotten most often a program that does so does not compile with -Werror.
#   3. A function that may switch takes a deadline last, or options that have one, or stands in
#      `no_deadline` with the reason.

set -e
. "$(dirname "$0")/tidy/lib.sh"

# name reason
may_ignore='
skua_yield its purpose is what happens meanwhile
skua_checkpoint its purpose is what happens meanwhile
skua_block_end its purpose is what happens meanwhile
skua_fail_at returns the code that it was given
skua_job_fail returns the code that it was given
skua_test_fail_at has recorded the failure: returning it is a convenience
skua_cancel_reason a question: it cannot fail
skua_run_signal a question: it cannot fail
skua_process_fd_of a question: -1 is an answer
skua_test_fail_at records the failure, and returns a code to pass on
'

# Those of design.md that have none, and those that only end sooner by a cancel.
no_deadline='
skua_run ends with its main function
skua_submit starts only
skua_yield waits for nothing
skua_checkpoint waits for nothing
skua_block_end waits for nothing
skua_block_begin waits for nothing
skua_both fork and sync
skua_sync fork and sync
skua_fork_set_sync fork and sync
skua_invoke fork and sync
skua_for fork and sync
skua_reduce fork and sync
skua_scan fork and sync
skua_sort fork and sync
skua_pool_create starts processes
skua_group_close waits for its members, which are cancelled by deadlines and cancels
skua_group_fini as above
skua_gen_close the generator is cancelled
skua_gen_finish the generator is told to end
skua_gen_yield waits for who asks, and ends when nobody will
skua_stream_close its tasks are cancelled
skua_test_settle a tool of tests
skua_test_advance a tool of tests
skua_test_settle deadlines of its own clock stand still, those of scopes hold
skua_test_advance as above
skua_with switches in what it calls only, under the scopes around it
skua_writer_printf its deadline stands before the format
skua_writer_vprintf its deadline stands before the format
'

listed() {
    printf '%s\n' "$1" | awk -v name="$2" '$1 == name { found = 1 } END { exit !found }'
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# prototypes: lines "name<TAB>kind<TAB>parameters<TAB>attributes" of all that returns an int or a
# ssize_t.
prototypes() {
    code $(files include/skua) | awk -F '\t' '
    $3 ~ /^[ ]*#/ || continued { continued = $3 ~ /\\$/; next }
    { text = text " " $3 }
    END {
        count = split(text, parts, /[;{}]/)
        for (i = 1; i <= count; i++) {
            part = parts[i]
            gsub(/[ \t]+/, " ", part)
            sub(/^ /, "", part)
            sub(/^SKUA_(BEGIN|END)_DECLS /, "", part)
            sub(/^static inline /, "", part)
            if (part !~ /^(int|ssize_t) skua_[a-z0-9][a-z0-9_]*\(/) continue
            name = part
            sub(/^(int|ssize_t) /, "", name)
            sub(/\(.*/, "", name)
            parameters = substr(part, index(part, "(") + 1)
            depth = 1
            for (end = 1; depth > 0 && end <= length(parameters); end++) {
                letter = substr(parameters, end, 1)
                depth += letter == "(" ? 1 : letter == ")" ? -1 : 0
            }
            print name "\tint\t" substr(parameters, 1, end - 2) "\t" substr(parameters, end)
        }
    }' | sort -u -t '	' -k1,1
}

prototypes >"$folder/all"
[ "$(wc -l <"$folder/all")" -gt 40 ] || echo "results_test.sh finds hardly any function: look at it"

# --- 1: what may be ignored ------------------------------------------------------------------------

while IFS='	' read -r name kind parameters attributes; do
    case $attributes in
    *SKUA_MUST_CHECK*) printf '%s\t%s\n' "$name" "$parameters" >>"$folder/checked" ;;
    *) listed "$may_ignore" "$name" ||
        echo "$name: its result may be ignored; make it SKUA_MUST_CHECK, or say why not" ;;
    esac
done <"$folder/all" >"$folder/findings"

# --- 2: what the compiler says ---------------------------------------------------------------------

# calls USE: a function for each call, on a line of its own; USE goes before the call.
calls() {
    printf '#include <skua/skua.h>\n#include <skua/tls.h>\n'
    awk -F '\t' -v use="$1" '
    {
        count = 0
        depth = 0
        argument[0] = ""
        for (i = 1; i <= length($2); i++) {
            letter = substr($2, i, 1)
            depth += letter == "(" ? 1 : letter == ")" ? -1 : 0
            if (letter == "," && depth == 0) argument[++count] = ""
            else argument[count] = argument[count] letter
        }
        names = ""
        for (i = 0; i <= count; i++) {
            name = argument[i]
            if (name ~ /\(\*/) { sub(/.*\(\*/, "", name); sub(/\).*/, "", name) }
            sub(/\[[^]]*\]$/, "", name)
            sub(/.*[^A-Za-z0-9_]/, "", name)
            if (name == "void" && count == 0) name = ""
            if (name == "") continue # the dots
            names = names (i ? ", " : "") name
        }
        print "void use_" $1 "(" $2 "); void use_" $1 "(" $2 ") { " use "(" $1 ")(" names "); }"
    }' "$folder/checked"
}

cc=${CC:-cc}
flags='-std=gnu11 -Iinclude -Wunused-result -c -o /dev/null'
calls '' >"$folder/forgets.c"
calls 'if (' | sed 's/; }$/ < 0) {} }/' >"$folder/looks.c"
$cc $flags "$folder/forgets.c" 2>"$folder/said" || cat "$folder/said" >>"$folder/findings"
while IFS='	' read -r name parameters; do
    line=$(grep -n "^void use_$name(" "$folder/forgets.c" | cut -d : -f 1)
    grep -q "forgets.c:$line:.*unused-result" "$folder/said" ||
        echo "$name: the compiler does not say that its result is ignored"
done <"$folder/checked" >>"$folder/findings"
$cc $flags -Wall -Wextra -Werror "$folder/looks.c" >>"$folder/findings" 2>&1 ||
    echo "calls whose result is looked at do not compile" >>"$folder/findings"

# fails CALL: a program that forgets this one must not compile.
fails() {
    for use in "$1;" "if ($1 < 0) { return 1; }"; do
        printf '#include <skua/skua.h>\n%s\n%s\n%s\n' 'int fn(void *arg);' \
            'int body(skua_task *task, skua_chan *chan, skua_mutex *mutex, skua_scope *scope, int *item);' \
            "int body(skua_task *task, skua_chan *chan, skua_mutex *mutex, skua_scope *scope, int *item)
             { (void)task, (void)chan, (void)mutex, (void)scope, (void)item; $use return 0; }" \
            >"$folder/one.c"
        result=0
        $cc $flags -Werror "$folder/one.c" >"$folder/one.said" 2>&1 || result=1
        [ "$use" = "$1;" ] && want=1 || want=0
        [ "$result" -eq "$want" ] || { echo "this compiles or not, contrary to what it should: $use"; cat "$folder/one.said"; }
    done
}
{
    fails 'skua_spawn(&task, fn, item, NULL)'
    fails 'skua_spawn(NULL, fn, item, &(skua_spawn_opts){.name = "a", .pin = 1})'
    fails 'skua_spawn_many(NULL, fn, item, sizeof *item, 1, NULL)'
    fails 'skua_join(task, NULL, SKUA_FOREVER)'
    fails 'skua_wait(&task, 1, SKUA_FIRST_DONE, (bool[1]){false}, SKUA_FOREVER)'
    fails 'skua_mutex_lock(mutex, SKUA_FOREVER)'
    fails 'skua_chan_send(chan, item, sizeof *item, SKUA_FOREVER)'
    fails 'skua_scope_close(scope, 0)'
    fails 'skua_within(SKUA_FOREVER, fn, item)'
    fails 'skua_defer(0, item)'
    fails 'skua_sleep(skua_after(SKUA_MS(1)))'
} >>"$folder/findings"

# A duration where a moment is meant does not compile either.
printf '#include <skua/skua.h>\nint late(void);\nint late(void) { return skua_sleep(SKUA_MS(50)); }\n' \
    >"$folder/duration.c"
if $cc $flags "$folder/duration.c" 2>"$folder/said"; then
    echo "a duration passes for a deadline" >>"$folder/findings"
fi

# --- 3: deadlines ----------------------------------------------------------------------------------

# Lines "name<TAB>1 if the last parameter is a skua_time" of what is said to switch.
cat $(files include/skua) | awk '
/^\/\*/ { comment = ""; inside = 1 }
inside { comment = comment " " $0; if (/\*\//) inside = 0; next }
/^[a-z].*skua_[a-z0-9_]+\(/ && !/^typedef/ { text = ""; open = 1 }
open { text = text " " $0 }
open && /;/ {
    open = 0
    gsub(/[ ]+/, " ", comment)
    if (comment !~ /May switch\./ || comment ~ /[Nn]ever switch/) next
    match(text, /skua_[a-z0-9_]+\(/)
    name = substr(text, RSTART, RLENGTH - 1)
    print name "\t" (text ~ /(skua_time [a-z_]+|_opts \*[a-z_]+)\)/)
}
/^$/ { comment = "" }' | sort -u | while IFS='	' read -r name has_deadline; do
    [ "$has_deadline" = 1 ] || listed "$no_deadline" "$name" ||
        echo "$name: it may switch and takes no deadline; say why in results_test.sh"
done >>"$folder/findings"

report <"$folder/findings"
