// Resizing weights in exact whole numbers, so that every machine and compiler gets the same picture.
#include "picture/taps.hpp"

#include <cstddef>

namespace takt::models {
namespace {

// In units of 1 / outputs of a pixel: output o covers [begin * outputs + o * length, ... + length).
AxisTaps area_taps(std::uint32_t begin, std::uint32_t length, std::uint32_t block, std::span<Tap> taps) noexcept {
  const auto outputs = static_cast<std::uint32_t>(taps.size());
  const std::uint32_t sample = block * outputs;
  std::uint32_t low = begin * outputs;
  for (Tap& tap : taps) {
    const std::uint32_t high = low + length;
    const std::uint32_t last = (high - 1) / sample;
    tap.begin = low / sample;
    tap.count = last - tap.begin + 1;
    tap.first = tap.count == 1 ? length : (tap.begin + 1) * sample - low;
    tap.last = tap.count == 1 ? 0 : high - last * sample;
    low = high;
  }
  return {taps, sample, length};
}

// In units of 1 / (2 * block * outputs) of a sample: the centre of output o lies at `centre`, sample i at i * unit.
AxisTaps linear_taps(std::uint32_t begin, std::uint32_t length, std::uint32_t block, std::span<Tap> taps) noexcept {
  const auto outputs = static_cast<std::int64_t>(taps.size());
  const std::int64_t unit = 2 * outputs * block;
  const std::int64_t lowest = begin / block, highest = (begin + length - 1) / block;
  for (std::int64_t o = 0; o < outputs; ++o) {
    const std::int64_t centre = 2 * outputs * begin + (2 * o + 1) * length - outputs * block;
    Tap& tap = taps[static_cast<std::size_t>(o)];
    if (centre <= lowest * unit || centre >= highest * unit) {
      const std::int64_t edge = centre <= lowest * unit ? lowest : highest;
      tap = {static_cast<std::uint32_t>(edge), 1, static_cast<std::uint32_t>(unit), 0};
      continue;
    }
    const auto fraction = static_cast<std::uint32_t>(centre % unit);
    tap = {static_cast<std::uint32_t>(centre / unit), 2, static_cast<std::uint32_t>(unit) - fraction, fraction};
  }
  return {taps, 0, static_cast<std::uint32_t>(unit)};
}

}  // namespace

AxisTaps make_taps(std::uint32_t begin, std::uint32_t length, std::uint32_t block, std::span<Tap> taps) noexcept {
  return length >= taps.size() ? area_taps(begin, length, block, taps) : linear_taps(begin, length, block, taps);
}

}  // namespace takt::models
