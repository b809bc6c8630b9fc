# libtorch without find_package: full paths to its libraries, its headers as system headers. Works with the distribution's
# package and with a wheel, CPU or CUDA, in one build tree.

# takt_libtorch(NAME ROOT): interface target NAME for the CPU part of the libtorch in ROOT: /usr or a wheel's torch/ folder.
function(takt_libtorch name root)
  set(lib ${root}/lib)
  if(root STREQUAL "/usr")
    set(lib /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE})
  endif()
  if(NOT EXISTS ${lib}/libtorch_cpu.so)
    message(FATAL_ERROR "libtorch_cpu.so is not in ${lib}: run tools/setup, name another with -DTAKT_TORCH_ROOT=, or switch it off with -DTAKT_TORCH=OFF")
  endif()
  add_library(${name} INTERFACE)
  target_include_directories(${name} SYSTEM INTERFACE
    $<$<NOT:$<STREQUAL:${root},/usr>>:${root}/include> ${root}/include/torch/csrc/api/include)
  target_link_libraries(${name} INTERFACE ${lib}/libtorch_cpu.so ${lib}/libc10.so)
endfunction()

takt_libtorch(takt_torch ${TAKT_TORCH_ROOT})
