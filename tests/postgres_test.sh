# examples/pgselect with a PostgreSQL of its own: sh postgres_test.sh SOURCE BUILD. A hundred tasks share eight
# connections; who is late is stopped at the server, too; connections that die are replaced.
# covers: A81 A82 A84

build=${2:?usage: postgres_test.sh SOURCE BUILD}
pgselect=$build/pgselect
programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
PATH=$PATH${programs:+:$programs}
[ -x "$pgselect" ] || { echo 'pgselect is not built'; exit 77; }
for program in initdb postgres psql setpriv; do
    command -v $program >/dev/null || { echo "$program is not there"; exit 77; }
done
# ThreadSanitizer keeps a signal back from a thread that sleeps in a system call of its own.
grep -q '^SKUA_SANITIZE:STRING=thread$' "$build/CMakeCache.txt" && { echo 'signals are late with this sanitizer'; exit 77; }

# The server refuses to be root's.
owner=
if [ "$(id -u)" -eq 0 ]; then
    owner='--reuid postgres --regid postgres --clear-groups'
    # shellcheck disable=SC2086 # words are wanted
    setpriv $owner true 2>/dev/null || { echo 'there is no user postgres, and root may not run the server'; exit 77; }
fi

. "$(dirname "$0")/complaints.sh"
folder=$(mktemp -d) || exit 2
server=
clean_up() {
    exec 9>&-
    [ -z "$server" ] || { kill -INT "$server" 2>/dev/null; wait "$server"; }
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM
[ -z "$owner" ] || chown postgres "$folder" || exit 2
failures=0
fail() {
    failures=$((failures + 1))
    echo "$*"
}

cd "$folder" || exit 2
# shellcheck disable=SC2086
setpriv $owner initdb -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >log 2>&1 ||
    { cat log; exit 1; }
# It ends with this shell, however that ends.
# shellcheck disable=SC2086
setpriv $owner --pdeathsig INT postgres -D "$folder/data" -c listen_addresses= -c unix_socket_directories="$folder" \
    -c fsync=off -c max_connections=20 -c shared_buffers=4MB >log 2>&1 &
server=$!
connection="host=$folder user=postgres dbname=postgres application_name=tested"
ask() {
    psql -h "$folder" -U postgres -d postgres -XAtqc "$1" 2>>psql.log
}
until [ "$(ask 'select 1')" = 1 ]; do
    kill -0 "$server" 2>/dev/null || { cat log; exit 1; }
    sleep 0.05
done

# until_is WANTED QUERY
until_is() {
    tries=0
    until [ "$(ask "$2")" = "$1" ]; do
        tries=$((tries + 1))
        [ $tries -lt 1000 ] || { fail "waited in vain for $1 of: $2"; return 1; }
        sleep 0.02
    done
}
tested="from pg_stat_activity where application_name = 'tested'"

# is STATUS ROWS MESSAGES: what the last call gave; the messages are a pattern for each line.
is() {
    complaints_of err >complaints
    [ "$status" -eq "$1" ] && [ "$(cat out)" = "$2" ] && printf '%s\n' "$3" >patterns &&
        [ "$(wc -l <complaints)" -eq "$(wc -l <patterns)" ] &&
        [ "$(grep -cxf patterns complaints)" -eq "$(wc -l <patterns)" ] && return
    fail "status $status, and not $1; rows, wanted: $2; got:"
    cat out
    echo "messages, wanted: $3; got:"
    cat err
}
run() {
    "$pgselect" "$@" "$connection" >out 2>err
    status=$?
}

# A hundred tasks, eight connections, each of which sees all that there are.
for i in $(seq 100); do
    printf 'select $1::int * 2, (select count(*) %s), pg_sleep(0.005)\t%d\n' "$tested" "$i"
done >in
run <in
[ "$(cut -f 1 out)" = "$(seq 2 2 200)" ] || fail "the rows are: $(cut -f 1 out | tr '\n' ' ')"
[ "$(cut -f 2 out | sort -n | tail -n 1)" -le 8 ] || fail "connections: $(cut -f 2 out | sort -n | uniq -c)"
[ "$status" -eq 0 ] && grep -qx '100 statements, 0 failed; [1-8] connections opened, 0 given up' err || fail "status $status: $(cat err)"
run -c 1 -j 100 <in
[ "$status" -eq 0 ] && [ "$(cut -f 2 out | sort -u)" = 1 ] || fail "one connection: status $status: $(cut -f 2 out | sort | uniq -c)"

# Failures of statements concern nobody else, and the connection is used again.
printf '%s\n' 'selec 1' "select \$1, \$2::int	it's; --	7" 'select 1/0' 'select null::int, 1' 'select 1 where false' >in
printf 'select length(repeat($1, 1000000))\tx\n' >>in
run -c 1 -j 1 <in
is 1 "it's; --	7
\N	1
1000000" 'pgselect: line 1: ERROR:  syntax error at or near "selec"
LINE 1: selec 1
        ^
pgselect: line 3: ERROR:  division by zero
6 statements, 2 failed; 1 connections opened, 0 given up'

# Late: the server is told, and the same connection is used again, for one that is quick wherever it runs.
printf 'select pg_sleep(60)\nselect 2\n' | "$pgselect" -c 1 -j 1 -t 3000 "$connection" >out 2>err
status=$?
is 1 2 'pgselect: line 1: .*timed out.*
2 statements, 1 failed; 1 connections opened, 0 given up'

# A connection dies while it is used, and another one while it is idle. Advisory locks decide who goes on when.
mkfifo holder
psql -h "$folder" -U postgres -d postgres -XAtq <holder >holder.out 2>&1 &
exec 9>holder
echo 'select pg_advisory_lock(1); select pg_advisory_lock(2);' >&9
until_is 2 "select count(*) from pg_locks where locktype = 'advisory' and granted"
printf "select 'one' from pg_advisory_xact_lock(1)\nselect 'two' from pg_advisory_xact_lock(2)\n" >in
"$pgselect" -c 2 "$connection" <in >out 2>err &
client=$!
until_is 2 "select count(*) from pg_locks where locktype = 'advisory' and not granted"
echo 'select pg_advisory_unlock(2);' >&9
until_is 1 "select count(*) $tested and state = 'idle'"
ask "select pg_terminate_backend(pid) $tested" >killed
[ "$(wc -l <killed)" -eq 2 ] || fail "not two were ended: $(cat killed)"
until_is 1 "select count(*) from pg_locks where locktype = 'advisory' and not granted"
until_is 1 "select count(*) $tested"
echo 'select pg_advisory_unlock(1);' >&9
wait $client
status=$?
is 0 'one
two' '2 statements, 0 failed; 3 connections opened, 2 given up'

# ^C in the middle: the statements are stopped at the server.
printf 'select pg_sleep(60)\nselect pg_sleep(60)\n' >in
"$pgselect" "$connection" <in >out 2>err &
client=$!
until_is 2 "select count(*) $tested and state = 'active'"
kill -TERM $client
wait $client
status=$?
is 143 '' '2 statements, 2 failed; 2 connections opened, 0 given up'
until_is 0 "select count(*) $tested"

# No server, and no sense.
echo 'select 1' >in
connection="host=$folder/nowhere"
run <in
[ "$status" -eq 1 ] && grep -q 'cannot connect: .*nowhere' err || fail "without a server: status $status: $(cat err)"
for arguments in '-c 0' '-t x' --what 'a b'; do
    # shellcheck disable=SC2086
    "$pgselect" $arguments <in >out 2>err
    status=$?
    [ $status -eq 2 ] && grep -q Usage err || fail "pgselect $arguments: status $status: $(cat err)"
done
"$pgselect" --help | grep -q '^Usage: pgselect' || fail 'no help'
[ "$failures" -eq 0 ]
