# Builds Skua's benchmarks and its peers; compare.sh reads this file. What cannot be built is said once and is missing
# afterwards. A program that is newer than all sources in bench/ is not built again.
#
# Given: $project, $bench, $build, $peers (where programs go), $work (logs and sources), $skua (Skua's build), $python,
# $competitors, say and die.
# shellcheck shell=sh disable=SC2154,SC2015 # the above; and a command that fails ends up in the other branch, as is meant

# shellcheck disable=SC2086 # targets are words
build_skua() {
    say 'building Skua'
    programs=$(printf '%s' "$competitors" | awk '$1 == "Skua" { print $2 }' | sort -u)
    programs="$programs bench_io_skua"
    cmake -S "$project" -B "$skua" -DCMAKE_BUILD_TYPE=Release -DSKUA_BUILD_BENCH=ON >"$work/skua.log" 2>&1 &&
        cmake --build "$skua" -j "$(nproc)" --target $programs >>"$work/skua.log" 2>&1 || {
        tail -n 20 "$work/skua.log" >&2
        die 'Skua does not build'
    }
    # What its programs load under mpirun; without Open MPI there is no such target, and no such row.
    cmake --build "$skua" -j "$(nproc)" --target skua_mpi >>"$work/skua.log" 2>&1 || :
    export LD_LIBRARY_PATH="$skua${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

# is_current PROGRAM: it is there, and nothing that programs are built from is newer.
is_current() {
    [ -x "$1" ] && [ -z "$(find "$bench" -type f ! -name '*.tsv' ! -name compare.sh ! -name report.py -newer "$1" \
        -print -quit)" ]
}

# build_peer NAME COMMAND...: the command leaves the program in $peers/NAME.
build_peer() {
    name=$1
    shift
    ! is_current "$peers/$name" || return 0
    rm -f "${peers:?}/$name"
    if (cd "$work/source" && "$@") >"$work/$name.log" 2>&1; then
        say "built $name"
    else
        reason=$(grep -m 1 -i error "$work/$name.log" || tail -n 1 "$work/$name.log")
        say "$name is left out, it cannot be built: $reason"
    fi
}

compile_c() {
    name=$1
    shift
    build_peer "$name" gcc -std=gnu11 -O2 -I"$bench" "$name.c" -o "$peers/$name" "$@"
}

compile_cpp() {
    name=$1
    shift
    build_peer "$name" g++ -std=c++20 -O2 -I"$bench" "$name.cpp" -o "$peers/$name" "$@"
}

# compile_go FOLDER PROGRAM
compile_go() {
    cd "$1" && env GOCACHE="$work/go-cache" GOPATH="$work/go-path" GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local \
        go build -o "$peers/$2" .
}

# compile_rust CRATE PROGRAM
# The crates are Debian's, from the system's registry; nothing is downloaded.
compile_rust() {
    (cd "$1" && env CARGO_TARGET_DIR="$work/cargo" cargo build --release --offline \
        --config 'source.crates-io.replace-with="system"' \
        --config 'source.system.directory="/usr/share/cargo/registry"') &&
        cp "$work/cargo/release/bench-$(printf %s "$1" | tr _ -)" "$peers/$2"
}

# Lace has no package. Its settings are a header that its own build writes: all counters off.
compile_lace() {
    mkdir -p lace &&
        printf '#define LACE_%s 0\n' PIE_TIMES COUNT_TASKS COUNT_STEALS COUNT_SPLITS >lace/lace_config.h &&
        gcc -std=gnu11 -O3 -march=native -Ilace -I"$bench" -I"$LACE_SOURCE/src" lace.c "$LACE_SOURCE/src/lace.c" \
            -o "$peers/lace" -pthread -lm
}

# What takes turns in the I/O rows is the load generator, with the server of somebody behind it: build_server NAME WHO.
build_server() {
    rm -f "${peers:?}/$1"
    [ -x "$peers/io_load" ] || return 0
    [ -x "$peers/$1_server" ] || return 0
    printf '#!/bin/sh\nBENCH_WHO=%s BENCH_SERVER=%s exec %s "$@"\n' "$2" "$peers/$1_server" "$peers/io_load" \
        >"$peers/$1"
    chmod +x "$peers/$1"
}

compile_io() {
    name=$1
    shift
    build_peer "$name" gcc -std=gnu11 -O2 -I"$bench" -I"$bench/io" "$@" -o "$peers/$name"
}

build_servers() {
    compile_io io_load "$bench/io/load.c" "$bench/io/load_run.c" "$bench/io/load_server.c"
    compile_io epoll_io_server "$bench/io/serve_epoll.c" -pthread
    compile_io libuv_io_server libuv_io.c -luv
    build_peer go_io_server compile_go go_io go_io_server
    build_peer tokio_io_server compile_rust tokio_io tokio_io_server
    build_peer asyncio_io_server write_python asyncio_io.py asyncio_io_server
    build_peer redis write_redis
    build_server epoll_io epoll
    build_server libuv_io libuv
    build_server go_io Go
    build_server tokio_io tokio
    build_server asyncio_io asyncio
}

# Pools of processes by hand, and what others have. write_wrapper NAME ENVIRONMENT COMMAND
write_wrapper() {
    printf '#!/bin/sh\nexec env %s %s "$@"\n' "$2" "$3" >"$peers/$1" && chmod +x "$peers/$1"
}

compile_mpi() {
    command -v mpirun && mpicc -std=gnu11 -O2 -I"$bench" "$bench/pool/mpi.c" "$bench/pool/raw.c" \
        -o "$peers/pool_mpi_program" &&
        write_wrapper pool_openmpi BENCH_BATCH=1 "sh '$bench/pool/mpirun.sh' '$peers/pool_mpi_program'" &&
        write_wrapper pool_openmpi_batches BENCH_BATCH=64 "sh '$bench/pool/mpirun.sh' '$peers/pool_mpi_program'"
}

write_pigz() {
    command -v pigz && write_wrapper pool_pigz 'BENCH_WHO=pigz BENCH_GZIP=pigz' "sh '$bench/pool/gzip.sh'"
}

build_pools() {
    for name in ring socketpair; do
        build_peer pool_$name gcc -std=gnu11 -O2 -I"$bench" "$bench/pool/$name.c" "$bench/pool/raw.c" -o "$peers/pool_$name"
    done
    build_peer pool_openmpi compile_mpi
    for name in futures multiprocessing; do
        build_peer pool_$name write_wrapper pool_$name PYTHONDONTWRITEBYTECODE=1 \
            "'$python' '$bench/pool/python.py' $name"
    done
    build_peer pool_pigz write_pigz
}

# Redis as it comes, but for the disk, which keyvalue does not use either.
write_redis() {
    command -v redis-server && command -v redis-benchmark &&
        cat >"$peers/redis" <<END && chmod +x "$peers/redis"
#!/bin/sh
export BENCH_WHO=Redis BENCH_SERVER='redis-server --port 0 --save "" --appendonly no --unixsocket'
exec sh '$bench/io/keyvalue.sh' "\$@"
END
}

# write_python SOURCE PROGRAM
write_python() {
    { printf '#!%s\n' "$python" && cat "$1"; } >"$peers/$2" && chmod +x "$peers/$2"
}

build_peers() {
    rm -rf "$work/source"
    cp -R "$bench/peers" "$work/source" || die 'cannot copy the sources of the peers'
    compile_c ucontext
    compile_c openmp -fopenmp
    compile_c libuv -luv
    compile_c pthreads -pthread
    compile_cpp onetbb -ltbb
    compile_cpp onetbb_par -ltbb
    compile_cpp libstdcxx -fopenmp
    compile_c qsort
    compile_cpp boost_context -lboost_context
    compile_cpp boost_fiber -lboost_fiber -lboost_context -pthread
    build_peer go compile_go go go
    for crate in tokio async_channel rayon rayon_par crossbeam; do
        build_peer $crate compile_rust $crate $crate
    done
    build_peer asyncio write_python asyncio_tasks.py asyncio
    build_servers
    build_pools
    [ -z "${LACE_SOURCE:-}" ] || build_peer lace compile_lace
}
