# bench/NAME.c becomes build/bench/bench_NAME. Linked statically, as the peers' benchmarks are, so
# that a call costs a call; internal headers are in reach for what only they can measure.

set(bench ${PROJECT_SOURCE_DIR}/bench)

# bench_program(<target> <source> <library>)
function(bench_program target source library)
    skua_program(${target} ${source})
    target_include_directories(${target} PRIVATE
        ${PROJECT_SOURCE_DIR} ${bench} ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${target} PRIVATE ${library})
    set_target_properties(${target} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
endfunction()

file(GLOB sources CONFIGURE_DEPENDS ${bench}/*.c)
foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME_WE)
    bench_program(bench_${name} ${source} skua::skua_static)
endforeach()

# The echo server on a ring, for comparison only.
if(liburing_FOUND)
    skua_program(bench_io_uring_echo ${bench}/io/uring_echo.c)
    target_link_libraries(bench_io_uring_echo PRIVATE PkgConfig::liburing)
    set_target_properties(bench_io_uring_echo PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
endif()
# I/O: a load generator, and servers that it starts: bench_io_load, bench_io_skua, bench_io_epoll.
set(io ${bench}/io)
skua_program(bench_io_load ${io}/load.c)
target_sources(bench_io_load PRIVATE ${io}/load_run.c ${io}/load_server.c)
target_include_directories(bench_io_load PRIVATE ${bench})
skua_program(bench_io_epoll ${io}/serve_epoll.c)
target_link_libraries(bench_io_epoll PRIVATE Threads::Threads)
bench_program(bench_io_skua ${io}/skua.c skua::skua_static)
foreach(target bench_io_load bench_io_epoll)
    set_target_properties(${target} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
endforeach()

# A server that is an example, with a client of others: bench_keyvalue.
if(TARGET keyvalue)
    file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/bench/bench_keyvalue
        CONTENT "#!/bin/sh
export BENCH_WHO=Skua BENCH_SERVER='$<TARGET_FILE:keyvalue>'
exec sh '${io}/keyvalue.sh' \"$@\"
"
        FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
            WORLD_EXECUTE)
    add_custom_target(bench_keyvalue DEPENDS keyvalue)
endif()

# The process pool: by hand, in two ways; what goes on another is bench/pool/mpi.c, which needs mpicc.
set(pool ${bench}/pool)
foreach(name ring socketpair)
    skua_program(bench_pool_${name} ${pool}/${name}.c)
    target_sources(bench_pool_${name} PRIVATE ${pool}/raw.c)
    target_include_directories(bench_pool_${name} PRIVATE ${bench})
    set_target_properties(bench_pool_${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
endforeach()

bench_program(bench_pool ${pool}/skua.c skua::skua_static)

# Programs behind a script: bench_pool_mpirun, bench_gzip.
file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/bench/bench_pool_mpirun
    CONTENT "#!/bin/sh
export LD_LIBRARY_PATH='${PROJECT_BINARY_DIR}'\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
exec sh '${pool}/mpirun.sh' '$<TARGET_FILE:bench_pool>' \"$@\"
"
    FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
        WORLD_EXECUTE)
add_custom_target(bench_pool_mpirun DEPENDS bench_pool)
if(TARGET pgzip)
    file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/bench/bench_gzip
        CONTENT "#!/bin/sh
export BENCH_WHO=Skua BENCH_GZIP='$<TARGET_FILE:pgzip>'
exec sh '${pool}/gzip.sh' \"$@\"
"
        FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
            WORLD_EXECUTE)
    add_custom_target(bench_gzip DEPENDS pgzip)
endif()

# The same library once more, with atomic operations that count, and programs whose clock is that
# count: the cases of bench_NAME, in read-modify-writes instead of nanoseconds.
get_target_property(library_sources skua_objects SOURCES)
add_library(skua_counted STATIC ${library_sources} ${bench}/counted/count.c)
target_compile_definitions(skua_counted PRIVATE
    _GNU_SOURCE
    SKUA_ATOMIC_HEADER="counted/atomic.h")
target_compile_options(skua_counted PRIVATE
    $<$<COMPILE_LANGUAGE:C>:-ftls-model=initial-exec>
    "$<$<COMPILE_LANGUAGE:C>:${SKUA_WARNINGS}>")
target_include_directories(skua_counted
    PUBLIC ${PROJECT_SOURCE_DIR}/include
    PRIVATE ${PROJECT_SOURCE_DIR}/src ${bench})
target_link_libraries(skua_counted PRIVATE Threads::Threads PkgConfig::hwloc ${skua_uring})
set_target_properties(skua_counted PROPERTIES LINKER_LANGUAGE C)

foreach(name IN ITEMS fork spawn yield mutex channel)
    bench_program(bench_counted_${name} ${bench}/${name}.c skua_counted)
    target_compile_definitions(bench_counted_${name} PRIVATE BENCH_COUNTED)
endforeach()

# The simulation, and the same work on the library itself: bench_sim, bench_sim_real.
set(sim ${PROJECT_SOURCE_DIR}/bench/sim)
skua_program(bench_sim ${sim}/main.c)
target_sources(bench_sim PRIVATE
    ${sim}/machine.c ${sim}/events.c ${sim}/sched.c ${sim}/fork.c ${sim}/work.c)
target_link_libraries(bench_sim PRIVATE m)
skua_program(bench_sim_real ${sim}/real.c)
target_include_directories(bench_sim_real PRIVATE ${PROJECT_SOURCE_DIR}/bench)
target_link_libraries(bench_sim_real PRIVATE skua::skua_static m)
foreach(target bench_sim bench_sim_real)
    set_target_properties(${target} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
endforeach()
