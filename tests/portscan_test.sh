# The scanner of examples/portscan.c finds what listens, in order, and nothing else: sh portscan_test.sh SOURCE BUILD
# covers: A72

build=${2:?usage: portscan_test.sh SOURCE BUILD}
portscan=$build/portscan
[ -x "$portscan" ] && command -v python3 >/dev/null || exit 77

# ThreadSanitizer keeps a signal back from a thread that sleeps in a system call of its own.
grep -q '^SKUA_SANITIZE:STRING=thread$' "$build/CMakeCache.txt" && { echo 'signals are late with this sanitizer'; exit 77; }

folder=$(mktemp -d) || exit 2
mkfifo "$folder/hold"
trap 'exec 9>&-; rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
failures=0

fail() {
    failures=$((failures + 1))
    echo "$*"
}

# Three listeners near each other; the second's line of clients is full, so that it answers nobody. They end when the
# fifo is closed.
python3 -c '
import socket, sys
for first in range(20000, 30000, 100):
    sockets = []
    try:
        for offset in (3, 20, 41):
            listener = socket.socket()
            listener.bind(("127.0.0.1", first + offset))
            listener.listen(0 if offset == 20 else 100)
            sockets.append(listener)
        break
    except OSError:
        pass
clients = [socket.socket() for _ in range(4)]
for client in clients:
    client.setblocking(False)
    client.connect_ex(("127.0.0.1", first + 20))
print(first, flush=True)
sys.stdin.read()' <"$folder/hold" >"$folder/first" &
exec 9>"$folder/hold"
until [ -s "$folder/first" ]; do
    kill -0 $! 2>/dev/null || { echo "no listeners"; exit 1; }
    sleep 0.02
done
first=$(cat "$folder/first")

# scan WANTED STATUS OPTION...: the ports that are found, counted from $first.
scan() {
    wanted=$1
    wanted_status=$2
    shift 2
    "$portscan" "$@" >"$folder/out" 2>"$folder/err"
    status=$?
    found=$(awk -v first="$first" '{ printf "%s%d", (NR > 1 ? " " : ""), $1 - first }' "$folder/out")
    [ "$found" = "$wanted" ] && [ $status -eq "$wanted_status" ] ||
        fail "portscan $*: status $status, found \"$found\", not \"$wanted\": $(cat "$folder/err")"
}

# The time for an attempt is long where a busy machine might use it up, and short where nobody answers anyway.
last=$((first + 99))
scan '3 41' 0 -t 2000 -p "$first-$last"
grep -q '^100 of 100 ports tried in .*, 2 open, 0 could not be tried$' "$folder/err" || fail "it says: $(cat "$folder/err")"
scan '3' 0 -q -t 60000 -j 1 -p "$first-$((first + 19))" 127.0.0.1
[ ! -s "$folder/err" ] || fail "quiet, it says: $(cat "$folder/err")"
scan '41' 0 -t 60000 -p $((first + 41))
scan '' 0 -t 1 -p $((first + 20))
scan '' 0 -p "$first-$last" ::1
(ulimit -n 40 && scan '41' 0 -t 60000 -j 1000 -p "$((first + 21))-$last" && [ $failures -eq 0 ]) || failures=$((failures + 1))

# Not this machine, and no port.
for arguments in 192.0.2.1 0.0.0.0 2001:db8::1 localhost '-p 0' '-p 9-5' '-p 70000' '-p 5-' '-j 0' '-t x' --what '::1 ::1'; do
    # shellcheck disable=SC2086 # words are wanted
    "$portscan" $arguments >"$folder/out" 2>"$folder/err" </dev/null
    status=$?
    [ $status -eq 2 ] && [ ! -s "$folder/out" ] && grep -q -e --help "$folder/err" ||
        fail "portscan $arguments: status $status: $(cat "$folder/err")"
done
"$portscan" --help | grep -q '^Usage: portscan' || fail "no help"

# A stop in the middle: each attempt at the port that answers nobody would take a minute.
attempts() {
    grep -ci "0100007F:$(printf %04X $((first + 20))) 02 " /proc/net/tcp
}
before=$(attempts)
"$portscan" -t 60000 -p $((first + 20)) >"$folder/out" 2>"$folder/err" &
scanner=$!
while [ "$(attempts)" -le "$before" ] && kill -0 $scanner; do sleep 0.02; done
kill -TERM $scanner
wait $scanner
status=$?
[ $status -eq 143 ] || fail "stopped: status $status: $(cat "$folder/err")"
[ "$failures" -eq 0 ]
