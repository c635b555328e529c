# bench/NAME.c becomes build/bench/bench_NAME. Linked statically, as the peers' benchmarks are, so
# that a call costs a call; internal headers are in reach for what only they can measure.

file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*.c)
foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME_WE)
    skua_program(bench_${name} ${source})
    target_include_directories(bench_${name} PRIVATE
        ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/bench ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(bench_${name} PRIVATE skua::skua_static)
    set_target_properties(bench_${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
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
