# libtorch without find_package: full paths to its libraries, its headers as system headers. Works with the distribution's
# package and with a wheel, CPU or CUDA, in one build tree.
set(takt_torch_lib ${TAKT_TORCH_ROOT}/lib)
if(TAKT_TORCH_ROOT STREQUAL "/usr")
  set(takt_torch_lib /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE})
endif()
if(NOT EXISTS ${takt_torch_lib}/libtorch_cpu.so)
  message(FATAL_ERROR "libtorch_cpu.so is not in ${takt_torch_lib}: run tools/setup, name another with -DTAKT_TORCH_ROOT=, or switch it off with -DTAKT_TORCH=OFF")
endif()
add_library(takt_torch INTERFACE)
target_include_directories(takt_torch SYSTEM INTERFACE
  $<$<NOT:$<STREQUAL:${TAKT_TORCH_ROOT},/usr>>:${TAKT_TORCH_ROOT}/include>
  ${TAKT_TORCH_ROOT}/include/torch/csrc/api/include)
target_link_libraries(takt_torch INTERFACE ${takt_torch_lib}/libtorch_cpu.so ${takt_torch_lib}/libc10.so)
