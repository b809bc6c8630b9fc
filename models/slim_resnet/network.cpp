// SlimResNet, ready to run: folding at load, then five convolutions a segment.
#include "slim_resnet/network.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv2d.h>

#include <utility>

#include "slim_resnet/forward.hpp"

namespace takt::models {

using slim::kConvolutions;
using slim::kFullWidth;
using slim::kSegments;
using slim::kWidths;

namespace {

std::size_t index_of(int value) {
  return static_cast<std::size_t>(value);
}

bool is_width(int width) {
  return width >= 0 && width < kWidths;
}

}  // namespace

Result<std::unique_ptr<SlimResNet>> SlimResNet::load(const std::filesystem::path& weights_file) {
  const auto weights = slim::read_weights(weights_file);
  if (!weights) {
    return tl::unexpected(weights.error());
  }
  return std::make_unique<SlimResNet>(*weights);
}

SlimResNet::SlimResNet(const slim::Weights& weights) : base_width_(weights.base_width) {
  const at::NoGradGuard no_gradients;
  const auto fold = [&](int segment, int index, int in, int out) {
    const slim::Convolution& convolution = weights.at(segment, index);
    const at::Tensor& scale = convolution.scale[index_of(out)];
    const at::Tensor& variance = convolution.variance[index_of(in)][index_of(out)];
    const at::Tensor& mean = convolution.mean[index_of(in)][index_of(out)];
    const at::Tensor factor = variance.add(slim::kNormEpsilon).rsqrt().mul(scale);
    const at::Tensor weight = slim::slice(weights, segment, index, in, out).mul(factor.view({-1, 1, 1, 1}));
    const at::Tensor bias = convolution.shift[index_of(out)].sub(mean.mul(factor));
    return Folded{weight.contiguous(at::MemoryFormat::ChannelsLast), bias.contiguous()};
  };
  for (int segment = 1; segment <= kSegments; ++segment) {
    for (int in = 0; in < slim::widths_in(segment); ++in) {
      for (int out = 0; out < kWidths; ++out) {
        FoldedSegment& folded = segments_[index_of(segment - 1)].emplace_back();
        for (int index = 0; index < kConvolutions; ++index) {
          folded[index_of(index)] = fold(segment, index, in, out);
        }
      }
    }
  }
  for (int width = 0; width < kWidths; ++width) {
    const int64_t features = slim::channels(base_width_, kSegments, width);
    classifier_weight_[index_of(width)] =
        weights.classifier_weight.detach().narrow(1, 0, features).clone(at::MemoryFormat::Contiguous);
  }
  classifier_bias_ = weights.classifier_bias.detach().clone();
}

std::unique_ptr<SlimResNet> SlimResNet::to(at::Device device, at::ScalarType type) const {
  auto copy = std::make_unique<SlimResNet>(*this);
  for (auto& segment : copy->segments_) {
    for (FoldedSegment& folded : segment) {
      for (Folded& convolution : folded) {
        convolution.weight = convolution.weight.to(device, type).contiguous(at::MemoryFormat::ChannelsLast);
        convolution.bias = convolution.bias.to(device, type);
      }
    }
  }
  for (at::Tensor& weight : copy->classifier_weight_) {
    weight = weight.to(device, type);
  }
  copy->classifier_bias_ = classifier_bias_.to(device, type);
  return copy;
}

const SlimResNet::FoldedSegment& SlimResNet::folded(int segment, int width_in, int width_out) const {
  TAKT_CHECK(segment >= 1 && segment <= kSegments && is_width(width_in) && is_width(width_out));
  const int in = segment == 1 ? 0 : width_in;
  return segments_[index_of(segment - 1)][index_of(in * kWidths + width_out)];
}

at::Tensor SlimResNet::run(int segment, int width_in, int width_out, const at::Tensor& input) const {
  const FoldedSegment& convolutions = folded(segment, width_in, width_out);
  at::Tensor output = slim::run_segment(segment, input, [&](int index, const at::Tensor& x) {
    const auto shape = slim::convolution_shape(base_width_, segment, index, width_in, width_out);
    const Folded& convolution = convolutions[index_of(index)];
    return at::conv2d(x, convolution.weight, convolution.bias, shape.stride, shape.padding());
  });
  if (segment == kSegments) {
    return slim::classify(output, classifier_weight_[index_of(width_out)], classifier_bias_);
  }
  // Some of libtorch's convolutions pick their own layout; where it is right already this costs nothing.
  return output.contiguous(at::MemoryFormat::ChannelsLast);
}

std::array<int64_t, 3> SlimResNet::activation_shape(int segment, int width) const {
  TAKT_CHECK(segment >= 0 && segment <= kSegments && is_width(width));
  if (segment == 0) {
    return {slim::kImageChannels, slim::kImageSide, slim::kImageSide};
  }
  if (segment == kSegments) {
    return {slim::kClasses, 1, 1};
  }
  return {slim::channels(base_width_, segment, width), slim::side(segment), slim::side(segment)};
}

}  // namespace takt::models
