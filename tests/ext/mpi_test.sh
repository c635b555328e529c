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
trap 'rm -rf "$out"' EXIT

failed=0
fail()
{
    echo "FAILED: $*"
    sed 's/^/    /' "$out/text" | head -40
    failed=1
}

# cluster RANKS COMMAND...: its output goes to $out/text, its exit code to $code.
cluster()
{
    ranks=$1
    shift
    timeout -k 5 "${limit_s:-100}" mpirun --oversubscribe --bind-to none --mca btl self,vader \
        -n "$ranks" "$@" >"$out/text" 2>&1 </dev/null
    code=$?
}

# passes RANKS NAME: the program finds nothing wrong.
passes()
{
    cluster "$1" "$jobs" "$2"
    [ "$code" -eq 0 ] && grep -q "^ok $2 on $1 ranks" "$out/text" || fail "$2: exit code $code"
}

passes 4 spread
passes 4 sizes
passes 4 faults
passes 3 init
passes 2 leave

# The program's exit code is rank 0's.
cluster 2 "$jobs" code
[ "$code" -eq 23 ] || fail "exit code $code instead of 23"

# A rank dies: the program ends, says which one it was, and within seconds.
from=$(date +%s)
cluster 4 "$jobs" kill
[ "$code" -ne 0 ] && [ "$code" -ne 124 ] || fail "a killed rank: exit code $code"
grep -q 'rank 2' "$out/text" || fail 'a killed rank is not named'
[ $(($(date +%s) - from)) -le 15 ] || fail 'a killed rank: the end took too long'

# A rank stands still: jobs end by their deadlines, and it is given up in the end.
# The launcher has to end what stands still; now and then it crashes over that, or waits for ever.
export SKUA_CLUSTER_PATIENCE_MS=1000
limit_s=20
cluster 4 "$jobs" stop
grep -q '^ok stop on 4 ranks' "$out/text" || fail "a stopped rank: exit code $code"
grep -q 'rank 1 (.*) of the cluster is lost' "$out/text" || fail 'a stopped rank is not named'
cluster 4 "$jobs" retry
grep -q '^ok retry on 4 ranks' "$out/text" || fail "retries: exit code $code"
unset SKUA_CLUSTER_PATIENCE_MS limit_s

# Another program on one of the ranks.
if timeout -k 5 60 mpirun --oversubscribe --mca btl self,vader -n 1 "$jobs" spread : \
    -n 1 "$build/tests/mpi_other" spread >"$out/text" 2>&1 </dev/null; then
    fail 'two programs in one cluster'
fi
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

# Nobody is left.
left=$(pgrep -f "^$jobs" | wc -l)
[ "$left" -eq 0 ] || { pgrep -af "^$jobs" >"$out/text"; fail "$left processes are left"; }
exit $failed
