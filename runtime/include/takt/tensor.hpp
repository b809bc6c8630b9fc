// Tensors and pictures as they cross process borders: plain structs, no pointers.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

namespace takt {

inline constexpr std::size_t kMaxTensors = 8;  // inputs or outputs of one model
inline constexpr std::size_t kMaxRank = 6;
inline constexpr std::uint32_t kMaxPictureWidth = 4096;
inline constexpr std::uint32_t kMaxPictureHeight = 4096;

enum class DType : std::uint8_t { u8 = 1, i8, i16, i32, i64, f16, bf16, f32, f64 };
enum class PictureFormat : std::uint8_t { none = 0, rgb = 1, nv12, yuyv, gray };

[[nodiscard]] constexpr std::uint64_t bytes_of(DType type) noexcept {
  switch (type) {
    case DType::u8:
    case DType::i8: return 1;
    case DType::i16:
    case DType::f16:
    case DType::bf16: return 2;
    case DType::i32:
    case DType::f32: return 4;
    case DType::i64:
    case DType::f64: return 8;
  }
  return 0;
}

// Bytes of a tightly packed picture; 0 for `none` and for odd sizes of the subsampled formats.
// RGB: 3 interleaved bytes a pixel. NV12: Y plane, then interleaved UV at half resolution. YUYV: 4 bytes for 2 pixels.
[[nodiscard]] constexpr std::uint64_t picture_bytes(PictureFormat format, std::uint32_t width, std::uint32_t height) noexcept {
  const std::uint64_t pixels = std::uint64_t{width} * height;
  switch (format) {
    case PictureFormat::none: return 0;
    case PictureFormat::rgb: return pixels * 3;
    case PictureFormat::gray: return pixels;
    case PictureFormat::yuyv: return width % 2 == 0 ? pixels * 2 : 0;
    case PictureFormat::nv12: return width % 2 == 0 && height % 2 == 0 ? pixels * 3 / 2 : 0;
  }
  return 0;
}

// One tensor or picture in a buffer pool. Pictures: dtype u8, rank 2, dims {height, width}, stride[0] = bytes a row of the
// first plane (0: packed). Tensors: strides in bytes, all 0 means packed row-major.
struct TensorDesc {
  DType dtype = DType::u8;
  PictureFormat format = PictureFormat::none;
  std::uint8_t rank = 0;
  std::uint8_t reserved = 0;
  std::uint32_t pool = 0;     // the session's pool that holds it
  std::uint64_t offset = 0;   // bytes from the pool's start
  std::uint64_t bytes = 0;    // extent in the pool
  std::array<std::uint32_t, kMaxRank> dims{};
  std::array<std::uint32_t, kMaxRank> strides{};
  std::array<std::uint32_t, 4> crop{};  // x, y, width, height of the part to look at; all 0: the largest centred square
};
static_assert(std::is_trivially_copyable_v<TensorDesc> && sizeof(TensorDesc) == 88);

// What a model writes at the start of a job's result area; tensor data follow at the given offsets (from the area's start).
struct ResultHeader {
  std::uint32_t count = 0;
  std::uint32_t reserved = 0;
  std::array<TensorDesc, kMaxTensors> tensors{};
};

inline constexpr std::uint64_t kResultAlignment = 64;
[[nodiscard]] constexpr std::uint64_t align_result(std::uint64_t bytes) noexcept {
  return (bytes + kResultAlignment - 1) / kResultAlignment * kResultAlignment;
}

}  // namespace takt
