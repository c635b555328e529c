# For the tests of the examples that are servers; source it with $build set.

# A signal reaches a thread under ThreadSanitizer when it calls something next, which one that waits
# does not.
if grep -q '^SKUA_SANITIZE:.*=thread' "$build/CMakeCache.txt"; then
    echo 'not with ThreadSanitizer: it keeps signals from threads that wait'
    exit 77
fi

here=$(cd "$(dirname "$0")" && pwd)
. "$here/complaints.sh"
folder=$(mktemp -d) || exit 2
pid=
web=
trap '[ -z "$pid$web" ] || kill -9 $pid $web 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder" || exit 2
failures=0

fail() {
    failures=$((failures + 1))
    echo "$*"
}

# start NAME ARGUMENT...: runs it in the background; $pid, and $address once it listens. What it
# prints from then on is read from fd 3, what it complains of is in NAME.err.
start() {
    program=$1
    shift
    rm -f said
    mkfifo said
    "$build/$program" "$@" >said 2>"$program.err" &
    pid=$!
    exec 3<said
    address=
    read -r first second address <&3 || fail "$program $* does not listen: $(cat "$program.err")"
}

# finish STATUS: waits for its end, which somebody has asked for.
finish() {
    wait "$pid"
    status=$?
    pid=
    [ "$status" -eq "$1" ] || fail "$program has ended with $status and not $1: $(cat "$program.err")"
}

# is_content: the program, which has ended, has complained of nothing.
is_content() {
    complaints_of "$program.err" >complaints
    [ ! -s complaints ] || fail "it complains: $(cat complaints)"
}

# refused STATUS TEXT NAME ARGUMENT...: does not start, and says why.
refused() {
    wanted=$1
    text=$2
    shift 2
    program=$1
    shift
    said=$(timeout 20 "$build/$program" "$@" 2>&1)
    status=$?
    [ "$status" -eq "$wanted" ] || fail "$program $* has ended with $status and not $wanted"
    case $said in
    *"$text"*) ;;
    *) fail "$program $* says '$said' and not '$text'" ;;
    esac
}

# peer WHAT ARGUMENT...: a client in Python.
peer() {
    python3 "$here/servers/peer.py" "$@" || fail "peer $* has failed"
}
