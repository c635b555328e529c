# libskua-tls: TLS over any transport, by OpenSSL. A library of its own, so that only who uses it
# needs OpenSSL; it is made where OpenSSL is found. It uses Skua's public headers only.

set(SKUA_TLS AUTO CACHE STRING "Build libskua-tls: AUTO (if OpenSSL 3 is found), ON or OFF")
set_property(CACHE SKUA_TLS PROPERTY STRINGS AUTO ON OFF)
set(skua_tls_libraries)
if(SKUA_TLS STREQUAL "OFF")
    return()
endif()

pkg_check_modules(openssl IMPORTED_TARGET openssl>=3)
if(NOT openssl_FOUND)
    if(NOT SKUA_TLS STREQUAL "AUTO")
        message(FATAL_ERROR "SKUA_TLS is ${SKUA_TLS}, but OpenSSL 3 is not there.")
    endif()
    message(STATUS "libskua-tls is left out: OpenSSL 3 is not there")
    return()
endif()

file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} src/ext/tls/*.c)
add_library(skua_tls_objects OBJECT ${sources})
set_target_properties(skua_tls_objects PROPERTIES
    POSITION_INDEPENDENT_CODE ON
    C_VISIBILITY_PRESET hidden)
target_compile_options(skua_tls_objects PRIVATE ${SKUA_WARNINGS})
target_compile_definitions(skua_tls_objects PRIVATE _GNU_SOURCE)
target_include_directories(skua_tls_objects
    PUBLIC ${PROJECT_SOURCE_DIR}/include
    PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(skua_tls_objects PUBLIC Threads::Threads PkgConfig::openssl)

add_library(skua_tls SHARED $<TARGET_OBJECTS:skua_tls_objects>)
add_library(skua::tls ALIAS skua_tls)
set_target_properties(skua_tls PROPERTIES
    OUTPUT_NAME skua-tls
    EXPORT_NAME tls
    VERSION ${PROJECT_VERSION}
    SOVERSION 0
    LINKER_LANGUAGE C)
target_link_options(skua_tls PRIVATE -Wl,-z,noexecstack,-z,relro,-z,now)
if(NOT SKUA_SANITIZE)
    target_link_options(skua_tls PRIVATE -Wl,-z,defs)
endif()
target_link_libraries(skua_tls
    PUBLIC skua
    PRIVATE Threads::Threads PkgConfig::openssl)
set(skua_tls_libraries skua_tls)
