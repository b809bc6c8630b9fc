// Random frames.
#include "executor/sample_data.hpp"

#include <bit>
#include <cstring>

namespace takt::executor {
namespace {

// The bit patterns have the exponent of [0.5, 1) and a random fraction, so no type has NaNs, denormals or infinities.
std::uint64_t element(DType type, std::uint64_t random) {
  switch (type) {
    case DType::f16: return 0x3800 | (random & 0x3ff);
    case DType::bf16: return 0x3f00 | (random & 0x7f);
    case DType::f32: return 0x3f00'0000 | (random & 0x7f'ffff);
    case DType::f64: return 0x3fe0'0000'0000'0000 | (random & 0xf'ffff'ffff'ffff);
    case DType::u8:
    case DType::i8: return random & 0xff;
    case DType::i16:
    case DType::i32:
    case DType::i64: return random % 100;
  }
  return 0;
}

TensorDesc picture(const Form& form) {
  TensorDesc desc;
  desc.format = form.format;
  desc.rank = 2;
  desc.dims = {form.height, form.width};
  desc.bytes = picture_bytes(form.format, form.width, form.height);
  return desc;
}

TensorDesc tensor(const TensorSpec& spec) {
  TensorDesc desc;
  desc.dtype = spec.dtype;
  desc.rank = static_cast<std::uint8_t>(spec.dims.size());
  desc.bytes = bytes_of(spec.dtype);
  for (std::size_t d = 0; d < spec.dims.size(); ++d) {
    desc.dims[d] = spec.dims[d];
    desc.bytes *= spec.dims[d];
  }
  return desc;
}

}  // namespace

Result<Areas> Areas::make(std::size_t count, std::uint64_t bytes_each) {
  Areas areas;
  areas.bytes_ = bytes_each;
  areas.stride_ = align_result(std::max<std::uint64_t>(bytes_each, 1));
  const std::uint64_t all = count * areas.stride_;
  const Result<live::FileDescriptor> fd = live::make_memory("takt-profile", all);
  if (!fd) return tl::unexpected(fd.error());
  Result<live::Mapping> memory = live::Mapping::map(fd->get(), all, live::Access::read_write, live::Populate::eager);
  if (!memory) return tl::unexpected(memory.error());
  areas.memory_ = std::move(*memory);
  return areas;
}

std::vector<TensorDesc> frame_descriptors(const Model& model, const Form* form) {
  std::vector<TensorDesc> inputs;
  std::uint64_t offset = 0;
  for (const TensorSpec& spec : model.inputs) {
    inputs.push_back(form != nullptr && inputs.empty() ? picture(*form) : tensor(spec));
    inputs.back().offset = offset;
    offset += align_result(inputs.back().bytes);
  }
  return inputs;
}

std::uint64_t frame_bytes(std::span<const TensorDesc> inputs) {
  return inputs.empty() ? 0 : inputs.back().offset + inputs.back().bytes;
}

void fill_frame(std::span<const TensorDesc> inputs, std::span<std::byte> frame, std::mt19937_64& random) {
  static_assert(std::endian::native == std::endian::little);
  for (const TensorDesc& desc : inputs) {
    const std::size_t size = bytes_of(desc.dtype);
    for (std::size_t at = 0; at + size <= desc.bytes; at += size) {
      const std::uint64_t value = element(desc.dtype, random());
      std::memcpy(frame.data() + desc.offset + at, &value, size);
    }
  }
}

}  // namespace takt::executor
