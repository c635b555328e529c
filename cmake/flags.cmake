# Language, warnings and sanitizers, for everything that is built here. Nothing of it is handed on
# to users: they get include directories and libraries only.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
    set(SKUA_ARCH x86_64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    set(SKUA_ARCH aarch64)
else()
    message(FATAL_ERROR "Skua runs on x86_64 and aarch64, not on ${CMAKE_SYSTEM_PROCESSOR}.")
endif()

set(SKUA_WARNINGS
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wundef
    -Wvla -Wpointer-arith -Wwrite-strings -Wformat=2 -Wimplicit-fallthrough)
if(SKUA_WERROR)
    list(APPEND SKUA_WARNINGS -Werror)
endif()

if(SKUA_SANITIZE STREQUAL "address")
    set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(SKUA_SANITIZE STREQUAL "thread")
    set(sanitize -fsanitize=thread)
    # gcc says of every fence that the sanitizer does not see it; the reader knows.
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        list(APPEND SKUA_WARNINGS -Wno-tsan)
    endif()
elseif(SKUA_SANITIZE)
    message(FATAL_ERROR "SKUA_SANITIZE is '${SKUA_SANITIZE}'; it may be empty, address or thread.")
endif()
if(SKUA_SANITIZE)
    # -O1 keeps reports readable and the tests within their time.
    foreach(flag IN ITEMS -O1 -g1 -fno-omit-frame-pointer ${sanitize})
        add_compile_options($<$<COMPILE_LANGUAGE:C>:${flag}>)
    endforeach()
    add_link_options(${sanitize})
endif()

# Some 150 programs are linked in each build of the tests. In sanitizer builds, which nobody
# installs, and for test programs lld does that, where it is there, in a third of the time.
find_program(SKUA_LLD ld.lld)
set(quick_link)
if(SKUA_LLD AND NOT SKUA_LTO)
    set(quick_link -fuse-ld=lld)
endif()
if(SKUA_SANITIZE)
    add_link_options(${quick_link})
endif()

if(SKUA_LTO)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
    add_compile_options($<$<COMPILE_LANGUAGE:C>:-O3>)
endif()
add_compile_definitions(SKUA_DEBUG=$<BOOL:${SKUA_ASSERT}>)

# skua_program(<target> <source>): what tests, benchmarks and examples have in common. Under the
# sanitizers they are not optimised (the library is): compiling them takes a third of the time, and
# no frame is shared that a report should tell apart.
function(skua_program target source)
    add_executable(${target} ${source})
    target_compile_options(${target} PRIVATE ${SKUA_WARNINGS} -Wno-unused-parameter)
    if(SKUA_SANITIZE)
        target_compile_options(${target} PRIVATE -O0)
    endif()
    target_link_libraries(${target} PRIVATE Threads::Threads)
endfunction()
