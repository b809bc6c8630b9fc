// How one axis of a picture is resized: which samples make each output, and with what whole-number weights.
#pragma once

#include <cstdint>
#include <span>

namespace takt::models {

// Samples begin .. begin + count - 1. The first has weight `first`, the last `last` (if count > 1), those between
// AxisTaps::inner.
struct Tap {
  std::uint32_t begin = 0, count = 0, first = 0, last = 0;
};

// Weights of every output add up to `total`, at most 4096 for sides up to kMaxPictureWidth and kMaxInputSide.
struct AxisTaps {
  std::span<const Tap> taps;  // one an output
  std::uint32_t inner = 0, total = 1;
};

// `begin` and `length`: the part of the axis to look at, in pixels. `block`: pixels that one sample covers (2 for
// chroma at half resolution, its sample in the middle of its pixels; else 1). One tap is written per element of `taps`.
// Shrinking or equal: the mean over the area that an output covers. Growing: linear between sample centres, edges held.
[[nodiscard]] AxisTaps make_taps(std::uint32_t begin, std::uint32_t length, std::uint32_t block,
                                 std::span<Tap> taps) noexcept;

}  // namespace takt::models
