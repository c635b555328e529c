# The library. All rooms are compiled once, as position independent objects; libskua.so, libskua.a
# and the tests are made of these same objects.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(hwloc REQUIRED IMPORTED_TARGET hwloc)

set(rooms base mem topo sched sync chan group par gen blocking io net file process pool
    cluster observe testing)
set(patterns src/arch/*.c src/arch/${SKUA_ARCH}/*.S)
foreach(room IN LISTS rooms)
    list(APPEND patterns src/${room}/*.c)
endforeach()
file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${patterns})

# Files through the kernel's completion queue, or always through the blocking pool.
if(SKUA_URING)
    pkg_check_modules(liburing IMPORTED_TARGET liburing>=2.2)
endif()
if(liburing_FOUND)
    set(skua_uring PkgConfig::liburing)
    set(skua_uring_package liburing)
    list(REMOVE_ITEM sources src/io/ring_none.c)
else()
    set(skua_uring)
    set(skua_uring_package)
    list(REMOVE_ITEM sources src/io/ring_uring.c)
endif()

add_library(skua_objects OBJECT ${sources})
set_target_properties(skua_objects PROPERTIES
    POSITION_INDEPENDENT_CODE ON
    C_VISIBILITY_PRESET hidden)
# initial-exec: the current worker is one load from the thread pointer, also in the shared library.
target_compile_options(skua_objects PRIVATE
    $<$<COMPILE_LANGUAGE:C>:-ftls-model=initial-exec>
    "$<$<COMPILE_LANGUAGE:C>:${SKUA_WARNINGS}>")
target_compile_definitions(skua_objects PRIVATE _GNU_SOURCE)
target_include_directories(skua_objects
    PUBLIC ${PROJECT_SOURCE_DIR}/include
    PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(skua_objects PUBLIC Threads::Threads PkgConfig::hwloc ${skua_uring})

add_library(skua SHARED $<TARGET_OBJECTS:skua_objects>)
add_library(skua_static STATIC $<TARGET_OBJECTS:skua_objects>)
add_library(skua::skua ALIAS skua)
add_library(skua::skua_static ALIAS skua_static)

set(map ${PROJECT_SOURCE_DIR}/cmake/skua.map)
target_link_options(skua PRIVATE -Wl,--version-script=${map} -Wl,-z,noexecstack,-z,relro,-z,now)
if(NOT SKUA_SANITIZE)
    # The sanitizers' own symbols are found in the program, so this holds only without them.
    target_link_options(skua PRIVATE -Wl,-z,defs)
endif()
set_target_properties(skua PROPERTIES
    VERSION ${PROJECT_VERSION}
    SOVERSION 0
    LINK_DEPENDS ${map}
    LINKER_LANGUAGE C)
set_target_properties(skua_static PROPERTIES OUTPUT_NAME skua LINKER_LANGUAGE C)

foreach(library skua skua_static)
    target_include_directories(${library} INTERFACE
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_libraries(${library} PRIVATE Threads::Threads PkgConfig::hwloc ${skua_uring})
endforeach()
