// Checks of what arrives in packets: a message is copied out first, then judged; nothing here allocates, blocks or
// trusts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "takt/model.hpp"
#include "takt/result.hpp"
#include "takt/tensor.hpp"
#include "wire/protocol.hpp"

namespace takt::wire {

inline constexpr std::int64_t kMaxPeriodNs = 3'600'000'000'000;
inline constexpr std::uint32_t kMaxQueueDepth = 1024;
inline constexpr std::uint64_t kMaxPoolBytes = std::uint64_t{1} << 40;

// Framing of any message: long enough, our magic, `bytes` is what arrived, a known operation, our major number (hello
// has a range of its own instead, which decode checks). Errors: corrupt, unsupported.
[[nodiscard]] Result<Op> check_header(std::span<const std::byte> packet) noexcept;

// A whole fixed-size message: framing, that T belongs to the operation, exact size, reserved fields zero, names
// zero-terminated and free of control characters, enumerations and numbers in range. Defined for every message of
// protocol.hpp but Submit. Errors: those of check_header(), invalid_argument.
template <class T>
[[nodiscard]] Result<T> decode(std::span<const std::byte> packet) noexcept;

struct SubmitView {
  Submit submit;
  std::span<const TensorDesc> inputs;  // in the storage that was given
};
// A frame and its 1 .. kMaxTensors descriptors, copied into `storage`. The descriptors themselves are judged by
// check_tensor() once their pool is known; the deadline by check_deadline().
[[nodiscard]] Result<SubmitView> decode_submit(std::span<const std::byte> packet,
                                               std::array<TensorDesc, kMaxTensors>& storage) noexcept;

// 0 (the stream's own) and past deadlines are fine; over kMaxDeadlineAheadNs from `now_ns` or negative is refused.
// `now_ns` is CLOCK_MONOTONIC, so never negative.
[[nodiscard]] Result<void> check_deadline(std::int64_t deadline_ns, std::int64_t now_ns) noexcept;

// Whether a descriptor is consistent with itself and lies in a pool of `pool_bytes`: known type and format, 1 ..
// kMaxRank dimensions of at least 1, strides that are 0 altogether or multiples of the element, offset aligned to the
// element, `bytes` at least the extent of what is described, crop inside the picture. Afterwards every element that the
// descriptor can name lies in [offset, offset + bytes) and that in the pool.
[[nodiscard]] Result<void> check_tensor(const TensorDesc& desc, std::uint64_t pool_bytes) noexcept;

// Bytes from the first to the last element of a descriptor that check_tensor() accepted.
[[nodiscard]] std::uint64_t extent_of(const TensorDesc& desc) noexcept;

// Whether a checked descriptor is what the model takes: a tensor of the same type and rank and no larger dimension; a
// picture of the form's format and no larger than it.
[[nodiscard]] Result<void> check_against_spec(const TensorDesc& desc, const TensorSpec& spec) noexcept;
[[nodiscard]] Result<void> check_against_form(const TensorDesc& desc, const Form& form) noexcept;

// The text of a zero-terminated array, all of it if there is no zero; valid as long as the array.
template <std::size_t N>
[[nodiscard]] constexpr std::string_view text_of(const std::array<char, N>& array) noexcept {
  const std::string_view all(array.data(), N);
  return all.substr(0, all.find('\0'));
}
// Copies what fits and ends it with a zero.
template <std::size_t N>
constexpr void set_text(std::array<char, N>& array, std::string_view text) noexcept {
  array = {};
  for (std::size_t i = 0; i + 1 < N && i < text.size(); ++i) array[i] = text[i];
}

}  // namespace takt::wire
