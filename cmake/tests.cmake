# Tests. Every tests/NAME_test.c is a program and a ctest of that name; it is linked with the
# library's objects, so that internal functions (skua__*) are in reach. tests/NAME_test.sh is a
# ctest too, run as `sh NAME_test.sh SOURCE_DIR BUILD_DIR`.
#
#   ctest                       everything in its short form
#   ctest -LE stress            without the stress tests; SKUA_STRESS_SECONDS sets their length
#   ctest -L explore            the explorer: all schedules of the lock-free parts, see explore.cmake
#   ctest -C nightly -L nightly the stress tests, long, and all suites on a starved machine
#   ctest -C nightly -L starved the latter only

pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET cmocka)

set(SKUA_TESTS "." CACHE STRING "Which test programs to build: a regular expression of names")

set(time_scale 1)
if(SKUA_SANITIZE)
    set(time_scale 5)
endif()
math(EXPR test_timeout "60 * ${time_scale}")
math(EXPR stress_timeout "120 * ${time_scale}")
math(EXPR script_timeout "300 * ${time_scale}") # they run many programs, and compilers

# Those that take longest are begun first, else one core would wait for the last of them.
set(long_tests explore_plants explore_park_model explore_fork_model wordfreq_compare wordfreq_kill
    par_test sched_stress sort_test chan_ends_test chan_test patterns_test explore_chan_model
    explore_wheel_model runtime_test pool_death_test fairness_test mpi_test pgzip_test thumbs_test
    pool_ring_stress bench_test)

# The suites are run by it at night; it runs anything (tests/starve.c).
skua_program(starve tests/starve.c)
target_compile_definitions(starve PRIVATE _GNU_SOURCE)
set_target_properties(starve PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)

# skua_starved(<name> <command...>): what waits for time instead of an event is found in few rounds.
# That all takes longer is no hang.
function(skua_starved name)
    add_test(NAME ${name}_starved CONFIGURATIONS nightly COMMAND starve -n 3 ${ARGN})
    set_tests_properties(${name}_starved PROPERTIES
        LABELS "nightly;starved" TIMEOUT 3600 SKIP_RETURN_CODE 77 PROCESSORS 2
        ENVIRONMENT "SKUA_TEST_SECONDS=600")
endfunction()

# skua_ctest(<name> <label> <timeout> <command...>)
function(skua_ctest name label timeout)
    add_test(NAME ${name} COMMAND ${ARGN})
    set_tests_properties(${name} PROPERTIES
        LABELS "${label}" TIMEOUT ${timeout} SKIP_RETURN_CODE 77)
    list(FIND long_tests ${name} place)
    if(place GREATER_EQUAL 0)
        math(EXPR cost "1000 - ${place}")
        set_tests_properties(${name} PROPERTIES COST ${cost})
    endif()
    if(label STREQUAL "room")
        skua_starved(${name} ${ARGN})
    endif()
endfunction()

add_library(skua_test_support OBJECT tests/test.c)
target_compile_options(skua_test_support PRIVATE ${SKUA_WARNINGS})
target_link_libraries(skua_test_support PUBLIC PkgConfig::cmocka)

# Test programs see the library's inside.
function(skua_test_target target)
    target_include_directories(${target} PRIVATE
        ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR}/src)
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
    target_link_libraries(${target} PRIVATE skua_objects skua_test_support)
    target_link_options(${target} PRIVATE ${quick_link})
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endfunction()

# Linking across files compiles the library anew for each program. So there is one program of all
# suites with LTO, which is the suite by whose name it is called. Those that have process pools stay
# alone, since what they register acts before main(), and those that play the kernel's part.
function(skua_test_program name source)
    file(STRINGS ${source} alone REGEX "SKUA_JOB|pool_help.h|pool_wire.h|pool_liar.h|constructor|SYS_")
    if(NOT SKUA_LTO OR alone)
        skua_program(${name} ${source})
        skua_test_target(${name})
        return()
    endif()
    if(NOT TARGET skua_suites)
        skua_program(skua_suites ${PROJECT_BINARY_DIR}/suites.c)
        skua_test_target(skua_suites)
    endif()
    target_sources(skua_suites PRIVATE ${source})
    set_source_files_properties(${source} PROPERTIES COMPILE_DEFINITIONS main=main_of_${name}
        COMPILE_OPTIONS -Wno-missing-prototypes)
    set_property(TARGET skua_suites APPEND PROPERTY SUITES ${name})
    add_custom_command(TARGET skua_suites POST_BUILD
        COMMAND ${CMAKE_COMMAND} -E create_symlink skua_suites ${PROJECT_BINARY_DIR}/tests/${name})
endfunction()

function(skua_write_suites)
    if(NOT TARGET skua_suites)
        return()
    endif()
    get_target_property(names skua_suites SUITES)
    foreach(name IN LISTS names)
        string(APPEND declarations "int main_of_${name}(void);\n")
        string(APPEND table "    {\"${name}\", main_of_${name}},\n")
    endforeach()
    configure_file(${PROJECT_SOURCE_DIR}/cmake/suites.c.in ${PROJECT_BINARY_DIR}/suites.c @ONLY)
endfunction()

set(tests ${PROJECT_SOURCE_DIR}/tests)
file(GLOB sources CONFIGURE_DEPENDS
    ${tests}/*_test.c ${tests}/fault/*_test.c ${tests}/misuse/*_test.c
    ${tests}/behaviours/*_test.c ${tests}/sweep/*_test.c)
list(FILTER sources INCLUDE REGEX "${SKUA_TESTS}")
if(SKUA_SANITIZE)
    # It has a pthread_create() of its own, as the sanitizers have.
    list(FILTER sources EXCLUDE REGEX "blocking_refused_test")
    # These compute more than the library does.
    set_source_files_properties(${tests}/sort_test.c ${tests}/cells_test.c PROPERTIES
        COMPILE_OPTIONS -O1)
endif()
foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME_WE)
    skua_test_program(${name} ${source})
    skua_ctest(${name} room ${test_timeout} ${PROJECT_BINARY_DIR}/tests/${name})
endforeach()

# For libFuzzer, by hand: build with clang and -DSKUA_FUZZ=ON.
option(SKUA_FUZZ "Build tests/fuzz/*.c for libFuzzer" OFF)
if(SKUA_FUZZ)
    file(GLOB sources CONFIGURE_DEPENDS ${tests}/fuzz/*_fuzz.c)
    foreach(source IN LISTS sources)
        get_filename_component(name ${source} NAME_WE)
        skua_program(${name} ${source})
        skua_test_target(${name})
        target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    endforeach()
endif()

# The tests of optional libraries, where those are built.
if(TARGET skua_tls)
    file(GLOB sources CONFIGURE_DEPENDS ${tests}/ext/tls*_test.c)
    list(FILTER sources INCLUDE REGEX "${SKUA_TESTS}")
    foreach(source IN LISTS sources)
        get_filename_component(name ${source} NAME_WE)
        skua_test_program(${name} ${source})
        target_link_libraries(${name} PRIVATE skua_tls_objects)
        skua_ctest(${name} room ${test_timeout} ${PROJECT_BINARY_DIR}/tests/${name})
    endforeach()
    # Its partners are programs of others: tls_peers_test.sh.
    skua_program(tls_peer ${tests}/ext/tls_peer.c)
    target_link_libraries(tls_peer PRIVATE skua::tls)
    set_target_properties(tls_peer PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endif()

# An MPI is not made for ThreadSanitizer; what is Skua's of it, cluster_*_test shows there.
if(TARGET skua_mpi AND NOT SKUA_SANITIZE STREQUAL "thread")
    foreach(name mpi_jobs mpi_other)
        skua_program(${name} ${tests}/ext/${name}.c)
        target_link_options(${name} PRIVATE -Wl,--build-id)
        set_target_properties(${name} PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
        add_dependencies(${name} skua_mpi)
    endforeach()
    target_link_libraries(mpi_jobs PRIVATE skua::skua)
    target_link_libraries(mpi_other PRIVATE skua::skua_static)
    skua_ctest(mpi_test room ${script_timeout}
        sh ${tests}/ext/mpi_test.sh ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
    set_tests_properties(mpi_test PROPERTIES PROCESSORS 2)
endif()

file(GLOB scripts CONFIGURE_DEPENDS ${tests}/*_test.sh)
if(SKUA_SANITIZE OR SKUA_LTO)
    # These read the source and the documentation, which are the same for every kind of build.
    list(FILTER scripts EXCLUDE REGEX "/(coverage|results|sweep_list)_test\\.sh$")
endif()
foreach(script IN LISTS scripts)
    get_filename_component(name ${script} NAME_WE)
    skua_ctest(${name} room ${script_timeout} sh ${script} ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
endforeach()

file(GLOB sources CONFIGURE_DEPENDS ${tests}/stress/*_stress.c)
list(FILTER sources INCLUDE REGEX "${SKUA_TESTS}")
foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME_WE)
    skua_test_program(${name} ${source})
    skua_ctest(${name} stress ${stress_timeout} ${PROJECT_BINARY_DIR}/tests/${name})
    # With its own configuration, so that a plain ctest does not run it.
    add_test(NAME ${name}_nightly CONFIGURATIONS nightly
        COMMAND ${PROJECT_BINARY_DIR}/tests/${name})
    set_tests_properties(${name}_nightly PROPERTIES
        LABELS nightly TIMEOUT 3600 SKIP_RETURN_CODE 77
        ENVIRONMENT "SKUA_STRESS_SECONDS=300;SKUA_TEST_SECONDS=3000")
endforeach()

skua_write_suites()

# What does not depend on the kind of build is checked in the plain one.
if(NOT SKUA_SANITIZE AND NOT SKUA_LTO)
    get_filename_component(compiler_dir ${CMAKE_C_COMPILER} DIRECTORY)
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        find_program(SKUA_TEST_CXX NAMES g++ c++ HINTS ${compiler_dir})
    else()
        find_program(SKUA_TEST_CXX NAMES clang++ clang++-14 c++ HINTS ${compiler_dir})
    endif()
    set(compilers "CC=${CMAKE_C_COMPILER};CXX=$<IF:$<BOOL:${SKUA_TEST_CXX}>,${SKUA_TEST_CXX},>")

    file(GLOB scripts CONFIGURE_DEPENDS ${tests}/tidy/*.sh)
    list(FILTER scripts EXCLUDE REGEX "/lib\\.sh$")
    foreach(script IN LISTS scripts)
        get_filename_component(name ${script} NAME_WE)
        skua_ctest(tidy_${name} tidy 60 sh ${script} ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
        set_tests_properties(tidy_${name} PROPERTIES ENVIRONMENT "${compilers}")
    endforeach()

    include(cmake/explore.cmake)

    skua_ctest(install install 120
        sh ${tests}/install/install.sh ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
    set_tests_properties(install PROPERTIES ENVIRONMENT "${compilers}")
endif()

# The main example, against coreutils and against kill -9.
if(TARGET wordfreq)
    foreach(name compare kill)
        skua_ctest(wordfreq_${name} example ${script_timeout}
            sh ${tests}/wordfreq/${name}.sh $<TARGET_FILE:wordfreq> ${time_scale})
    endforeach()
    if(TARGET skua_mpi AND NOT SKUA_SANITIZE STREQUAL "thread")
        skua_ctest(wordfreq_cluster example ${script_timeout}
            sh ${tests}/wordfreq/cluster.sh $<TARGET_FILE:wordfreq>)
        set_tests_properties(wordfreq_cluster PROPERTIES PROCESSORS 2)
    endif()
endif()

# The copy of a tree, against diff.
if(TARGET copytree)
    skua_ctest(copytree_compare example ${test_timeout}
        sh ${tests}/copytree/compare.sh $<TARGET_FILE:copytree>)
endif()
