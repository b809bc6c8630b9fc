# CUDA without nvcc and without a GPU: a CUDA libtorch (a wheel's torch/ folder), CUDA's headers, the runtime by full path.
# Makes takt_cudart and takt_torch_cuda where all is at hand; otherwise says what is missing. libcuda is never linked: what
# is linked to it does not start without a driver.

# takt_cuda_status(TEXT): one line for whoever configures, and for tools/test to repeat.
function(takt_cuda_status text)
  message(STATUS "takt: CUDA module: ${text}")
  file(WRITE ${CMAKE_BINARY_DIR}/cuda-status.txt "${text}\n")
endfunction()

# takt_cuda_root(OUT): TAKT_CUDA_ROOT, or the place where tools/setup --cuda puts the wheel.
function(takt_cuda_root out)
  if(TAKT_CUDA_ROOT)
    set(${out} ${TAKT_CUDA_ROOT} PARENT_SCOPE)
  elseif(NOT "$ENV{TAKT_CUDA_WHEELS}" STREQUAL "")
    set(${out} $ENV{TAKT_CUDA_WHEELS}/torch PARENT_SCOPE)
  elseif(NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
    set(${out} $ENV{XDG_CACHE_HOME}/takt/torch-2.11.0-cu130/torch PARENT_SCOPE)
  else()
    set(${out} $ENV{HOME}/.cache/takt/torch-2.11.0-cu130/torch PARENT_SCOPE)
  endif()
endfunction()

takt_cuda_root(takt_cuda_root)
cmake_path(GET takt_cuda_root PARENT_PATH takt_cuda_site)
# crt/ is in a toolkit and in the package nvidia-cuda-crt, in no package that torch asks for.
find_path(TAKT_CUDA_INCLUDE crt/host_defines.h NO_DEFAULT_PATH NO_CACHE
  PATHS ${takt_cuda_site}/nvidia/cu13/include $ENV{CUDA_HOME}/include /usr/local/cuda/include)
find_file(TAKT_CUDART NAMES libcudart.so.13 libcudart.so.12 NO_DEFAULT_PATH NO_CACHE
  PATHS ${takt_cuda_site}/nvidia/cu13/lib ${takt_cuda_site}/nvidia/cuda_runtime/lib $ENV{CUDA_HOME}/lib64 /usr/local/cuda/lib64)

if(NOT TAKT_CUDA)
  takt_cuda_status("skipped: switched off")
elseif(NOT EXISTS ${takt_cuda_root}/lib/libtorch_cuda.so)
  takt_cuda_status("skipped: no libtorch_cuda.so in ${takt_cuda_root}/lib; tools/setup --cuda fetches it, or name another with -DTAKT_CUDA_ROOT=")
elseif(NOT TAKT_CUDA_INCLUDE OR NOT EXISTS ${TAKT_CUDA_INCLUDE}/cuda_runtime_api.h)
  takt_cuda_status("skipped: no crt/host_defines.h and cuda_runtime_api.h; tools/setup --cuda fetches them, or -DTAKT_CUDA_INCLUDE=")
elseif(NOT TAKT_CUDART)
  takt_cuda_status("skipped: no libcudart.so.13 or .12 in ${takt_cuda_site}/nvidia; tools/setup --cuda fetches it, or -DTAKT_CUDART=")
else()
  takt_cuda_status("${takt_cuda_root}, ${TAKT_CUDA_INCLUDE}, ${TAKT_CUDART}")
  # What nothing of ours calls by name must be loaded all the same: libtorch_cuda registers its operators.
  set(CMAKE_LINK_LIBRARY_USING_takt_needed "LINKER:--push-state,--no-as-needed" "<LINK_ITEM>" "LINKER:--pop-state")
  set(CMAKE_LINK_LIBRARY_USING_takt_needed_SUPPORTED TRUE)

  add_library(takt_cudart INTERFACE)
  target_include_directories(takt_cudart SYSTEM INTERFACE ${TAKT_CUDA_INCLUDE})
  target_link_libraries(takt_cudart INTERFACE ${TAKT_CUDART})  # the file: its unversioned name is in no wheel

  takt_libtorch(takt_torch_cuda ${takt_cuda_root})
  target_link_libraries(takt_torch_cuda INTERFACE takt_cudart
    $<LINK_LIBRARY:takt_needed,${takt_cuda_root}/lib/libtorch_cuda.so,${takt_cuda_root}/lib/libc10_cuda.so>)
  # A bare wheel lacks libraries that libtorch_cuda asks for: programs link all the same, and load where they are.
  target_link_options(takt_torch_cuda INTERFACE
    $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:LINKER:--allow-shlib-undefined>)
endif()
