# The server of examples/keyvalue with the clients of Redis, and with clients that send nonsense:
# sh keyvalue_test.sh SOURCE BUILD
# covers: A72

build=${2:?usage: keyvalue_test.sh SOURCE BUILD}
keyvalue=$build/keyvalue
[ -x "$keyvalue" ] || exit 77
for client in redis-cli redis-benchmark python3; do
    command -v $client >/dev/null || exit 77
done

# ThreadSanitizer keeps a signal back from a thread that sleeps in a system call of its own.
grep -q '^SKUA_SANITIZE:STRING=thread$' "$build/CMakeCache.txt" && { echo 'signals are late with this sanitizer'; exit 77; }

. "$(dirname "$0")/complaints.sh"
folder=$(mktemp -d) || exit 2
server=
trap '[ -z "$server" ] || kill -KILL "$server" 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
failures=0

fail() {
    failures=$((failures + 1))
    echo "$*"
}

# start OPTION...: $server is its number, $address where it listens.
start() {
    : >"$folder/out"
    "$keyvalue" "$@" >"$folder/out" 2>"$folder/err" &
    server=$!
    until grep -q listening "$folder/out"; do
        kill -0 "$server" 2>/dev/null || { cat "$folder/err"; exit 1; }
        sleep 0.02
    done
    address=$(sed -n 's/^keyvalue: listening at //p' "$folder/out")
    port=${address##*:}
}

# stop: it ends well, and soon, whatever its clients do.
stop() {
    kill -TERM "$server"
    wait "$server"
    status=$?
    server=
    complaints_of "$folder/err" >"$folder/complaints"
    [ $status -eq 0 ] && [ ! -s "$folder/complaints" ] || fail "the server ended with $status: $(cat "$folder/err")"
}

# says WANTED COMMAND...: what redis-cli says.
says() {
    wanted=$1
    shift
    said=$(redis-cli -p "$port" "$@" 2>&1)
    [ "$said" = "$wanted" ] || fail "$*: it says \"$said\" and not \"$wanted\""
}

start -w 2 127.0.0.1:0
says PONG ping
says hello ping hello
says 'two words' echo 'two words'
says '' get name
says OK set name Skua
says Skua get name
says OK SeT name 'another one'
says 'another one' GET name
says OK set '' ''
says '' get ''
says 3 exists name name '' nobody
says 1 incr count
says 2 incr count
says 1 decr count
says 'ERR value is not an integer or out of range' incr name
says OK set count 9223372036854775807
says 'ERR increment or decrement would overflow' incr count
says 9223372036854775807 get count
says OK set count -9223372036854775807
says -9223372036854775808 decr count
says 'ERR increment or decrement would overflow' decr count
says -9223372036854775807 incr count
for value in '' - 1x ' 1' 9223372036854775808 99999999999999999999; do
    says OK set count "$value"
    says 'ERR value is not an integer or out of range' incr count
done
says 3 dbsize
says 2 del name '' nobody
says '' get name
says "ERR unknown command 'what'" what
says "ERR wrong number of arguments for 'GET' command" get
says "ERR wrong number of arguments for 'SET' command" set name
says "$(printf 'save\n')" config get save
says OK flushall
says 0 dbsize

# Increments of the same key by many at once: none is lost.
redis-benchmark -p "$port" -n 2000 -c 20 -q incr shared >/dev/null 2>&1 || fail 'redis-benchmark failed'
says 2000 get shared
for pipeline in 1 16; do
    redis-benchmark -p "$port" -t ping_inline,ping_mbulk,set,get,incr -n 2000 -c 50 -P $pipeline -d 100 -r 1000 -q \
        --csv >"$folder/benchmark" 2>&1 || fail 'redis-benchmark failed'
    [ "$(grep -c '^"[A-Z_]*","[0-9.]*"' "$folder/benchmark")" -eq 5 ] || fail "redis-benchmark says: $(cat "$folder/benchmark")"
done

# What redis-cli cannot do.
cat >"$folder/client.py" <<'END'
import os, random, socket, sys

address = ("127.0.0.1", int(sys.argv[1]))
seed = int(os.environ.get("SKUA_SEED", random.randrange(1 << 32)))
random.seed(seed)
print("seed", seed)


def connect():
    client = socket.create_connection(address, 60)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def command(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def to_end(client):
    got = b""
    try:
        while piece := client.recv(1 << 16):
            got += piece
    except ConnectionResetError:
        pass
    return got


def talk(sent, wanted):
    """What is sent gets these answers, and then the end."""
    client = connect()
    client.sendall(sent)
    client.shutdown(socket.SHUT_WR)
    got = to_end(client)
    client.close()
    assert got == wanted, (sent[:100], got[:200], wanted[:200])


def refused(sent, why):
    client = connect()
    client.sendall(sent)
    got = to_end(client)
    client.close()
    assert got == b"-ERR Protocol error: " + why + b"\r\n", (sent[:100], got[:200])


# In pieces of a byte each, in one piece, and words of any bytes.
name, value = b"\r\n\0$5", bytes(range(256)) * 20
client = connect()
for byte in command(b"SET", name, b"abc") + command(b"GET", name):
    client.sendall(bytes([byte]))
client.shutdown(socket.SHUT_WR)
assert to_end(client) == b"+OK\r\n$3\r\nabc\r\n"
talk(command(b"set", name, value) + command(b"get", name), b"+OK\r\n$%d\r\n%s\r\n" % (len(value), value))
talk(command(b"ECHO", b"x" * 999) * 1000, (b"$999\r\n" + b"x" * 999 + b"\r\n") * 1000)

# Lines that somebody types; empty ones are nothing.
talk(b"ping\r\n\r\n  PING \t hello \n*0\r\nget nobody\n", b"+PONG\r\n$5\r\nhello\r\n$-1\r\n")
talk(command(b"a\r\n+OK\r\n"), b"-ERR unknown command 'a??+OK??'\r\n")
# QUIT is the last that is done; half a command at the end is none.
talk(b"PING\r\nQUIT\r\n", b"+PONG\r\n+OK\r\n")
talk(b"PING\r\n*2\r\n$4\r\nECHO\r\n$10\r\nabc", b"+PONG\r\n")
talk(command(b"EXISTS", *[b"k"] * 1023), b":0\r\n")

# Not commands.
refused(b"*1025\r\n", b"invalid multibulk length")
refused(b"*-1\r\n", b"invalid multibulk length")
refused(b"*99999999999999999999999999\r\n", b"invalid multibulk length")
refused(b"*" + b"1" * 40, b"invalid multibulk length")
refused(b"*1\r\n:4\r\n", b"expected '$'")
refused(b"*1\r\n$4\n", b"invalid bulk length")
refused(b"*1\r\n$4\r\nPINGPONG", b"a string is longer than announced")
refused(b"*1\r\n$99999999\r\n", b"the command is too long")
refused(b"*1\r\n$18446744073709551615\r\n", b"invalid bulk length")
refused(b"x" * 65536, b"the command is too long")

# Anything: pieces of commands, shuffled and damaged.
parts = [b"*", b"$", b"\r\n", b"\n", b"3", b"1", b"-1", b"SET", b"GET", b"PING", b"INCR", b"DEL", b" ", b"4294967296",
         command(b"SET", b"a", b"b"), command(b"GET", b"a"), b"PING\r\n", b"\0", b"\xff"]
for _ in range(300):
    sent = bytearray(b"".join(random.choices(parts, k=random.randrange(1, 60))))
    for _ in range(random.randrange(4)):
        sent[random.randrange(len(sent))] = random.randrange(256)
    client = connect()
    try:
        client.sendall(sent)
        if random.random() < 0.8:
            client.shutdown(socket.SHUT_WR)
            to_end(client)
    except (ConnectionResetError, BrokenPipeError, OSError) as error:
        assert not isinstance(error, TimeoutError), bytes(sent)
    client.close()
talk(b"PING\r\n", b"+PONG\r\n")

# Somebody who asks for a lot and reads nothing keeps nobody else.
greedy = connect()
greedy.settimeout(0.5)
try:
    while True:
        greedy.sendall(command(b"GET", name) * 100)
except TimeoutError:
    pass
talk(b"PING\r\n", b"+PONG\r\n")
END
python3 "$folder/client.py" "$port" >"$folder/client" 2>&1 || fail "$(tail -n 5 "$folder/client" | cut -c 1-600) $(head -n 1 "$folder/client")"
says PONG ping
stop

# A Unix socket; a full table.
start -m 1 -b 70000 "$folder/socket"
python3 - "$folder/socket" >"$folder/client" 2>&1 <<'END' || fail "$(tail -n 3 "$folder/client")"
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(60)
client.connect(sys.argv[1])
answers = client.makefile("rb")
value = b"v" * 65000
said = []
for number in range(20):
    client.sendall(b"*3\r\n$3\r\nSET\r\n$2\r\n%02d\r\n$65000\r\n%s\r\n" % (number, value))
    said.append(answers.readline())
assert said == [b"+OK\r\n"] * 16 + [b"-OOM command not allowed: the table is full\r\n"] * 4, said
client.sendall(b"DEL 00 01\r\nSET a b\r\nDBSIZE\r\n")
assert [answers.readline() for _ in range(3)] == [b":2\r\n", b"+OK\r\n", b":15\r\n"]
END
stop

# Who is silent for a second has to go. One who talks is not tried: a busy machine may keep him from it.
start -i 1 "$folder/socket"
python3 - "$folder/socket" >"$folder/client" 2>&1 <<'END' || fail "$(tail -n 3 "$folder/client")"
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(60)
client.connect(sys.argv[1])
assert client.recv(1) == b""
END
stop
[ ! -e "$folder/socket" ] || fail 'the socket file is left'

# What is no use is said, with what would be.
start 127.0.0.1:0
"$keyvalue" "$address" >"$folder/second" 2>&1
status=$?
[ $status -eq 1 ] && grep -q 'port 0 takes a free one' "$folder/second" || fail "status $status: $(cat "$folder/second")"
stop
for arguments in somewhere '-c 0' '-m x' --what '-b 1' 'a b'; do
    # shellcheck disable=SC2086 # words are wanted
    "$keyvalue" $arguments >"$folder/second" 2>&1
    status=$?
    [ $status -eq 1 ] || [ $status -eq 2 ] && grep -qi 'usage\|number' "$folder/second" ||
        fail "keyvalue $arguments: status $status: $(cat "$folder/second")"
done
"$keyvalue" --help | grep -q '^Usage: keyvalue' || fail 'no help'
[ "$failures" -eq 0 ]
