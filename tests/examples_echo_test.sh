# The example echo with real clients. sh examples_echo_test.sh SOURCE BUILD
# covers: A72

build=${2:?usage: examples_echo_test.sh SOURCE BUILD}
[ -x "$build/echo" ] && command -v python3 >/dev/null || exit 77
. "$(dirname "$0")/servers/lib.sh"

refused 0 'Usage: echo' echo --help
for arguments in '-c x' '-c -1' '-i 1e9' '-g' '--what' 'a b'; do
    refused 2 'Usage: echo' echo $arguments
done
refused 1 'not an address: somewhere' echo somewhere
refused 1 "cannot listen at $folder: Address already in use" echo "$folder"

# --- many, and the end while somebody is there ---
start echo -g 1000 127.0.0.1:0
refused 1 'Address already in use' echo "$address"
peer many "$address" 300
program=echo
if command -v socat >/dev/null; then
    head -c 3000000 /dev/urandom >data
    socat -t 20 - "TCP:$address" <data | cmp - data || fail 'socat gets something else back'
else
    echo 'without socat'
fi
peer drain "$address" "$pid"
finish 0
read -r said <&3
case $said in
*' connections, 0 of them closed for silence; '*' bytes') ;;
*) fail "at the end it says: $said" ;;
esac

# --- no grace ---
start echo -g 1000 127.0.0.1:0
peer cut "$address" "$pid"
finish 143

# --- a limit, and silence ---
start echo -c 3 127.0.0.1:0
peer limit "$address" 3
kill -TERM "$pid"
finish 0
start echo -i 0.05 "$folder/socket"
if command -v socat >/dev/null; then
    socat -u "UNIX-CONNECT:$folder/socket" - >silence || fail 'who is silent is not closed properly'
    kill -TERM "$pid"
    finish 0
    read -r said <&3
    [ "$said" = '1 connections, 1 of them closed for silence; 0 bytes' ] || fail "it says: $said"
    # The socket that it has left behind is in nobody's way.
    start echo "$folder/socket"
    [ "$(echo over a socket | socat -t 20 - "UNIX-CONNECT:$folder/socket")" = 'over a socket' ] ||
        fail 'nothing comes back over a Unix socket'
fi
kill -TERM "$pid"
finish 0

[ "$failures" -eq 0 ]
