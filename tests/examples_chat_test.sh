# The example chat with real clients. sh examples_chat_test.sh SOURCE BUILD
# covers: A72

build=${2:?usage: examples_chat_test.sh SOURCE BUILD}
[ -x "$build/chat" ] && command -v python3 >/dev/null || exit 77
. "$(dirname "$0")/servers/lib.sh"

refused 0 'Usage: chat' chat --help
for arguments in '-c 0' '-m x' '-p 0' '--what' 'a b'; do
    refused 2 'Usage: chat' chat $arguments
done
refused 1 'not an address: somewhere' chat somewhere

start chat 127.0.0.1:0
peer chat "$address"
peer crowd "$address" 150
if command -v socat >/dev/null; then
    said=$(printf '/who\r\n/quit\r\n' | socat -t 20 - "TCP:$address" | tail -n 1)
    [ "$said" = '* good-bye' ] || fail "to socat it says: $said"
else
    echo 'without socat'
fi
peer farewell "$address" "$pid"
finish 0
is_content

# Slow readers; a Unix socket keeps less for them than TCP does.
start chat -m 50 "$folder/socket"
peer lag "$address" 3000
kill -TERM "$pid"
finish 0
start chat -p 0.05 "$folder/socket"
peer deaf "$address"
kill -TERM "$pid"
finish 0

[ "$failures" -eq 0 ]
