// Shapes and the room they need.
#include "client/tensors.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>

#include "wire/decode.hpp"

namespace takt::lib {

takt_tensor to_c(const TensorDesc& desc) noexcept {
  takt_tensor tensor{};
  tensor.dtype = static_cast<takt_dtype>(desc.dtype);
  tensor.picture = static_cast<takt_picture>(desc.format);
  tensor.rank = desc.rank;
  std::copy(desc.dims.begin(), desc.dims.end(), tensor.dims);
  std::copy(desc.strides.begin(), desc.strides.end(), tensor.strides);
  std::copy(desc.crop.begin(), desc.crop.end(), tensor.crop);
  return tensor;
}

std::optional<TensorDesc> to_wire(const takt_tensor& tensor) noexcept {
  const unsigned dtype = number_of(tensor.dtype), format = number_of(tensor.picture);
  if (dtype < TAKT_U8 || dtype > TAKT_F64 || format > TAKT_GRAY || tensor.rank > kMaxRank) return {};
  TensorDesc desc;
  desc.dtype = static_cast<DType>(dtype);
  desc.format = static_cast<PictureFormat>(format);
  desc.rank = static_cast<std::uint8_t>(tensor.rank);
  std::copy(std::begin(tensor.dims), std::end(tensor.dims), desc.dims.begin());
  std::copy(std::begin(tensor.strides), std::end(tensor.strides), desc.strides.begin());
  std::copy(std::begin(tensor.crop), std::end(tensor.crop), desc.crop.begin());
  return desc;
}

std::optional<std::uint64_t> packed_bytes(const wire::WireTensorSpec& spec) noexcept {
  if (spec.rank == 0) return 0;
  std::uint64_t bytes = bytes_of(spec.dtype);
  for (std::size_t i = 0; i < spec.rank && i < kMaxRank; ++i) {
    if (spec.dims[i] != 0 && bytes > kMaxBytes / spec.dims[i]) return {};
    bytes *= spec.dims[i];
  }
  return bytes;
}

TensorDesc packed(const wire::WireTensorSpec& spec) noexcept {
  TensorDesc desc;
  desc.dtype = spec.dtype;
  desc.rank = spec.rank;
  desc.dims = spec.dims;
  return desc;
}

TensorDesc picture(PictureFormat format, std::uint32_t width, std::uint32_t height) noexcept {
  TensorDesc desc;
  desc.format = format;
  desc.rank = 2;
  desc.dims[0] = height;
  desc.dims[1] = width;
  return desc;
}

std::int32_t covering_form(const wire::ModelInfo& model, PictureFormat format, std::uint32_t width,
                           std::uint32_t height) noexcept {
  std::int32_t best = -1;
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  for (std::uint32_t i = 0; i < std::min<std::uint32_t>(model.forms, wire::kMaxForms); ++i) {
    const wire::WireForm& form = model.form[i];
    const std::uint64_t pixels = std::uint64_t{form.width} * form.height;
    if (form.format != format || form.width < width || form.height < height || pixels >= least) continue;
    best = static_cast<std::int32_t>(i);
    least = pixels;
  }
  return best;
}

Result<TensorDesc> output_of(std::span<const std::byte> area, std::uint32_t index) noexcept {
  if (area.size() < sizeof(ResultHeader)) return fail(Code::corrupt, "the result area is too small for a result");
  std::uint32_t count = 0;
  std::memcpy(&count, area.data() + offsetof(ResultHeader, count), sizeof(count));
  if (count > kMaxTensors) return fail(Code::corrupt, "the result has more outputs than any model");
  if (index >= count) return fail(Code::not_found, "the result has no such output");
  TensorDesc desc;
  std::memcpy(&desc, area.data() + offsetof(ResultHeader, tensors) + index * sizeof(TensorDesc), sizeof(desc));
  // A result may be empty in one dimension: no boxes were found.
  const bool sound = desc.rank <= kMaxRank && bytes_of(desc.dtype) != 0;
  if (sound && std::find(desc.dims.begin(), desc.dims.begin() + desc.rank, 0U) != desc.dims.begin() + desc.rank) {
    desc.offset = desc.bytes = 0;
    return desc;
  }
  if (!wire::check_tensor(desc, area.size())) return fail(Code::corrupt, "the result points outside of its memory");
  desc.bytes = wire::extent_of(desc);
  return desc;
}

}  // namespace takt::lib
