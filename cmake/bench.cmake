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
