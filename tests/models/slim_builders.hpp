// SlimResNet weights for tests: small, and with batch norm that is far from the identity.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "slim_resnet/weights.hpp"

namespace takt::test {

inline at::Tensor uniform(const std::vector<int64_t>& shape, float low, float high, uint64_t seed) {
  at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(at::kFloat));
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> distribution(low, high);
  auto* values = static_cast<float*>(tensor.data_ptr());
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    values[i] = distribution(random);
  }
  return tensor;
}

// Pictures or activations, channels-last.
inline at::Tensor frames(int64_t count, int64_t channels, int64_t side, uint64_t seed) {
  return uniform({count, channels, side, side}, -1.0F, 1.0F, seed).contiguous(at::MemoryFormat::ChannelsLast);
}

inline models::slim::Weights make_trained_weights(int64_t base_width) {
  models::slim::Weights weights = models::slim::make_weights(base_width, 1);
  uint64_t seed = 100;
  models::slim::visit(weights, [&](const std::string& name, at::Tensor& tensor, const std::vector<int64_t>& shape,
                                   models::slim::Role role) {
    if (role != models::slim::Role::matrix) {
      const bool positive = name.find(".scale.") != std::string::npos || name.find(".variance.") != std::string::npos;
      tensor = positive ? uniform(shape, 0.5F, 1.5F, ++seed) : uniform(shape, -0.3F, 0.3F, ++seed);
    }
  });
  weights.calibrated = true;
  return weights;
}

}  // namespace takt::test
