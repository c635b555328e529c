# libskua-mpi: what carries a cluster's messages, by MPI. A library of its own, loaded at start-up
# where a launcher has started several ranks, so that nobody else needs an MPI. It uses Skua's
# public headers only, and no function of Skua.

set(SKUA_MPI AUTO CACHE STRING "Build libskua-mpi: AUTO (if Open MPI is found), ON or OFF")
set_property(CACHE SKUA_MPI PROPERTY STRINGS AUTO ON OFF)
set(skua_mpi_libraries)
if(SKUA_MPI STREQUAL "OFF")
    return()
endif()

pkg_check_modules(ompi IMPORTED_TARGET ompi-c)
if(NOT ompi_FOUND)
    if(NOT SKUA_MPI STREQUAL "AUTO")
        message(FATAL_ERROR "SKUA_MPI is ${SKUA_MPI}, but Open MPI is not there.")
    endif()
    message(STATUS "libskua-mpi is left out: Open MPI is not there")
    return()
endif()

file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} src/ext/mpi/*.c)
add_library(skua_mpi SHARED ${sources})
add_library(skua::mpi ALIAS skua_mpi)
set_target_properties(skua_mpi PROPERTIES
    OUTPUT_NAME skua-mpi
    EXPORT_NAME mpi
    VERSION ${PROJECT_VERSION}
    SOVERSION 0
    C_VISIBILITY_PRESET hidden)
target_compile_options(skua_mpi PRIVATE ${SKUA_WARNINGS})
target_compile_definitions(skua_mpi PRIVATE _GNU_SOURCE)
target_include_directories(skua_mpi PRIVATE ${PROJECT_SOURCE_DIR}/include)
target_link_options(skua_mpi PRIVATE -Wl,-z,noexecstack,-z,relro,-z,now)
target_link_libraries(skua_mpi PRIVATE PkgConfig::ompi)
set(skua_mpi_libraries skua_mpi)
