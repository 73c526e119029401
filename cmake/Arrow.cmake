# Arrow C++ as targets tranche::arrow, tranche::arrow_compute and tranche::parquet: an installed Arrow where CMake
# finds one, else the libraries inside pyarrow (.toolset/arrow). They use the new C++ ABI of libstdc++, as we do.
find_package(Arrow CONFIG QUIET)
find_package(Parquet CONFIG QUIET)
find_package(ArrowCompute CONFIG QUIET)

if(Arrow_FOUND AND Parquet_FOUND AND ArrowCompute_FOUND)
  message(STATUS "Arrow ${ARROW_VERSION} as installed")
  add_library(tranche::arrow ALIAS Arrow::arrow_shared)
  add_library(tranche::arrow_compute ALIAS ArrowCompute::arrow_compute_shared)
  add_library(tranche::parquet ALIAS Parquet::parquet_shared)
else()
  set(arrow_root "${CMAKE_SOURCE_DIR}/.toolset/arrow")
  file(GLOB arrow_libraries "${arrow_root}/lib/libarrow.so.*")
  if(NOT arrow_libraries)
    message(FATAL_ERROR "Arrow is neither installed nor in .toolset/: run scripts/setup")
  endif()
  list(GET arrow_libraries 0 arrow_library)
  get_filename_component(arrow_version "${arrow_library}" LAST_EXT)  # .2600
  message(STATUS "Arrow ${arrow_version} of .toolset")
  foreach(name arrow arrow_compute parquet)
    add_library(tranche::${name} SHARED IMPORTED GLOBAL)
    set_target_properties(tranche::${name} PROPERTIES
      IMPORTED_LOCATION "${arrow_root}/lib/lib${name}.so${arrow_version}"
      IMPORTED_SONAME "lib${name}.so${arrow_version}"
      INTERFACE_INCLUDE_DIRECTORIES "${arrow_root}/include"
      INTERFACE_COMPILE_DEFINITIONS "_GLIBCXX_USE_CXX11_ABI=1")
  endforeach()
  target_link_libraries(tranche::arrow_compute INTERFACE tranche::arrow)
  target_link_libraries(tranche::parquet INTERFACE tranche::arrow)
  tranche_library_folder("${arrow_root}/lib")
endif()
