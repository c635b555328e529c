# examples/NAME.c becomes the program NAME at the top of the build folder. Examples use the shared
# library, as most users do.

file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/*.c)
if(NOT TARGET skua_tls)
    list(FILTER sources EXCLUDE REGEX "_tls\\.c$")
endif()
foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME_WE)
    skua_program(${name} ${source})
    target_link_libraries(${name} PRIVATE skua::skua)
    if(name MATCHES "_tls$")
        target_link_libraries(${name} PRIVATE skua::tls)
    endif()
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
endforeach()

# Mistakes, each of which is diagnosed: mistakes/NAME, but for those that do not compile.
file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/mistakes/*.c)
foreach(source IN LISTS sources)
    file(STRINGS ${source} refused REGEX "Compiler says:")
    if(NOT refused)
        get_filename_component(name ${source} NAME_WE)
        skua_program(mistake_${name} ${source})
        target_link_libraries(mistake_${name} PRIVATE skua::skua)
        set_target_properties(mistake_${name} PROPERTIES
            OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/mistakes)
    endif()
endforeach()

# The patterns of asyncio, each beside its Python: patterns/NAME in the build folder.
file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/patterns/*.c)
foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME_WE)
    skua_program(pattern_${name} ${source})
    target_link_libraries(pattern_${name} PRIVATE skua::skua)
    set_target_properties(pattern_${name} PROPERTIES
        OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/patterns)
endforeach()

# Programs of several files.
foreach(name chat copytree keyvalue proxy thumbs)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/${name}/*.c)
    skua_program(${name} "${sources}")
    target_link_libraries(${name} PRIVATE skua::skua)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
endforeach()

# A client library of others, where it is there.
pkg_check_modules(libpq IMPORTED_TARGET libpq)
if(libpq_FOUND)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/pgselect/*.c)
    skua_program(pgselect "${sources}")
    target_link_libraries(pgselect PRIVATE skua::skua PkgConfig::libpq)
    set_target_properties(pgselect PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
else()
    message(STATUS "The example pgselect is left out: libpq is not there")
endif()

# Those that pack and unpack. wordfreq is the main example.
find_package(ZLIB REQUIRED)
foreach(name pgzip wordfreq)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/${name}/*.c)
    skua_program(${name} "${sources}")
    target_link_libraries(${name} PRIVATE skua::skua ZLIB::ZLIB)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
endforeach()
