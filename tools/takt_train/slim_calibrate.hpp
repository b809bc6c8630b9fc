// After training: batch-norm statistics, and the accuracy of the subnets.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "slim_resnet/layout.hpp"
#include "slim_resnet/network.hpp"
#include "slim_resnet/weights.hpp"
#include "takt_train/cifar100.hpp"

namespace takt::train {

// 16 batches of 256 pictures for each set: its own error is then far below what a subnet's accuracy notices.
struct CalibrationSize {
  int batches = 16;
  int64_t batch = 256;
};

// Estimates mean and variance for every (segment, width in, width out) from pictures `indices` of `set`, with random
// widths in the segments before. The weights' tensors are replaced; they are on the set's device. Same seed, same
// result.
void calibrate(models::slim::Weights& weights, const Cifar100& set, std::span<const int64_t> indices, uint64_t seed,
               CalibrationSize size = {});

// Share of the pictures whose label is the greatest logit, for all subnets in the order of subnet_at(). The network is
// on the set's device.
using SubnetAccuracy = std::array<double, models::slim::kSubnets>;
[[nodiscard]] SubnetAccuracy measure_subnets(const models::SlimResNet& network, const Cifar100& set,
                                             std::span<const int64_t> indices);

// The same for the four subnets of one width throughout.
using UniformAccuracy = std::array<double, models::slim::kWidths>;
[[nodiscard]] UniformAccuracy measure_uniform(const models::SlimResNet& network, const Cifar100& set,
                                              std::span<const int64_t> indices);

}  // namespace takt::train
