# The table of native modules: every models/NAME/module.cpp is an entry; the table is generated, nobody edits a list.

# takt_module_table(OUT files...): writes OUT with module_table() over takt_module_NAME of every models/NAME/module.cpp.
function(takt_module_table out)
  set(declarations "")
  set(entries "")
  foreach(file ${ARGN})
    get_filename_component(folder ${file} DIRECTORY)
    get_filename_component(name ${folder} NAME)
    string(APPEND declarations "extern const takt::models::ModuleEntry takt_module_${name};\n")
    string(APPEND entries "    &takt_module_${name},\n")
  endforeach()
  file(CONFIGURE OUTPUT ${out} @ONLY CONTENT
"// Generated from models/*/module.cpp.
#include \"module.hpp\"

@declarations@
namespace takt::models {
namespace {
const ModuleEntry* const kTable[] = {
@entries@};
}  // namespace
std::span<const ModuleEntry* const> module_table() noexcept { return kTable; }
}  // namespace takt::models
")
endfunction()
