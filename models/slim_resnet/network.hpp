// SlimResNet for CIFAR-100, ready to run: ResNet-18 with the CIFAR stem in four segments, each at any of four widths.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "slim_resnet/layout.hpp"
#include "slim_resnet/weights.hpp"
#include "takt/result.hpp"

namespace takt::models {

// Batch norm is folded into the convolutions once, at load, for each (segment, width in, width out); after that nothing
// changes, so any number of threads may call the const functions at once.
class SlimResNet {
 public:
  // Reads, checks and folds; blocks for some tens of milliseconds. Errors as slim::read_weights.
  [[nodiscard]] static Result<std::unique_ptr<SlimResNet>> load(const std::filesystem::path& weights_file);
  // Folds weights that are in memory.
  explicit SlimResNet(const slim::Weights& weights);

  // A copy whose weights lie on `device` as `type`, float or half; throws c10::Error if the device refuses.
  [[nodiscard]] std::unique_ptr<SlimResNet> to(at::Device device, at::ScalarType type) const;

  // Runs `segment` (1 to 4), entered at `width_in` (0 to 3; segment 1 ignores it) and left at `width_out`. `input` is
  // [N, C, H, W] of the weights' type, channels-last, on their device, of activation_shape(segment - 1, width_in); for
  // segment 1 it is the normalised picture. Segments 1 to 3 return the same kind, segment 4 logits [N, 100]. Allocates
  // through libtorch; throws c10::Error. The caller holds c10::InferenceMode.
  [[nodiscard]] at::Tensor run(int segment, int width_in, int width_out, const at::Tensor& input) const;

  // {channels, height, width} of one frame after `segment`; segment 0 is the picture, after segment 4 it is {100, 1,
  // 1}.
  [[nodiscard]] std::array<int64_t, 3> activation_shape(int segment, int width) const;

  [[nodiscard]] int64_t base_width() const noexcept { return base_width_; }

 private:
  struct Folded {
    at::Tensor weight;  // channels-last
    at::Tensor bias;
  };
  using FoldedSegment = std::array<Folded, slim::kConvolutions>;

  [[nodiscard]] const FoldedSegment& folded(int segment, int width_in, int width_out) const;

  int64_t base_width_ = 0;
  std::array<std::vector<FoldedSegment>, slim::kSegments> segments_;  // [width in * 4 + width out]
  std::array<at::Tensor, slim::kWidths> classifier_weight_;
  at::Tensor classifier_bias_;
};

}  // namespace takt::models
