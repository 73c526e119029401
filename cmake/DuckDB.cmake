# DuckDB's C API as target tranche::duckdb: an installed DuckDB where CMake finds one, else .toolset/duckdb.
find_package(DuckDB CONFIG QUIET)

if(DuckDB_FOUND)
  message(STATUS "DuckDB ${DuckDB_VERSION} as installed")
  add_library(tranche::duckdb INTERFACE IMPORTED GLOBAL)
  target_link_libraries(tranche::duckdb INTERFACE duckdb)
  target_include_directories(tranche::duckdb INTERFACE ${DuckDB_INCLUDE_DIRS})
else()
  set(duckdb_root "${CMAKE_SOURCE_DIR}/.toolset/duckdb")
  if(NOT EXISTS "${duckdb_root}/lib/libduckdb.so")
    message(FATAL_ERROR "DuckDB is neither installed nor in .toolset/: run scripts/setup")
  endif()
  message(STATUS "DuckDB of .toolset")
  add_library(tranche::duckdb SHARED IMPORTED GLOBAL)
  set_target_properties(tranche::duckdb PROPERTIES
    IMPORTED_LOCATION "${duckdb_root}/lib/libduckdb.so"
    IMPORTED_SONAME "libduckdb.so"
    INTERFACE_INCLUDE_DIRECTORIES "${duckdb_root}/include")
  tranche_library_folder("${duckdb_root}/lib")
endif()
