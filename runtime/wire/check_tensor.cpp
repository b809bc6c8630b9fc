// Validation of tensor descriptors: against themselves, their pool, and what a model takes.
#include <algorithm>

#include "wire/decode.hpp"

namespace takt::wire {
namespace {

using Fault = const char*;  // static text of what is wrong; null: nothing

Result<void> checked(Fault fault) noexcept {
  if (fault != nullptr) return fail(Code::invalid_argument, fault);
  return {};
}

bool packed(const TensorDesc& d) noexcept {
  return std::all_of(d.strides.begin(), d.strides.end(), [](std::uint32_t s) { return s == 0; });
}

// Bytes of one row of the first plane.
constexpr std::uint64_t row_bytes(PictureFormat format, std::uint32_t width) noexcept {
  const std::uint64_t w = width;
  return format == PictureFormat::rgb ? w * 3 : format == PictureFormat::yuyv ? w * 2 : w;
}

// Rows of all planes; the chroma plane of NV12 has half as many, each as long as those of the first.
constexpr std::uint64_t rows_of(PictureFormat format, std::uint32_t height) noexcept {
  return format == PictureFormat::nv12 ? std::uint64_t{height} + height / 2 : height;
}

bool extent_of_picture(const TensorDesc& d, std::uint64_t& extent) noexcept {
  const std::uint64_t row = row_bytes(d.format, d.dims[1]);
  const std::uint64_t stride = d.strides[0] == 0 ? row : d.strides[0];
  extent = (rows_of(d.format, d.dims[0]) - 1) * stride + row;
  return true;  // both factors are far under 2^32
}

// False on overflow.
bool extent_of_tensor(const TensorDesc& d, std::uint64_t& extent) noexcept {
  extent = bytes_of(d.dtype);
  const bool is_packed = packed(d);
  for (std::size_t i = 0; i < d.rank; ++i) {
    std::uint64_t step = 0;
    if (is_packed) {
      if (__builtin_mul_overflow(extent, std::uint64_t{d.dims[i]}, &extent)) return false;
    } else if (__builtin_mul_overflow(std::uint64_t{d.dims[i]} - 1, std::uint64_t{d.strides[i]}, &step) ||
               __builtin_add_overflow(extent, step, &extent)) {
      return false;
    }
  }
  return true;
}

Fault judge_crop(const TensorDesc& d) noexcept {
  const auto [x, y, width, height] = d.crop;
  if (x == 0 && y == 0 && width == 0 && height == 0) return nullptr;
  const bool inside = std::uint64_t{x} + width <= d.dims[1] && std::uint64_t{y} + height <= d.dims[0];
  return inside && width > 0 && height > 0 ? nullptr : "the crop is empty or leaves the picture";
}

Fault judge_picture(const TensorDesc& d) noexcept {
  if (d.dtype != DType::u8 || d.rank != 2) return "a picture must be u8 with dimensions height and width";
  if (d.dims[0] > kMaxPictureHeight || d.dims[1] > kMaxPictureWidth) return "the picture is over 4096 x 4096";
  if (picture_bytes(d.format, d.dims[1], d.dims[0]) == 0) return "the picture's format needs even sizes";
  if (d.strides[1] != 0) return "a picture has no stride within a row";
  if (d.strides[0] != 0 && d.strides[0] < row_bytes(d.format, d.dims[1])) return "the stride is shorter than a row";
  return judge_crop(d);
}

Fault judge_tensor(const TensorDesc& d) noexcept {
  if (d.crop != decltype(d.crop){}) return "only pictures are cropped";
  const std::uint64_t element = bytes_of(d.dtype);
  if (d.offset % element != 0) return "the tensor's offset is not a multiple of its element";
  if (packed(d)) return nullptr;
  for (std::size_t i = 0; i < d.rank; ++i) {
    if (d.strides[i] % element != 0) return "a stride is not a multiple of the element";
    if (d.strides[i] == 0 && d.dims[i] > 1) return "strides must be all zero or all set";
  }
  return nullptr;
}

Fault judge(const TensorDesc& d) noexcept {
  if (bytes_of(d.dtype) == 0 || d.format > PictureFormat::gray) return "no such element type or picture format";
  if (d.reserved != 0) return "reserved fields must be zero";
  if (d.rank == 0 || d.rank > kMaxRank) return "the rank is not from 1 to 6";
  for (std::size_t i = 0; i < kMaxRank; ++i) {
    if (i < d.rank && d.dims[i] == 0) return "a dimension is 0";
    if (i >= d.rank && (d.dims[i] != 0 || d.strides[i] != 0)) return "dimensions and strides beyond the rank must be 0";
  }
  return d.format == PictureFormat::none ? judge_tensor(d) : judge_picture(d);
}

}  // namespace

Result<void> check_tensor(const TensorDesc& desc, std::uint64_t pool_bytes) noexcept {
  if (const Fault fault = judge(desc)) return checked(fault);
  if (desc.offset > pool_bytes || desc.bytes > pool_bytes - desc.offset)
    return checked("the tensor leaves its buffer pool");
  std::uint64_t extent = 0;
  const bool fits =
      desc.format == PictureFormat::none ? extent_of_tensor(desc, extent) : extent_of_picture(desc, extent);
  return checked(fits && extent <= desc.bytes ? nullptr
                                              : "the tensor has fewer bytes than its dimensions and strides need");
}

std::uint64_t extent_of(const TensorDesc& desc) noexcept {
  std::uint64_t extent = 0;
  if (desc.format == PictureFormat::none)
    (void)extent_of_tensor(desc, extent);
  else
    (void)extent_of_picture(desc, extent);
  return extent;
}

Result<void> check_against_spec(const TensorDesc& desc, const TensorSpec& spec) noexcept {
  if (desc.format != PictureFormat::none) return checked("the model takes a tensor here, not a picture");
  if (desc.dtype != spec.dtype) return checked("the tensor's element type is not the model's");
  if (desc.rank != spec.dims.size()) return checked("the tensor's rank is not the model's");
  for (std::size_t i = 0; i < spec.dims.size(); ++i)
    if (desc.dims[i] > spec.dims[i]) return checked("a dimension is larger than the model's");
  return {};
}

Result<void> check_against_form(const TensorDesc& desc, const Form& form) noexcept {
  if (desc.format != form.format) return checked("the picture's format is not the stream's");
  if (desc.dims[1] > form.width || desc.dims[0] > form.height)
    return checked("the picture is larger than the stream's form");
  return {};
}

}  // namespace takt::wire
