# Plug-in tables: every .cpp of a folder is an entry; the table is generated, nobody edits a list.

# takt_plugin_table(OUT files...): writes OUT with policy_table() over takt_policy_NAME of every file.
function(takt_plugin_table out)
  set(declarations "")
  set(entries "")
  foreach(file ${ARGN})
    get_filename_component(name ${file} NAME_WE)
    string(APPEND declarations "extern const takt::PolicyEntry takt_policy_${name};\n")
    string(APPEND entries "    &takt_policy_${name},\n")
  endforeach()
  file(CONFIGURE OUTPUT ${out} @ONLY CONTENT
"// Generated from the files in policies/.
#include \"takt/policy.hpp\"

@declarations@
namespace takt {
namespace {
const PolicyEntry* const kTable[] = {
@entries@};
}  // namespace
std::span<const PolicyEntry* const> policy_table() noexcept { return kTable; }
}  // namespace takt
")
endfunction()

# takt_driver(NAME): module takt-driver-NAME.so from NAME.cpp; at run time found by name beside the executor.
function(takt_driver name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_library(takt-driver-${name} MODULE ${name}.cpp ${arg_SOURCES})
  set_target_properties(takt-driver-${name} PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_link_libraries(takt-driver-${name} PRIVATE takt_contracts takt_flags ${arg_LINKS})
  if(NOT TAKT_SANITIZE)
    target_link_options(takt-driver-${name} PRIVATE -Wl,-z,defs)
  endif()
endfunction()
