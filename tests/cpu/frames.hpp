// Pictures in memory for tests: bytes and their description.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "takt/driver.hpp"
#include "takt/tensor.hpp"

namespace takt::test {

// Bytes of a row of the first plane.
inline std::size_t row_bytes(PictureFormat format, std::uint32_t width) {
  return format == PictureFormat::rgb    ? 3 * std::size_t{width}
         : format == PictureFormat::yuyv ? 2 * std::size_t{width}
                                         : width;
}

struct Frame {
  PictureFormat format;
  std::uint32_t width, height;
  std::size_t stride;
  std::vector<std::uint8_t> bytes;
  TensorDesc desc;

  Frame(PictureFormat f, std::uint32_t w, std::uint32_t h, std::size_t padding = 0)
      : format(f), width(w), height(h), stride(row_bytes(f, w) + padding) {
    bytes.resize(stride * (h + (f == PictureFormat::nv12 ? h / 2 : 0)));
    desc.format = f;
    desc.rank = 2;
    desc.dims = {h, w};
    desc.strides[0] = padding == 0 ? 0 : static_cast<std::uint32_t>(stride);
    desc.bytes = bytes.size();
  }

  void fill_random(std::mt19937& random) {
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  }
  [[nodiscard]] TensorView view() const { return {&desc, reinterpret_cast<const std::byte*>(bytes.data())}; }
};

}  // namespace takt::test
