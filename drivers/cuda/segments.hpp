// A model's segments as libtorch operators over raw memory of any device. For source files only: pulls in a tensor
// class.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>
#include <vector>

#include "cuda/engine.hpp"
#include "cuda/pictures.hpp"
#include "module.hpp"

namespace takt::cuda {

class TorchModel final : public PlacedModel {
 public:
  // Copies the weights. Throws c10::Error or std::bad_alloc. `bound` outlives it.
  TorchModel(const models::BoundModel& bound, at::Device device, Precision precision);

  [[nodiscard]] const models::BoundModel& bound() const noexcept override { return bound_; }
  [[nodiscard]] std::size_t bytes_in(const models::Step& step) const noexcept override;
  [[nodiscard]] std::size_t bytes_out(const models::Step& step) const noexcept override;

  // Queues the step's operators on the current stream. `in` and `taps` are memory of the device, see Ends. The result
  // is packed as bytes_out() says, frames side by side. Throws c10::Error; the caller holds c10::InferenceMode.
  [[nodiscard]] at::Tensor forward(const models::Step& step, std::size_t batch, void* in, const void* taps) const;

 private:
  [[nodiscard]] at::Tensor preprocess(const models::Step& step, void* in, const void* taps) const;
  [[nodiscard]] at::Tensor normalise(const PicturePlan& plan, const at::Tensor& channels) const;
  [[nodiscard]] PicturePlan plan_of(const models::Step& step) const noexcept;

  const models::BoundModel& bound_;
  const at::Device device_;
  const at::ScalarType type_;  // of weights and activations
  std::unique_ptr<models::NativeModule> module_;
  at::Tensor colour_, colour_offset_, scale_, shift_;  // for rows of three channels
};

}  // namespace takt::cuda
