# Rooms: one target a folder, and an include path that shows only the rooms it may use.
# A file of room `core` is included as "core/x.hpp"; the path to it exists only for targets that name the room in USES.

add_library(takt_flags INTERFACE)
target_compile_options(takt_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wno-missing-field-initializers $<$<COMPILE_LANGUAGE:CXX>:-Wconversion -Wnon-virtual-dtor>
  $<$<BOOL:${TAKT_WERROR}>:-Werror>)
if(TAKT_SANITIZE)
  target_compile_options(takt_flags INTERFACE -fsanitize=${TAKT_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(takt_flags INTERFACE -fsanitize=${TAKT_SANITIZE})
endif()

# takt_room(NAME SOURCES ... USES rooms... LINKS targets...): library takt_NAME from the current folder.
function(takt_room name)
  cmake_parse_arguments(arg "" "" "SOURCES;USES;LINKS" ${ARGN})
  set(farm ${CMAKE_BINARY_DIR}/rooms/${name})
  file(MAKE_DIRECTORY ${farm})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${farm}/${name} SYMBOLIC)
  list(TRANSFORM arg_USES PREPEND takt_)
  if(arg_SOURCES)
    add_library(takt_${name} STATIC ${arg_SOURCES})
    target_include_directories(takt_${name} PUBLIC ${farm})
    target_link_libraries(takt_${name} PUBLIC ${arg_USES} ${arg_LINKS} PRIVATE takt_flags)
  else()
    add_library(takt_${name} INTERFACE)
    target_include_directories(takt_${name} INTERFACE ${farm})
    target_link_libraries(takt_${name} INTERFACE ${arg_USES} ${arg_LINKS})
  endif()
endfunction()

# takt_headers_alone(TARGET files...): every header compiles as the only line of a file.
function(takt_headers_alone target)
  foreach(header ${ARGN})
    string(MAKE_C_IDENTIFIER ${header} id)
    get_filename_component(extension ${header} EXT)
    if(extension STREQUAL ".h")
      set(file ${CMAKE_BINARY_DIR}/alone/${target}/${id}.c)
    else()
      set(file ${CMAKE_BINARY_DIR}/alone/${target}/${id}.cpp)
    endif()
    file(CONFIGURE OUTPUT ${file} CONTENT "#include \"${header}\"\n")
    list(APPEND files ${file})
  endforeach()
  add_library(${target}_headers_alone OBJECT ${files})
  target_link_libraries(${target}_headers_alone PRIVATE ${target} takt_flags)
endfunction()
