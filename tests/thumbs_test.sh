# The example thumbs with hostile pictures: sh thumbs_test.sh SOURCE BUILD. Some crash their decoder, hang it,
# let it eat memory or write nonsense. The report accounts for every file, and the good ones are not concerned.
# covers: A67 D79

build=${2:?usage: thumbs_test.sh SOURCE BUILD}
thumbs=$build/thumbs
[ -x "$thumbs" ] || exit 77
. "$(dirname "$0")/complaints.sh"
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

# has_worker PID: a process whose parent, the zygote, is a child of that one.
has_worker() {
    cat /proc/[0-9]*/status 2>/dev/null | awk -v run="$1" '
        /^Pid:/ { pid = $2 }
        /^PPid:/ { parent[pid] = $2 }
        END { for (pid in parent) if (parent[parent[pid]] == run) exit 0; exit 1 }'
}

# gray FILE WIDTH HEIGHT [COMMENT]: a picture of one gray, as large as it says.
gray() {
    printf 'P5\n%s%s %s\n255\n' "${4-}" "$2" "$3" >"$1"
    head -c $(($2 * $3)) /dev/zero | tr '\0' '\144' >>"$1"
}

# claims FILE WIDTH HEIGHT [WHITE]: a picture that only says so.
claims() {
    printf 'P5\n%s %s\n%s\n' "$2" "$3" "${4-255}" >"$1"
}

# exploit NAME [FOLDER]: a picture of 10 x 10 with that in its comment.
exploit() {
    gray "${2-pictures}/$1" 10 10 "# exploit $1
"
}

mkdir pictures
for i in 1 2 3 4 5 6 7 8 9; do
    gray "pictures/good $i" 300 200 '# a comment
'
done
printf 'P6 2 2 255\n%s' 'rgbrgbrgbrgb' >pictures/color
gray pictures/wide 1000 1
claims pictures/overflow 65536 65537
claims pictures/huge 60000 60000
claims pictures/black 10 10 0
printf 'P5 # no end' >pictures/comment
echo 'no picture' >"pictures/text
\\ \"x\" $(printf '\377')"
: >pictures/empty
for name in open exit eat scribble nonsense flood; do
    exploit $name
done
truncate -s 5G pictures/long
mkdir pictures/folder
ln -s color pictures/link
files=24

# Nothing here ends by the time for a file, which is long: whatever else keeps this machine.
"$thumbs" -j 3 -t 100 -m 512 --json pictures thumbnails >report 2>errors
[ $? -eq 1 ] || fail "with hostile pictures it gave $?"
complaints_of errors >complaints
[ ! -s complaints ] || [ -n "$sanitizer" ] || fail "it complains: $(cat complaints)"
cat report

# --- every file has one outcome ---
# number KEY: its value in the report.
number() {
    sed -n "s/.*\"$1\": \([0-9]*\),.*/\1/p" report | head -n 1
}
[ "$(number files)" = $files ] || fail "there are $(number files) files"
sum=0
for key in not_tried done crashed timed_out over_limit refused failed; do
    sum=$((sum + $(number $key)))
done
[ $sum -eq $files ] || fail "there are $sum outcomes of $files files"
[ "$(grep -c '^{"file": ' report)" -eq $((files - $(number done))) ] || fail 'the list is not that of the others'
[ "$(number not_tried)" = 0 ] && [ "$(number failed)" = 0 ] || fail 'some were not tried'
if command -v python3 >/dev/null; then
    python3 -c 'import json; json.load(open("report"))' || fail 'it is no JSON'
fi

# ended FILE OUTCOME TEXT: as it is in the report.
ended() {
    line=$(grep "^{\"file\": \"$1\"" report)
    case $line in
    *"\"outcome\": \"$2\""*"$3"*) ;;
    *) fail "$1: not $2, $3: $line" ;;
    esac
}

ended exit crashed 'exit'
ended empty refused 'neither'
ended 'text\\\\x0a\\\\\\\\ \\"x\\" \\\\xff' refused 'neither'
ended nonsense refused 'nonsense'
ended long over_limit 'too large'
ended scribble crashed ''
if [ -z "$sanitizer" ]; then
    ended overflow crashed 'signal 11'
    ended black crashed 'signal 8'
    ended comment crashed 'signal 11'
    ended flood crashed 'line 99999'
    ended huge over_limit '60000 x 60000'
    ended eat over_limit ''
fi
if grep -q '"sandbox": true' report; then
    ended open over_limit 'forbids'
    good=11
else
    good=12
fi
[ "$(number done)" = $good ] || [ -n "$sanitizer" ] || fail "$(number done) are done, not $good"

# --- and the good ones have their thumbnails ---
for i in 1 2 3 4 5 6 7 8 9; do
    [ "$(head -n 2 "thumbnails/good $i" | tr '\n' ' ')" = 'P5 75 50 ' ] &&
        [ "$(tail -c 3750 "thumbnails/good $i" | tr -d '\144' | wc -c)" -eq 0 ] || fail "good $i is not so good"
done
[ "$(head -n 2 thumbnails/wide | tr '\n' ' ')" = 'P5 125 1 ' ] || fail 'the wide one has another size'
[ "$(cat thumbnails/color)" = "$(printf 'P6\n2 2\n255\nrgbrgbrgbrgb')" ] || fail 'the small one has changed'
[ "$(find thumbnails -type f | wc -l)" -eq "$(number done)" ] || fail 'there are other files than the report says'

# --- late, and asleep ---
mkdir late
claims late/hang 4294967295 1
exploit sleep late
"$thumbs" -j 2 -t 1 --json late thumbnails >report
[ $? -eq 1 ] || fail "with pictures that hang it gave $?"
ended hang timed_out 'longer than 1.0 s'
grep -q '^{"file": "sleep", "outcome": "\(timed_out\|crashed\)"' report || fail 'the sleeper has ended otherwise'
[ "$(number done)" -eq 0 ] || fail 'a picture that hangs is done'

# --- one after the other, and the report for people ---
mkdir few && cp pictures/good* few
"$thumbs" -j 1 -t 100 -s 10 few thumbnails >report || fail "with good pictures it gave $?"
grep -q '^9 files in [0-9.]* s: 9 done, 0 crashed, 0 timed out, 0 over limit, 0 refused, 0 failed$' report ||
    fail "it reports: $(cat report)"
[ "$(head -n 2 'thumbnails/good 1' | tail -n 1)" = '9 6' ] || fail 'they are not of that size'
cp late/hang few
"$thumbs" -j 2 -t 200 --cpu 1 few thumbnails >report && fail 'the one that computes for ever was done'
grep -q '^hang: over limit: ' report || fail "of the one that computes for ever: $(cat report)"

# --- stopped ---
# stop FILES: it is stopped, and has these counts to tell.
stop() {
    kill -TERM $run # in the background of a script SIGINT is ignored
    wait $run
    status=$?
    run=
    [ $status -eq 143 ] || fail "interrupted: it gave $status"
    grep -q "^$1\$" report || fail "interrupted, it reports: $(cat report)"
}

if [ "$sanitizer" != thread ]; then # it keeps a signal back from threads that sleep
    mkdir sleepers
    for i in 1 2 3; do claims sleepers/$i 4294967295 1; done
    gray sleepers/0 10 10
    rm -f thumbnails/0
    # A process for each file, or those that hang might have them all.
    "$thumbs" -j 4 -t 200 sleepers thumbnails >report 2>errors &
    run=$!
    while [ ! -e thumbnails/0 ]; do
        kill -0 $run 2>/dev/null || break
        sleep 0.02
    done
    stop '4 files in .*: 1 done, .* 3 not tried'
    # Most wait for a process, or have not even begun, when there is the first one.
    rm sleepers/0
    for i in 4 5 6; do claims sleepers/$i 4294967295 1; done
    "$thumbs" -j 1 -t 200 sleepers thumbnails >report 2>errors &
    run=$!
    until has_worker $run; do
        kill -0 $run 2>/dev/null || break
        sleep 0.02
    done
    stop '6 files in .*: 0 done, .* 6 not tried'
fi

# --- arguments ---
for arguments in '' 'one' 'a b c' '-j 0 a b' '-t x a b' '-s 5000 a b' '--what a b'; do
    "$thumbs" $arguments >/dev/null 2>&1
    [ $? -eq 2 ] || fail "arguments '$arguments' were accepted"
done
"$thumbs" --help | grep -q Usage || fail 'no help'
"$thumbs" nowhere thumbnails 2>errors && fail 'a missing folder is no error'
grep -q 'nowhere: No such file' errors || fail "of a missing folder it says: $(cat errors)"

[ "$failures" -eq 0 ]
