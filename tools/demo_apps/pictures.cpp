// Reads the sample file and draws its pictures in the formats that streams use.
#include "pictures.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>

namespace demo {
namespace {

constexpr std::uint8_t kGrey = 128;  // of luma and of both chroma planes
constexpr std::size_t kPlane = kSide * kSide;

struct Yuv {
  std::array<std::uint8_t, kPlane> y, u, v;
};

// BT.601 in 8-bit fixed point.
Yuv to_yuv(std::span<const std::uint8_t> pixels) noexcept {
  Yuv yuv;
  for (std::size_t i = 0; i < kPlane; ++i) {
    const int r = pixels[i], g = pixels[kPlane + i], b = pixels[2 * kPlane + i];
    yuv.y[i] = static_cast<std::uint8_t>(16 + (66 * r + 129 * g + 25 * b + 128) / 256);
    yuv.u[i] = static_cast<std::uint8_t>((128 * 256 - 38 * r - 74 * g + 112 * b + 128) / 256);
    yuv.v[i] = static_cast<std::uint8_t>((128 * 256 + 112 * r - 94 * g - 18 * b + 128) / 256);
  }
  return yuv;
}

// Fills a plane of `rows` rows of `row_bytes` bytes: grey, with a square of `side` positions of `step` bytes in the
// middle. `put` writes the values of pixel (x, y) of the sample at a position. Equal rows are drawn once and then
// copied.
template <class Put>
void draw_plane(std::uint8_t* plane, std::size_t row_bytes, std::size_t rows, std::size_t step, Put put) noexcept {
  const std::size_t side = rows;
  const std::size_t left = (row_bytes / step - side) / 2;
  std::size_t drawn_from = kSide;  // the sample's row in the plane's previous row; none yet
  for (std::size_t row = 0; row < rows; ++row) {
    std::uint8_t* line = plane + row * row_bytes;
    const std::size_t y = row * kSide / side;
    if (y == drawn_from) {
      std::memcpy(line, line - row_bytes, row_bytes);
      continue;
    }
    std::memset(line, kGrey, row_bytes);
    for (std::size_t x = 0; x < side; ++x) put(line + (left + x) * step, y * kSide + x * kSide / side);
    drawn_from = y;
  }
}

void draw_nv12(std::span<const std::uint8_t> pixels, std::uint32_t width, std::uint32_t height,
               std::uint8_t* out) noexcept {
  const Yuv yuv = to_yuv(pixels);
  draw_plane(out, width, height, 1, [&](std::uint8_t* at, std::size_t i) { *at = yuv.y[i]; });
  draw_plane(out + std::size_t{width} * height, width, height / 2, 2, [&](std::uint8_t* at, std::size_t i) {
    at[0] = yuv.u[i];
    at[1] = yuv.v[i];
  });
}

void draw_rgb(std::span<const std::uint8_t> pixels, std::uint8_t* out) noexcept {
  for (std::size_t i = 0; i < kPlane; ++i)
    for (std::size_t channel = 0; channel < 3; ++channel) out[i * 3 + channel] = pixels[channel * kPlane + i];
}

}  // namespace

SampleFile SampleFile::read(const std::string& path, std::string& error) {
  SampleFile sample;
  std::ifstream file(path, std::ios::binary);
  sample.data_.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  if (sample.data_.empty() || sample.data_.size() % kRecord != 0) {
    error = path + " is not a file of CIFAR-100 records";
    sample.data_.clear();
  }
  return sample;
}

bool can_draw(takt_picture picture, std::uint32_t width, std::uint32_t height) noexcept {
  if (picture == TAKT_RGB) return width == kSide && height == kSide;
  return picture == TAKT_NV12 && width % 2 == 0 && height % 2 == 0 && width >= height && height >= 2 * kSide;
}

std::size_t picture_bytes(takt_picture picture, std::uint32_t width, std::uint32_t height) noexcept {
  const std::size_t pixels = std::size_t{width} * height;
  return picture == TAKT_RGB ? pixels * 3 : pixels * 3 / 2;
}

void draw(std::span<const std::uint8_t> pixels, takt_picture picture, std::uint32_t width, std::uint32_t height,
          std::span<std::uint8_t> out) noexcept {
  if (picture == TAKT_RGB) {
    draw_rgb(pixels, out.data());
  } else {
    draw_nv12(pixels, width, height, out.data());
  }
}

}  // namespace demo
