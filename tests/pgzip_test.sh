# The example pgzip against gunzip: sh pgzip_test.sh SOURCE BUILD. What goes in comes out, whatever its length;
# memory stays bounded; workers are killed meanwhile; and what cannot become whole is removed.
# covers: A67 D79

build=${2:?usage: pgzip_test.sh SOURCE BUILD}
pgzip=$build/pgzip
[ -x "$pgzip" ] || exit 77
export LC_ALL=C
temp=$(mktemp -d) || exit 2
run=
trap '[ -z "$run" ] || kill -KILL "$run" 2>/dev/null; rm -rf "$temp"' EXIT
trap 'exit 1' INT TERM
cd "$temp" || exit 2
failures=0
sanitizer=$(sed -n 's/^SKUA_SANITIZE:STRING=//p' "$build/CMakeCache.txt")

fail() {
    failures=$((failures + 1))
    echo "$*"
}

# family PID: lines "number memory-in-KiB name" of that process and all below it.
family() {
    cat /proc/[0-9]*/status 2>/dev/null | awk -v run="$1" '
        /^Name:/ { name = $2 }
        /^Pid:/ { pid = $2; names[pid] = name; peak[pid] = 0 }
        /^PPid:/ { parent[pid] = $2 }
        /^VmHWM:/ { peak[pid] = $2 }
        END {
            for (pid in names) {
                for (above = pid; above > 1 && above != run;) above = parent[above]
                if (above == run) print pid, peak[pid], names[pid], parent[pid]
            }
        }'
}

# workers PID: those whose parent, the zygote, is a child of that process.
workers() {
    family "$1" | awk -v run="$1" '{ parent[$1] = $4 } END { for (pid in parent) if (parent[parent[pid]] == run) print pid }'
}

# text LINES: lines of words that do not repeat too soon.
text() {
    awk -v lines="$1" 'BEGIN {
        srand(7)
        for (line = 0; line < lines; line++) {
            out = line
            for (i = 0; i < 12; i++) out = out " " int(rand() * rand() * 9999)
            print out
        }
    }'
}

text 20000 >text
head -c 700000 /dev/urandom >random
# shellcheck disable=SC2046
cat $(yes text | head -n 24) >long

# --- what goes in comes out ---
[ -z "$sanitizer" ] && lengths='0 1 100 32767 32768 32769 65536 131071 131072 131073 700000' ||
    lengths='0 1 32768 131073'
for bytes in $lengths; do
    for name in text random; do
        head -c $bytes $name >piece
        "$pgzip" -b 32 <piece >piece.gz || fail "$bytes bytes of $name: it gave $?"
        gunzip -c piece.gz | cmp -s - piece || fail "$bytes bytes of $name: gunzip gives something else"
    done
done
for level in 1 6 9; do
    cp text "level$level"
    "$pgzip" -k -$level "level$level" || fail "level $level: it gave $?"
    gunzip -c "level$level.gz" | cmp -s - text || fail "level $level: gunzip gives something else"
done
[ "$(wc -c <level9.gz)" -lt "$(wc -c <level1.gz)" ] || fail 'level 9 is not smaller than level 1'
[ "$(wc -c <level6.gz)" -lt $(($(gzip -c text | wc -c) * 102 / 100)) ] || fail 'it is more than 2 % larger than with gzip'
# However many processes: the same bytes.
for processes in 1 2 5; do
    "$pgzip" -n -b 64 -p $processes <text >"by $processes.gz" || fail "$processes processes: it gave $?"
    cmp -s "by $processes.gz" 'by 1.gz' || fail "$processes processes make another file"
done

# --- files ---
cp text a
cp random b
chmod 640 a
touch -d '2001-02-03 04:05:06' a
"$pgzip" a b || fail "two files: it gave $?"
[ ! -e a ] && [ ! -e b ] || fail 'the files are still there'
[ "$(stat -c '%a %Y' a.gz)" = "640 $(date -d '2001-02-03 04:05:06' +%s)" ] || fail 'permissions or time differ'
gunzip -N a.gz b.gz && cmp -s a text && cmp -s b random || fail 'two files: gunzip gives something else'
"$pgzip" -c a b >both.gz || fail "both to standard output: it gave $?"
cat a b | cmp -s - both.gz && fail 'it was not compressed'
cat a b >both
gunzip -c both.gz | cmp -s - both || fail 'two members: gunzip gives something else'
[ -e a ] || fail '-c has removed the file'
"$pgzip" -o out.gz a - <b || fail "a file and standard input: it gave $?"
gunzip -c out.gz | cmp -s - both || fail 'a file and standard input: gunzip gives something else'

# refused STATUS TEXT ARGUMENT...: it says so, and no output is left.
refused() {
    want=$1
    says=$2
    shift 2
    "$pgzip" "$@" >said 2>errors
    status=$?
    [ $status -eq "$want" ] || fail "pgzip $*: it gave $status"
    grep -q -e "$says" errors || fail "pgzip $*: it says: $(cat errors)"
}

touch there.gz
cp text there
refused 1 'there.gz: File exists' -k there
[ ! -s there.gz ] || fail 'it has replaced a file'
"$pgzip" -kf there || fail "-f: it gave $?"
gunzip -c there.gz | cmp -s - text || fail '-f: gunzip gives something else'
refused 1 'there.gz: has the suffix' there.gz
refused 1 'nowhere: No such file or directory' nowhere
[ ! -e nowhere.gz ] || fail 'there is an output of nothing'
refused 1 'nowhere: No such file or directory' nowhere -o only.gz
[ ! -e only.gz ] || fail 'there is an output of nothing but errors'
mkdir folder
refused 1 'folder: Is a directory' folder
if [ "$(id -u)" -ne 0 ]; then
    chmod 0 b
    refused 1 'b: Permission denied' b
    chmod 644 b
fi
refused 1 '/proc/self/mem: Input/output error' -o unreadable.gz /proc/self/mem
[ ! -e unreadable.gz ] || fail 'half of an output is left after a failed read'
for arguments in '-p 0' '-p x' '-b 1' '--what' '-o'; do
    refused 2 'Usage' $arguments
done
"$pgzip" --help | grep -q Usage || fail 'no help'

# --- no room ---
"$pgzip" -c random >/dev/full 2>errors && fail 'a full device is no error'
grep -q 'standard output: No space left on device' errors || fail "of a full device it says: $(cat errors)"
mkdir small
if unshare -m sh -c 'mount -t tmpfs -o size=128k none small' 2>/dev/null; then
    unshare -m sh -c 'mount -t tmpfs -o size=128k none small && "$0" -o small/out.gz random; echo $?; ls small' "$pgzip" \
        >said 2>errors
    [ "$(cat said)" = 1 ] || fail "on a full file system: $(cat said)"
    grep -q 'small/out.gz: No space left on device' errors || fail "of a full file system it says: $(cat errors)"
fi
"$pgzip" <long 2>errors | head -c 10 >piece # a reader that leaves
grep -q 'standard output: Broken pipe' errors || fail "of a reader that leaves it says: $(cat errors)"

# --- memory, while much more goes through ---
[ -z "$sanitizer" ] && megabytes=200 || megabytes=30
{ head -c 100000 text; head -c 948576 /dev/zero; } >megabyte
mkfifo pipe
"$pgzip" -1 -p 2 <pipe >large.gz &
run=$!
{
    # shellcheck disable=SC2046
    cat $(yes megabyte | head -n $megabytes)
    family $run >peaks # all is read but for what the pipe holds, and nobody has ended
} >pipe
wait $run || fail "much at once: it gave $?"
run=
[ "$(gunzip -c large.gz | wc -c)" -eq $((megabytes * 1048576)) ] || fail 'much at once: gunzip gives something else'
rm large.gz
largest=$(sort -k 2,2n peaks | tail -n 1 | cut -d ' ' -f 2)
echo "$megabytes MB with $(wc -l <peaks) processes, none with more than $largest KiB"
[ "$(wc -l <peaks)" -ge 4 ] || fail "where are its processes: $(cat peaks)"
[ -n "$sanitizer" ] || [ "$largest" -lt 65536 ] || fail "a process has had $largest KiB: $(cat peaks)"

# --- workers are killed ---
# Its input ends when one was killed at the earliest, however late that is.
{
    cat long
    while [ -d "$temp" ] && [ ! -e has_killed ]; do sleep 0.05; done
} >pipe &
: >killed.gz
"$pgzip" -b 128 -p 2 <pipe >killed.gz 2>errors &
run=$!
killed=0
while kill -0 $run 2>/dev/null; do
    worker=$(workers $run | shuf -n 1)
    [ -n "$worker" ] && kill -KILL "$worker" 2>/dev/null || continue
    killed=$((killed + 1))
    : >has_killed
    # Until the block that was hit is written, and all that were on their way with it: each is begun three times
    # at most, and nobody is to have such bad luck.
    written=$(($(wc -c <killed.gz) + 700000))
    while kill -0 $run 2>/dev/null && [ "$(wc -c <killed.gz)" -lt $written ]; do sleep 0.01; done
done
: >has_killed
wait $run || fail "with workers killed: it gave $?: $(cat errors)"
run=
gunzip -c killed.gz | cmp -s - long || fail 'with workers killed: gunzip gives something else'
echo "$killed workers killed"
[ $killed -gt 0 ] || fail 'no worker was killed'

# --- stopped ---
if [ "$sanitizer" != thread ]; then # it keeps a signal back from threads that sleep
    "$pgzip" -o stopped.gz <pipe &
    run=$!
    exec 3>pipe
    cat text >&3
    while [ ! -e stopped.gz ] && kill -0 $run 2>/dev/null; do sleep 0.02; done
    kill -TERM $run # in the background of a script SIGINT is ignored
    wait $run
    status=$?
    run=
    exec 3>&-
    [ $status -eq 143 ] || fail "interrupted: it gave $status"
    [ ! -e stopped.gz ] || fail 'interrupted: half of an output is left'
fi

# --- on a terminal ---
if command -v script >/dev/null; then
    script -qec "'$pgzip' -k long" screen </dev/null >/dev/null || fail "on a terminal: it gave $?"
    grep -q 'MB of [0-9.]* MB, [0-9.]* MB/s, [0-9]* %' screen || fail "on a terminal it shows: $(cat screen)"
    script -qec "'$pgzip' <long" screen </dev/null >/dev/null && fail 'it writes to a terminal'
fi

[ "$failures" -eq 0 ]
