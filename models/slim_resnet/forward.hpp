// One segment of SlimResNet, written once for inference, training and calibration: they differ in how a convolution is
// normalised. Pulls in ATen operators: for source files only.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mean.h>

#include "slim_resnet/layout.hpp"

namespace takt::models::slim {

// `convolve(index, input)` gives the normalised output of convolution `index`, a tensor of its own: it is changed in
// place, which spares a pass over memory each.
template <class Convolve>
[[nodiscard]] at::Tensor run_segment(int segment, const at::Tensor& input, Convolve&& convolve) {
  at::Tensor trunk = input;
  at::Tensor beside = convolve(0, input);
  if (segment == 1) {
    beside.relu_();
    trunk = beside;
  }
  at::Tensor inner = convolve(1, trunk);
  inner.relu_();
  at::Tensor middle = convolve(2, inner);
  middle.add_(beside).relu_();
  at::Tensor second = convolve(3, middle);
  second.relu_();
  at::Tensor last = convolve(4, second);
  last.add_(middle).relu_();
  return last;
}

// Global average pool and classifier: [N, C, H, W] -> [N, 100].
[[nodiscard]] inline at::Tensor classify(const at::Tensor& activation, const at::Tensor& weight,
                                         const at::Tensor& bias) {
  return at::linear(activation.mean({2, 3}), weight, bias);
}

}  // namespace takt::models::slim
