# The explorer: every tests/explore/NAME_model.c is a program and a ctest of that name. It is linked
# with the library's sources that its first comment names ("Sources:"), compiled once more with
# explore_atomic.h as their atomic layer and with the calls that -fsanitize=thread makes before each
# plain access; the explorer answers those calls itself. docs/explorer.md has the rest.

set(explore ${PROJECT_SOURCE_DIR}/tests/explore)
set(explore_flags
    -O1 -g -USKUA_DEBUG -DSKUA_DEBUG=1
    -DSKUA__RING_SLOTS=4 -DSKUA__FORK_SLOTS=4 -DSKUA__JOIN_SPINS=1
    -DSKUA__REQUEST_SLOTS=2 -DSKUA__RESPONSE_SLOTS=4 -DSKUA__RETURN_SLOTS=2
    -DSKUA__LOG_SLOTS=2 -DSKUA__TEXT_BYTES=16
    -DSKUA__SEARCH_SWEEPS=1 -DSKUA__SEARCH_PAUSES=1 -D_GNU_SOURCE "-DSKUA_ATOMIC_HEADER=\"explore_atomic.h\""
    -fsanitize=thread -ffunction-sections -ftls-model=initial-exec -Wno-unused-parameter)
set(explore_link -no-pie -Wl,--gc-sections -Wl,--wrap=memset,--wrap=memcpy,--wrap=memmove)
set(explore_include ${explore} ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)

file(GLOB sources CONFIGURE_DEPENDS ${explore}/*.c)
list(FILTER sources EXCLUDE REGEX "_model\\.c$")
add_library(skua_explore STATIC
    ${sources} src/arch/switch.c src/arch/${SKUA_ARCH}/switch.S)
target_include_directories(skua_explore PRIVATE ${explore_include})
target_compile_options(skua_explore PRIVATE
    "$<$<COMPILE_LANGUAGE:C>:${SKUA_WARNINGS}>"
    "$<$<COMPILE_LANGUAGE:C>:-O2;-ftree-vectorize;-USKUA_DEBUG;-DSKUA_DEBUG=1>")
target_compile_definitions(skua_explore PRIVATE
    _GNU_SOURCE "SKUA_ATOMIC_HEADER=\"explore_atomic.h\"")

# skua_explored(<out> <source...>): the objects of these sources, each compiled once for all models.
function(skua_explored out)
    set(objects)
    foreach(source IN LISTS ARGN)
        string(MAKE_C_IDENTIFIER "explored_${source}" object)
        if(NOT TARGET ${object})
            add_library(${object} OBJECT src/${source})
            target_include_directories(${object} PRIVATE ${explore_include})
            target_compile_options(${object} PRIVATE ${SKUA_WARNINGS} ${explore_flags})
            set_target_properties(${object} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
        endif()
        list(APPEND objects $<TARGET_OBJECTS:${object}>)
    endforeach()
    set(${out} ${objects} PARENT_SCOPE)
endfunction()

file(GLOB models CONFIGURE_DEPENDS ${explore}/*_model.c)
foreach(model IN LISTS models)
    get_filename_component(name ${model} NAME_WE)
    file(READ ${model} real LIMIT 4096)
    string(REGEX REPLACE ".*\n   Sources:" "" real "${real}")
    string(REGEX REPLACE "(\n   [A-Z][a-z]+:|[*]/).*" "" real "${real}")
    string(REGEX MATCHALL "[a-z_]+/[a-z_]+[.]c" real "${real}")
    skua_explored(objects ${real})
    add_executable(${name} ${model} ${objects})
    target_include_directories(${name} PRIVATE ${explore_include})
    target_compile_options(${name} PRIVATE ${SKUA_WARNINGS} ${explore_flags})
    target_link_libraries(${name} PRIVATE skua_explore)
    target_link_options(${name} PRIVATE ${explore_link})
    set_target_properties(${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests POSITION_INDEPENDENT_CODE OFF)
    skua_ctest(explore_${name} explore 300 ${name})
    add_test(NAME explore_${name}_nightly CONFIGURATIONS nightly COMMAND ${name})
    set_tests_properties(explore_${name}_nightly PROPERTIES
        LABELS nightly TIMEOUT 7200 ENVIRONMENT "SKUA_EXPLORE_BOUND=3")
endforeach()

# Bugs that are put in on purpose must be found.
find_program(SKUA_PYTHON python3)
if(SKUA_PYTHON)
    string(JOIN " " mutate_flags ${explore_flags} -g0 ${explore_link})
    set(mutate ${SKUA_PYTHON} ${explore}/mutate.py --cc ${CMAKE_C_COMPILER}
        --source ${PROJECT_SOURCE_DIR} --engine $<TARGET_FILE:skua_explore>
        --flags=${mutate_flags})
    skua_ctest(explore_plants explore 600 ${mutate} --without permit_model plants)
    set_tests_properties(explore_plants PROPERTIES PROCESSORS 2)
    add_test(NAME explore_plants_nightly CONFIGURATIONS nightly COMMAND ${mutate} plants)
    set_tests_properties(explore_plants_nightly PROPERTIES LABELS nightly TIMEOUT 7200)
    add_test(NAME explore_mutants_nightly CONFIGURATIONS nightly COMMAND ${mutate} orders)
    set_tests_properties(explore_mutants_nightly PROPERTIES LABELS nightly TIMEOUT 7200)
endif()
