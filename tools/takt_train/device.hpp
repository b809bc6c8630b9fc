// Where a run computes, and how exactly.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "takt/result.hpp"

namespace takt::train {

// `name` is cpu or cuda. Loads libtorch's CUDA part when it is asked for, so one program serves machines with and
// without it; must come before anything else asks libtorch for CUDA. The error is one line, with the system's reason.
[[nodiscard]] tl::expected<at::Device, std::string> open_device(const std::string& name);

// What `precision` (bf16, tf32, single; empty: bf16 on cuda, single elsewhere) comes to on `device`, or one line that
// says why it cannot be.
[[nodiscard]] tl::expected<std::string, std::string> choose_precision(const std::string& precision, at::Device device);

// Whether products of floats on CUDA may be rounded to TF32; libtorch's own default is half and half.
void allow_tf32(bool allowed);

// Lets cuDNN try its algorithms on each new shape: minutes at the start, faster steps afterwards.
void try_algorithms();

}  // namespace takt::train
