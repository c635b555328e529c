#!/bin/sh
# Runs a program of pool rows under mpirun: mpirun.sh PROGRAM CASE [WORKERS]
#
# pool-* has a rank for the program and one for each worker, cluster-* four ranks, whatever the processors. Without a
# case: all that are in $BENCH_CASES.
set -u

program=${1:?the program}
cases=${2:-${BENCH_CASES:-cluster-map}}
workers=${3:-${BENCH_WORKERS:-1}}

# Open MPI does not like root, nor to say nothing about the way that it takes between processes.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
for case in $cases; do
    case $case in cluster-*) ranks=4 ;; *) ranks=$((workers + 1)) ;; esac
    mpirun -n "$ranks" --oversubscribe "$program" "$case" "$workers" </dev/null || exit
done
