# tranche_folder(NAME [DEPENDS folder...] [LIBRARIES target...])
#
# One folder of src/tranche/: its *.cc are the static library tranche_NAME, its *_test.cc the executable NAME_test,
# a test of the label `unit`. New files are found without a word here. A folder without a .cc is headers only.
#   DEPENDS    the folders it may include (scripts/check_layers checks the same against its own table)
#   LIBRARIES  third-party libraries of this folder alone: their headers do not reach those who depend on it
function(tranche_folder name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPENDS;LIBRARIES")
  set(folder "${CMAKE_SOURCE_DIR}/src/tranche/${name}")
  file(GLOB sources CONFIGURE_DEPENDS "${folder}/*.cc")
  file(GLOB tests CONFIGURE_DEPENDS "${folder}/*_test.cc")
  list(REMOVE_ITEM sources ${tests} "${folder}/main.cc")
  list(TRANSFORM arg_DEPENDS PREPEND tranche_)

  if(sources)
    add_library(tranche_${name} STATIC ${sources})
    target_link_libraries(tranche_${name} PUBLIC ${arg_DEPENDS} tranche_options PRIVATE ${arg_LIBRARIES})
  else()
    add_library(tranche_${name} INTERFACE)
    target_link_libraries(tranche_${name} INTERFACE ${arg_DEPENDS} tranche_options)
  endif()

  if(tests AND BUILD_TESTING)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE tranche_${name} ${arg_LIBRARIES} GTest::gmock GTest::gtest_main)
    target_compile_options(${name}_test PRIVATE -O0 -g1)  # quick to compile, and hardly slower
    add_test(NAME ${name}_test COMMAND ${name}_test)
    set_tests_properties(${name}_test PROPERTIES LABELS unit TIMEOUT 600)
  endif()
endfunction()
