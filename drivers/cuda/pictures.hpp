// Preprocessing as matrix products: any picture that a form covers, with one graph a form.
//
// Resizing weighs each axis for itself, so a plane P becomes R * P * C: R is a row of weights for each output row, C a
// column for each output column (the weights of models/picture/taps.hpp over their sum). The graph is captured for the
// form's size; what differs from picture to picture (size, crop) is in the matrices alone, whose weights are 0 where
// the picture is not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "picture/picture.hpp"
#include "takt/model.hpp"

namespace takt::cuda {

// Sizes for a form and an output, in samples. Chroma is 0 where every sample is a pixel.
struct PicturePlan {
  PictureFormat format = PictureFormat::none;
  std::uint32_t width = 0, height = 0;          // of the form
  std::uint32_t out_width = 0, out_height = 0;  // of the network's input
  std::uint32_t chroma_width = 0, chroma_height = 0;

  [[nodiscard]] static PicturePlan of(const Form& form, const Normalise& to) noexcept;

  [[nodiscard]] std::size_t row_bytes() const noexcept;  // of every plane, packed
  [[nodiscard]] std::size_t rows() const noexcept;       // of all planes
  [[nodiscard]] std::size_t bytes() const noexcept { return row_bytes() * rows(); }
  // Floats of the matrices, one behind the other, row-major: rows x height, rows x chroma height, columns x width,
  // columns x chroma width.
  [[nodiscard]] std::size_t taps() const noexcept {
    return std::size_t{out_height} * (height + chroma_height) + std::size_t{out_width} * (width + chroma_width);
  }
};

// What the matrices depend on besides the form.
struct PictureGeometry {
  std::uint32_t width = 0, height = 0, crop_x = 0, crop_y = 0, crop_width = 0, crop_height = 0;
  friend bool operator==(const PictureGeometry&, const PictureGeometry&) = default;
};
[[nodiscard]] PictureGeometry geometry_of(const models::Picture& picture) noexcept;

// Writes plan.taps() floats. The geometry is one that check_picture() passed and lies in the form.
void fill_taps(const PicturePlan& plan, const PictureGeometry& geometry, std::span<float> taps);

}  // namespace takt::cuda
