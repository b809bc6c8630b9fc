// The shape of SlimResNet as plain numbers: segments, widths, convolutions. No tensor library here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace takt::models::slim {

// Segments count from 1, as in the paper; segment 1 holds the stem, segment 4 the pooling and the classifier.
inline constexpr int kSegments = 4;
// A width is an index: 0, 1, 2, 3 stand for a quarter, a half, three quarters and all of the channels.
inline constexpr int kWidths = 4;
inline constexpr int kFullWidth = kWidths - 1;
inline constexpr int kSubnets = kWidths * kWidths * kWidths * kWidths;
// In every segment: one convolution at its entry (the stem, or the shortcut that projects the input), then two basic
// blocks of two.
inline constexpr int kConvolutions = 5;
inline constexpr int64_t kClasses = 100;
inline constexpr int64_t kImageSide = 32;
inline constexpr int64_t kImageChannels = 3;
inline constexpr int64_t kImageValues = kImageChannels * kImageSide * kImageSide;
// torchvision's figure; it is part of the folded weights, so it must never differ between training and inference.
inline constexpr double kNormEpsilon = 1e-5;

inline constexpr std::array<std::string_view, kWidths> kWidthNames{"0.25", "0.5", "0.75", "1.0"};
inline constexpr std::array<std::string_view, kConvolutions> kConvolutionNames{"entry", "block0.conv0", "block0.conv1",
                                                                               "block1.conv0", "block1.conv1"};

// One width index per segment.
using Subnet = std::array<int, kSegments>;

// Subnets in ascending lexicographic order: subnet_at(0) is the smallest, subnet_at(255) the largest.
[[nodiscard]] constexpr Subnet subnet_at(int index) {
  return {index / 64 % kWidths, index / 16 % kWidths, index / 4 % kWidths, index % kWidths};
}

// Channels that leave `segment` at `width`; `base_width` is a positive multiple of 4.
[[nodiscard]] constexpr int64_t channels(int64_t base_width, int segment, int width) {
  return (base_width << (segment - 1)) / kWidths * (width + 1);
}

// Height and width of what leaves `segment`; segment 0 is the picture itself.
[[nodiscard]] constexpr int64_t side(int segment) {
  return segment <= 1 ? kImageSide : kImageSide >> (segment - 1);
}

struct ConvolutionShape {
  int64_t out;
  int64_t in;
  int64_t kernel;
  int64_t stride;
  [[nodiscard]] constexpr int64_t padding() const { return kernel / 2; }
};

// The slice of convolution `index` of `segment` that is used when the segment is entered at `width_in` and left at
// `width_out`. Segment 1 takes the picture, so there width_in says nothing.
[[nodiscard]] constexpr ConvolutionShape convolution_shape(int64_t base_width, int segment, int index, int width_in,
                                                           int width_out) {
  const int64_t out = channels(base_width, segment, width_out);
  if (segment == 1) {
    return {out, index == 0 ? kImageChannels : out, 3, 1};
  }
  const int64_t in = channels(base_width, segment - 1, width_in);
  switch (index) {
    case 0: return {out, in, 1, 2};
    case 1: return {out, in, 3, 2};
    default: return {out, out, 3, 1};
  }
}

// How many different entries a segment has: the picture is always whole.
[[nodiscard]] constexpr int widths_in(int segment) {
  return segment == 1 ? 1 : kWidths;
}

// Multiply-accumulates of one frame in `segment`; batch norm is folded away and the rest is not counted.
[[nodiscard]] constexpr int64_t macs(int64_t base_width, int segment, int width_in, int width_out) {
  int64_t total = segment == kSegments ? channels(base_width, segment, width_out) * kClasses : 0;
  for (int index = 0; index < kConvolutions; ++index) {
    const auto shape = convolution_shape(base_width, segment, index, width_in, width_out);
    total += shape.out * shape.in * shape.kernel * shape.kernel * side(segment) * side(segment);
  }
  return total;
}

}  // namespace takt::models::slim
