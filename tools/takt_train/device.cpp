// CUDA by dlopen: libtorch_cuda registers its operators when it is loaded, and nothing of ours calls it by name.
#include "takt_train/device.hpp"

#include <ATen/Context.h>
#include <ATen/ops/zeros.h>
#include <dlfcn.h>

#include <exception>
#include <string_view>

namespace takt::train {

tl::expected<at::Device, std::string> open_device(const std::string& name) {
  if (name == "cpu") {
    return at::Device(at::kCPU);
  }
  // Found by this program's RUNPATH beside the libtorch it was built with; never closed.
  if (::dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_GLOBAL) == nullptr) {
    const std::string reason(::dlerror());
    const bool absent = reason.starts_with("libtorch_cuda.so:");
    return tl::unexpected((absent ? "--device cuda: this build has no CUDA: its libtorch is for the CPU: "
                                  : "--device cuda: libtorch's CUDA part does not load: ") +
                          reason);
  }
  try {
    const at::Device device(at::kCUDA, 0);
    (void)at::zeros({1}, at::TensorOptions().device(device));
    return device;
  } catch (const std::exception& error) {
    const std::string_view reason(error.what());
    return tl::unexpected("--device cuda: no usable device: " + std::string(reason.substr(0, reason.find('\n'))));
  }
}

tl::expected<std::string, std::string> choose_precision(const std::string& precision, at::Device device) {
  if (precision.empty()) {
    return device.is_cuda() ? "bf16" : "single";
  }
  if (precision == "tf32" && !device.is_cuda()) {
    return tl::unexpected(std::string("--precision tf32 is for --device cuda"));
  }
  return precision;
}

void allow_tf32(bool allowed) {
  at::globalContext().setAllowTF32CuBLAS(allowed);
  at::globalContext().setAllowTF32CuDNN(allowed);
}

void try_algorithms() {
  at::globalContext().setBenchmarkCuDNN(true);
}

}  // namespace takt::train
