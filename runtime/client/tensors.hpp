// Shapes: between the C structs and the wire, the room that a model's tensors need, and checks of what results claim.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "takt/result.hpp"
#include "takt/takt.h"
#include "takt/tensor.hpp"
#include "wire/protocol.hpp"

namespace takt::lib {

// The number in an enumeration that came from C, where it may be any.
template <class Enumeration>
[[nodiscard]] unsigned number_of(const Enumeration& value) noexcept {
  static_assert(sizeof(Enumeration) == sizeof(unsigned));
  unsigned number = 0;
  std::memcpy(&number, &value, sizeof number);  // looking at it as what it is not would be undefined
  return number;
}

inline constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 40;  // of anything; larger is nonsense

[[nodiscard]] takt_tensor to_c(const TensorDesc& desc) noexcept;
// Nothing if a number does not fit the wire.
[[nodiscard]] std::optional<TensorDesc> to_wire(const takt_tensor& tensor) noexcept;

// Bytes of a packed tensor of the largest shape; 0 for inputs given by forms, nothing if it is over kMaxBytes.
[[nodiscard]] std::optional<std::uint64_t> packed_bytes(const wire::WireTensorSpec& spec) noexcept;

// The packed descriptor of a declared tensor or of a picture; pool, offset and bytes are left at 0.
[[nodiscard]] TensorDesc packed(const wire::WireTensorSpec& spec) noexcept;
[[nodiscard]] TensorDesc picture(PictureFormat format, std::uint32_t width, std::uint32_t height) noexcept;

// Position of the smallest form that covers such a picture, or -1.
[[nodiscard]] std::int32_t covering_form(const wire::ModelInfo& model, PictureFormat format, std::uint32_t width,
                                         std::uint32_t height) noexcept;

// Output `index` of the result in `area`, which others may be writing: copied out, then checked to lie inside. `bytes`
// is its extent, `offset` counts from the area's start. Errors: not_found, corrupt.
[[nodiscard]] Result<TensorDesc> output_of(std::span<const std::byte> area, std::uint32_t index) noexcept;

}  // namespace takt::lib
