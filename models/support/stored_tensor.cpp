// Between at::Tensor and the bytes of a safetensors file; the only copy is a memcpy, so alignment is no concern.
#include "support/stored_tensor.hpp"

#include <ATen/ops/empty.h>

#include <cstring>
#include <utility>

namespace takt::models {

Result<at::Tensor> to_tensor(const StoredTensor& stored) {
  if (stored.dtype != Dtype::f32 && stored.dtype != Dtype::f16) {
    return fail(Code::unsupported, "only F32 and F16 weights can be loaded");
  }
  const auto type = stored.dtype == Dtype::f32 ? at::kFloat : at::kHalf;
  at::Tensor tensor = at::empty(stored.shape, at::TensorOptions().dtype(type));
  if (!stored.bytes.empty()) {
    std::memcpy(tensor.data_ptr(), stored.bytes.data(), stored.bytes.size());
  }
  return tensor.to(at::kFloat);
}

StoredTensor borrow(std::string name, const at::Tensor& tensor) {
  const bool half = tensor.scalar_type() == at::kHalf;
  TAKT_CHECK(tensor.is_contiguous() && tensor.device().is_cpu() && (half || tensor.scalar_type() == at::kFloat));
  return {std::move(name),
          half ? Dtype::f16 : Dtype::f32,
          tensor.sizes().vec(),
          {static_cast<const std::byte*>(tensor.data_ptr()), tensor.nbytes()}};
}

}  // namespace takt::models
