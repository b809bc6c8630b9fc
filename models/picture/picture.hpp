// Pictures into network inputs: crop, resize, colour, normalise. Plain C++, no tensor library.
//
// Colour: Y'CbCr (NV12, YUYV) is BT.601, limited range (Y 16..235, Cb and Cr 16..240), which is what cameras and video
// decoders give by default; RGB and GRAY use all of 0..255. Chroma samples lie in the middle of the pixels they cover.
// Resizing, each axis for itself: the mean over the covered area where it shrinks, linear where it grows. It comes
// before the change of colour, where nothing has been clamped yet. Sums are exact whole numbers: every machine gets the
// same picture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "picture/taps.hpp"
#include "takt/driver.hpp"
#include "takt/model.hpp"
#include "takt/result.hpp"
#include "takt/tensor.hpp"

namespace takt::models {

inline constexpr std::uint32_t kMaxInputSide = 1024;  // of what a network takes

// A picture that was checked: every byte that its format, size and stride speak of lies in its memory, and the part to
// look at (the crop) lies in the picture.
struct Picture {
  PictureFormat format = PictureFormat::none;
  std::uint32_t width = 0, height = 0;
  std::size_t stride = 0;  // bytes a row; NV12: of both planes, the second begins at stride * height
  const std::uint8_t* pixels = nullptr;
  std::uint32_t crop_x = 0, crop_y = 0, crop_width = 0, crop_height = 0;
};

// Believes nothing of the description but that `view.data` has `view.desc->bytes` bytes. Any thread; does not allocate.
// Code::invalid_argument with what is wrong.
[[nodiscard]] Result<Picture> check_picture(const TensorView& view) noexcept;

// Turns pictures into floats. One a thread: it owns the memory for the work.
class Preprocessor {
 public:
  Preprocessor();  // allocates all that it will ever need, about 150 KiB

  // Writes to.height x to.width x 3 floats (HWC, RGB). Does not allocate or block. Code::invalid_argument if the sizes
  // in `to` are not 1 .. kMaxInputSide or `out` has another size. Someone may change the pixels meanwhile: the result
  // is then mixed, no more.
  [[nodiscard]] Result<void> run(const Picture& picture, const Normalise& to, std::span<float> out) noexcept;

 private:
  struct Axes {
    AxisTaps x[2], y[2];  // [0]: luma or RGB, [1]: chroma
  };
  [[nodiscard]] Axes plan(const Picture& picture, const Normalise& to) noexcept;
  void sum_row(const Picture& picture, const Axes& axes, std::size_t row) noexcept;

  std::vector<Tap> taps_;               // columns of luma and chroma, rows of luma and chroma
  std::vector<std::uint32_t> rows_;     // bytes of a picture row, summed over rows
  std::vector<std::uint16_t> scratch_;  // the same while adding up
  std::vector<float> channels_;         // one output row of three channels, 0..255
};

}  // namespace takt::models
