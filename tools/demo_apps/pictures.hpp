// Frames with a known answer: pictures of the CIFAR-100 record layout, drawn as a small RGB picture or as a camera's
// NV12.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "takt/takt.h"

namespace demo {

inline constexpr std::uint32_t kSide = 32;

// A file of records: coarse label, fine label, 1,024 red, 1,024 green, 1,024 blue bytes.
class SampleFile {
 public:
  // Reads the whole file; on failure `error` says why and the result is empty.
  [[nodiscard]] static SampleFile read(const std::string& path, std::string& error);

  [[nodiscard]] std::size_t size() const noexcept { return data_.size() / kRecord; }
  [[nodiscard]] int label(std::size_t i) const noexcept { return data_[i * kRecord + 1]; }
  // Three planes of 1,024 bytes.
  [[nodiscard]] std::span<const std::uint8_t> pixels(std::size_t i) const noexcept {
    return std::span(data_).subspan(i * kRecord + 2, kRecord - 2);
  }

 private:
  static constexpr std::size_t kRecord = 2 + 3 * kSide * kSide;
  std::vector<std::uint8_t> data_;
};

// Whether draw() can draw it: RGB of kSide x kSide, or NV12 of even sides, landscape or square, at least kSide high.
[[nodiscard]] bool can_draw(takt_picture picture, std::uint32_t width, std::uint32_t height) noexcept;
[[nodiscard]] std::size_t picture_bytes(takt_picture picture, std::uint32_t width, std::uint32_t height) noexcept;

// Draws into `out`, which holds at least picture_bytes(). NV12 (BT.601, limited range, as cameras send it): the picture
// is scaled up to the full height by repeating pixels and centred on grey.
void draw(std::span<const std::uint8_t> pixels, takt_picture picture, std::uint32_t width, std::uint32_t height,
          std::span<std::uint8_t> out) noexcept;

}  // namespace demo
