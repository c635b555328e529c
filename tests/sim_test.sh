# sh sim_test.sh SOURCE_DIR BUILD_DIR
#
# The simulation of bench/sim: the same seed gives the same figures, every workload comes to its end,
# and nobody is faster than the number of workers allows.

set -eu
source=$1
sim=$2/bench/bench_sim
[ -x "$sim" ] || exit 77
export ASAN_OPTIONS=detect_leaks=0 # a run leaves its memory to the kernel

simulate() {
    "$sim" -f "$source/bench/sim/costs.tsv" -w 1,2,16,40 "$@"
}

first=$(simulate -gi -d 4 skynet && simulate -d 20 fib && simulate -d 12 for && simulate storm0 yield)
again=$(simulate -gi -d 4 skynet && simulate -d 20 fib && simulate -d 12 for && simulate storm0 yield)
[ "$first" = "$again" ] || {
    echo "two runs with one seed differ"
    exit 1
}
printf '%s\n' "$first" | awk -F '\t' '
    $1 == "work" { next }
    { rows++ }
    $6 > $2 * 1.02 || $7 > 1 { print "faster than its workers allow: " $0; failed = 1 }
    END { if (rows != 20) print rows " rows instead of 20"; exit failed || rows != 20 }'
"$sim" -f "$source/bench/sim/costs.tsv" -m here -t "core:2" -w 4 -l 0.2 pairs serve events >/dev/null
