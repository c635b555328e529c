# The example proxy with real clients and servers. sh examples_proxy_test.sh SOURCE BUILD
# covers: A72 D72

build=${2:?usage: examples_proxy_test.sh SOURCE BUILD}
[ -x "$build/proxy" ] && command -v python3 >/dev/null || exit 77
. "$(dirname "$0")/servers/lib.sh"

refused 0 'Usage: proxy' proxy --help
for arguments in '' '-c x a' '--what a' 'a b'; do
    refused 2 'Usage: proxy' proxy $arguments
done
refused 1 'cannot read nowhere: No such file or directory' proxy nowhere
: >empty
refused 1 'empty: no line such as' proxy empty
echo 'backend 127.0.0.1:1' >some
refused 1 'cannot listen at somewhere: not an address' proxy -l somewhere some

peer reload "$build/proxy"
peer routes "$build/proxy"
peer proxy_drain "$build/proxy"

# --- curl, and a web server ---
if command -v curl >/dev/null; then
    mkdir web
    head -c 5000000 /dev/urandom >web/large
    echo small >web/small
    mkfifo web.said
    python3 -u -m http.server --bind 127.0.0.1 --directory web 0 >web.said 2>/dev/null &
    web=$!
    read -r line <web.said
    port=$(echo "$line" | sed 's/.* port \([0-9]*\) .*/\1/')
    echo "backend 127.0.0.1:$port" >conf
    start proxy -l 127.0.0.1:0 conf
    curl -sS --max-time 50 -o got "http://$address/large" || fail "curl gave $?"
    cmp got web/large || fail 'curl gets another file'
    urls=
    for i in $(seq 40); do urls="$urls http://$address/small"; done
    [ "$(curl -sS --no-progress-meter --max-time 50 -Z --parallel-max 8 $urls | sort | uniq -c | tr -s ' ')" = ' 40 small' ] ||
        fail 'curl gets something else'
    kill -TERM "$pid"
    finish 0
    kill "$web"
    wait "$web" 2>/dev/null
    web=
    is_content
else
    echo 'without curl'
fi

[ "$failures" -eq 0 ]
