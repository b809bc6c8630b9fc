// Between at::Tensor and the bytes of a safetensors file.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "support/safetensors.hpp"

namespace takt::models {

// An own float copy on the CPU. Code::unsupported for any dtype but F32 and F16.
[[nodiscard]] Result<at::Tensor> to_tensor(const StoredTensor& stored);

// Borrows the tensor's memory: `tensor` is float or half, contiguous, on the CPU, and outlives the result.
[[nodiscard]] StoredTensor borrow(std::string name, const at::Tensor& tensor);

}  // namespace takt::models
