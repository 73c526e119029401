# How everything is compiled and linked; targets take it from tranche_options.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")

option(TRANCHE_WERROR "Warnings are errors" ON)
option(TRANCHE_FUZZ "Fuzz targets, with clang" OFF)
set(TRANCHE_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")

# The release keeps its asserts: a broken promise about a batch must stop the program, and they cost nothing there.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g -D_GLIBCXX_ASSERTIONS")

# fmt stands in for std::format, which gcc 12 lacks; every folder has it, and JSON.
add_library(tranche_options INTERFACE)
target_link_libraries(tranche_options INTERFACE fmt::fmt nlohmann_json::nlohmann_json)
target_include_directories(tranche_options INTERFACE "${CMAKE_SOURCE_DIR}/src")
target_compile_options(tranche_options INTERFACE -Wall -Wextra $<$<BOOL:${TRANCHE_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Fields left out of a designated initializer have their defaults, on purpose.
  # Wrong alarms of gcc 12 on std::string's operator+ (its bug 105651) and on optional, variant and expected.
  target_compile_options(tranche_options INTERFACE -Wno-restrict -Wno-missing-field-initializers -Wno-maybe-uninitialized)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")  # for the fuzz targets, with gcc's standard library
  target_compile_options(tranche_options INTERFACE -Wno-deprecated-declarations -Wno-missing-designated-field-initializers
    -Wno-missing-field-initializers)
endif()
if(TRANCHE_SANITIZE)
  add_compile_options(-fsanitize=${TRANCHE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g1)
  add_link_options(-fsanitize=${TRANCHE_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    add_compile_options("-fsanitize-ignorelist=${CMAKE_SOURCE_DIR}/cmake/sanitizers.ignore")
  endif()
endif()

# Several checkouts and build folders share one cache: paths are hashed as relative ones.
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1
    "CCACHE_SLOPPINESS=include_file_mtime,include_file_ctime" "${CCACHE}")
endif()

find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# A folder of .toolset/ is searched relative to the executable, so a moved tree still runs.
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)
macro(tranche_library_folder folder)
  file(RELATIVE_PATH relative "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}" "${folder}")
  list(APPEND CMAKE_INSTALL_RPATH "$ORIGIN/${relative}")
endmacro()
