# sh mpi_test.sh SOURCE_DIR BUILD_DIR: clusters under mpirun, here with several ranks on one machine.
# covers: A67

build=$2
jobs=$build/tests/mpi_jobs
command -v mpirun >/dev/null || { echo 'mpirun is not there'; exit 77; }
[ -x "$jobs" ] || { echo 'libskua-mpi was not built'; exit 77; }

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# What an MPI never gives back is not ours, and cannot be told by its name: its parts are unloaded by
# then. cluster_test.c looks for our own leaks.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
out=$(mktemp -d)

failed=0
launcher=
trap '[ -z "$launcher" ] || kill_all; rm -rf "$out"' EXIT
trap 'exit 1' INT TERM
fail()
{
    echo "FAILED: $*"
    sed 's/^/    /' "$out/text" | head -40
    failed=1
}

# The ranks are the launcher's children; what is theirs ends with them.
kill_all()
{
    pkill -KILL -P "$launcher"
    kill -KILL "$launcher" 2>/dev/null
}

# watch SAID: waits for the launcher's end, and puts its exit code to $code. When the program has SAID what it
# had to, the launcher has some seconds left: it has to end what stands still, and now and then it crashes over
# that, or waits for ever, which is no fault of the program's.
watch()
{
    until_s=$(($(date +%s) + limit_s))
    while kill -0 "$launcher" 2>/dev/null; do
        now_s=$(date +%s)
        if [ -n "$1" ] && grep -q "$1" "$out/text"; then
            [ "$until_s" -lt $((now_s + 5)) ] || until_s=$((now_s + 5))
            set -- ''
        fi
        [ "$now_s" -lt "$until_s" ] || kill_all
        sleep 0.05
    done
    wait "$launcher"
    code=$?
    launcher=
}

# cluster RANKS COMMAND...: its output goes to $out/text, its exit code to $code.
limit_s=100
cluster()
{
    ranks=$1
    shift
    mpirun --oversubscribe --bind-to none --mca btl self,vader -n "$ranks" "$@" >"$out/text" 2>&1 </dev/null &
    launcher=$!
    watch "${said:-}"
}

# passes RANKS CODE NAME...: the program finds nothing wrong, and ends with that exit code.
passes()
{
    ranks=$1
    wanted=$2
    shift 2
    cluster "$ranks" "$jobs" "$@"
    [ "$code" -eq "$wanted" ] || fail "$*: exit code $code instead of $wanted"
    for name; do
        grep -q "^ok $name on $ranks ranks" "$out/text" || fail "$name"
    done
}

passes 4 0 spread sizes faults init
# The program's exit code is rank 0's.
passes 2 23 leave code

# A rank dies: the program ends before its jobs do, and says which one it was.
said='rank 2'
cluster 4 "$jobs" kill
said=
[ "$code" -ne 0 ] || fail "a killed rank: exit code $code"
grep -q 'rank 2' "$out/text" || fail 'a killed rank is not named'
! grep -q '^ok kill' "$out/text" || fail 'a killed rank: the program goes on'

# A rank stands still: jobs end by their deadlines, and it is given up in the end. Where there are others, they
# have more time than a busy machine may keep them.
export SKUA_CLUSTER_PATIENCE_MS=4000
said='^ok stop on'
cluster 3 "$jobs" stop
grep -q '^ok stop on 3 ranks' "$out/text" || fail "a stopped rank: exit code $code"
grep -q 'rank 1 (.*) of the cluster is lost' "$out/text" || fail 'a stopped rank is not named'
SKUA_CLUSTER_PATIENCE_MS=1000
said='^ok retry on'
cluster 2 "$jobs" retry
grep -q '^ok retry on 2 ranks' "$out/text" || fail "retries: exit code $code"
unset SKUA_CLUSTER_PATIENCE_MS said

# Another program on one of the ranks. It has Skua in it, not beside it, and does not name the cluster:
# a linker that takes the pool out of libskua.a takes that as well, or the rank would never say hello.
# Its transport is not found beside it.
SKUA_CLUSTER=$build/libskua-mpi.so.0 cluster 1 "$jobs" spread : -n 1 "$build/tests/mpi_other"
[ "$code" -ne 0 ] || fail 'two programs in one cluster'
grep -q 'rank 1 (.*) runs another build of the program' "$out/text" || fail 'another build'

# Alone, and with a transport that is not there.
SKUA_CLUSTER=off cluster 2 "$jobs" code
[ "$code" -eq 23 ] && [ "$(grep -c '^ok code on 1 ranks' "$out/text")" -eq 2 ] || fail 'off'
SKUA_CLUSTER=/nowhere/lib.so cluster 2 "$jobs" code
[ "$code" -eq 1 ] && grep -q 'its transport cannot be loaded' "$out/text" || fail 'no transport'

# A program that a rank has started, with all that the launcher has put into the environment.
cluster 2 sh -c 'case $OMPI_COMM_WORLD_RANK in
    0) exec "$0" code ;;
    *) SKUA_CLUSTER_MEMBER=1 "$0" code; exec "$0" code ;;
    esac' "$jobs"
[ "$code" -eq 23 ] && grep -q '^ok code on 1 ranks' "$out/text" &&
    grep -q '^ok code on 2 ranks' "$out/text" || fail 'a program that a rank has started'

# Nobody is left, as soon as the kernel has ended all that was killed.
until_s=$(($(date +%s) + 60))
while pgrep -f "^$jobs" >"$out/left"; do
    [ "$(date +%s)" -lt "$until_s" ] || { pgrep -af "^$jobs" >"$out/text"; fail 'processes are left'; break; }
    sleep 0.05
done
exit $failed
