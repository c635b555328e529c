#!/bin/sh
# sh bench/sim/predict.sh BUILD
#
# Runs the simulation for docs/scaling.md: writes BUILD/scaling-*.tsv and docs/scaling.svg. Takes
# about two minutes. The same table of costs gives the same figures again.

set -eu
cd "$(dirname "$0")/../.."
build=${1:?usage: $0 BUILD}
works='fib uts for skynet storm pairs serve events'

# predict NAME OPTION...
predict() {
    name=$1
    shift
    # shellcheck disable=SC2086
    "$build/bench/bench_sim" "$@" $works >"$build/scaling-$name.tsv"
}

predict one
predict queues -g
predict both -gi
python3 bench/sim/chart.py docs/scaling.svg \
    "one inject queue, one idle word=$build/scaling-one.tsv" \
    "an inject queue for each L3 (as built)=$build/scaling-queues.tsv" \
    "an idle word for each L3 too (not built)=$build/scaling-both.tsv"
