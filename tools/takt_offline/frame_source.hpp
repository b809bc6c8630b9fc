// Frames for takt-offline: records of CIFAR-100, as they are or drawn as a camera's picture, or raw pictures of a file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "takt/driver.hpp"
#include "takt/result.hpp"
#include "takt/tensor.hpp"

namespace takt::offline {

// What the frames of a source look like.
struct PictureKind {
  PictureFormat format = PictureFormat::rgb;
  std::uint32_t width = 32, height = 32;
};

class FrameSource {
 public:
  virtual ~FrameSource() = default;
  [[nodiscard]] virtual std::size_t size() const noexcept = 0;
  // The true class; -1 if unknown.
  [[nodiscard]] virtual int label(std::size_t i) const noexcept = 0;
  // Fills `pixels` (as large as a picture of the kind).
  virtual void read(std::size_t i, std::span<std::uint8_t> pixels) const noexcept = 0;
};

// Records of the data set's own layout. Kinds: rgb 32x32, and nv12 with the picture in the middle, as the demo sends
// it.
[[nodiscard]] Parsed<std::unique_ptr<FrameSource>> open_records(const std::string& file, PictureKind kind);
// Packed pictures of the kind, one after the other.
[[nodiscard]] Parsed<std::unique_ptr<FrameSource>> open_pictures(const std::string& file, PictureKind kind);

}  // namespace takt::offline
