# install: headers, both libraries, skua.pc, skua-static.pc, and the files of find_package(skua).

include(CMakePackageConfigHelpers)

install(DIRECTORY include/skua DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
install(TARGETS skua skua_static ${skua_tls_libraries} ${skua_mpi_libraries} EXPORT skuaTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/skua)
set(generated ${PROJECT_BINARY_DIR}/generated)
install(EXPORT skuaTargets NAMESPACE skua:: DESTINATION ${package_dir})
configure_package_config_file(cmake/skuaConfig.cmake.in ${generated}/skuaConfig.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${generated}/skuaConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${generated}/skuaConfig.cmake ${generated}/skuaConfigVersion.cmake
    DESTINATION ${package_dir})

# The prefix is told relative to the .pc file, so an installed tree can be moved.
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_to_prefix /${pc_dir} /)
string(REGEX REPLACE "/$" "" pc_to_prefix "${pc_to_prefix}")
set(pc_names skua skua-static)
if(TARGET skua_tls)
    list(APPEND pc_names skua-tls)
endif()
foreach(name IN LISTS pc_names)
    configure_file(cmake/${name}.pc.in ${generated}/${name}.pc @ONLY)
    install(FILES ${generated}/${name}.pc DESTINATION ${pc_dir})
endforeach()
