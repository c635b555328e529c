# Skua's TLS with strangers: openssl s_client and openssl s_server. sh tls_peers_test.sh SOURCE BUILD
# covers: A72

source=${1:?usage: tls_peers_test.sh SOURCE BUILD}
build=${2:?usage: tls_peers_test.sh SOURCE BUILD}
peer=$build/tests/tls_peer
[ -x "$peer" ] && command -v openssl >/dev/null || exit 77

folder=$(mktemp -d) || exit 2
stranger=
trap '[ -z "$stranger" ] || kill "$stranger" 2>/dev/null; rm -rf "$folder"' EXIT
cd "$folder" || exit 2
failures=0

# certificate NAME SUBJECT ALTERNATIVES: signed by the authority in ca.pem.
certificate() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" \
        -keyout "$1.key" -out "$1.csr" 2>>log &&
        printf 'subjectAltName=%s\n' "$3" >"$1.ext" &&
        openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile "$1.ext" -out "$1.crt" 2>>log &&
        cat "$1.crt" "$1.key" >"$1.pem"
}
{
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
        -subj '/CN=Skua CA' -keyout ca.key -out ca.pem 2>>log &&
        certificate server 'the server' DNS:skua.test &&
        certificate client 'the client' DNS:client.test
} || { cat log; exit 1; }
# Letters at the beginning of a line may be commands.
awk 'BEGIN { for (i = 0; i < 4000; i++) print "-", i, i * i * 7919 }' >lines

# is WHAT GOT WANTED
is() {
    [ "$2" = "$3" ] && return
    printf '%s: it says:\n%s\nand not:\n%s\n' "$1" "$2" "$3"
    failures=$((failures + 1))
}

# port FILE: waits for the line that tells the number.
port() {
    tries=0
    while :; do
        number=$(sed -n 's/^port \([0-9]*\)$/\1/p; s/^ACCEPT.*:\([0-9]*\)$/\1/p' "$1" | head -n 1)
        [ -z "$number" ] || break
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || { echo "nobody listens" >&2; cat "$1" >&2; break; }
        sleep 0.1
    done
    echo "$number"
}

# visited WHAT SAID 'OPTIONS OF OURS' OPTION...: our server, and s_client with these options.
visited() {
    what=$1
    said=$2
    ours=$3
    shift 3
    : >served # or the number of the last one would be found there
    "$peer" server server.pem server.key $ours >served 2>&1 &
    stranger=$!
    number=$(port served)
    { cat lines; echo quit; } | openssl s_client -connect "127.0.0.1:$number" -CAfile ca.pem \
        -verify_return_error -servername skua.test -quiet "$@" >back 2>log
    wait "$stranger"
    stranger=
    is "$what" "$(sed '/^port/d' served)" "$said"
    case $said in
    *well) cmp -s lines back || is "$what" 'something else comes back' 'what was sent' ;;
    esac
}

visited 's_client, 1.3' 'TLSv1.3  
end: well' '' -tls1_3
visited 's_client, 1.2, a protocol on top' 'TLSv1.2 skua/1 
end: well' '' -tls1_2 -alpn other,skua/1
visited 's_client with a certificate' 'TLSv1.3  CN=the client
end: well' ca.pem -cert client.pem -key client.key
visited 's_client without one' \
    'Key was rejected by service: peer did not return a certificate' ca.pem
visited 's_client with a protocol that nobody knows' \
    'Protocol error: no application protocol' '' -alpn other
visited 's_client that is too old' 'Protocol error: unsupported protocol' '' \
    -tls1_1 -cipher 'ALL:@SECLEVEL=0'

# visits WHAT SAID HOST 'OPTIONS OF OURS' OPTION...: s_server with these options, and our client.
visits() {
    what=$1
    said=$2
    host=$3
    ours=$4
    shift 4
    : >served
    openssl s_server -accept 127.0.0.1:0 -cert server.pem -key server.key -rev -naccept 1 \
        "$@" >served 2>&1 &
    stranger=$!
    number=$(port served)
    is "$what" "$("$peer" client "$number" ca.pem "$host" $ours 2>&1)" "$said"
    kill "$stranger" 2>/dev/null
    wait "$stranger" 2>/dev/null
    stranger=
}

visits 's_server, 1.3' 'TLSv1.3  CN=the server
end: well' skua.test '' -tls1_3
visits 's_server, 1.2, a protocol on top' 'TLSv1.2 skua/1 CN=the server
end: well' skua.test '' -tls1_2 -alpn skua/1
visits 's_server that wants a certificate' 'TLSv1.3  CN=the server
end: well' skua.test client.pem -Verify 1 -CAfile ca.pem -verify_return_error
visits 's_server of another name' \
    "Key was rejected by service: the peer's certificate: hostname mismatch" other.test ''

[ "$failures" -eq 0 ]
