// What the validations of the two protocols share. For their source files only.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace takt::wire {

using Fault = const char*;  // static text of what is wrong; null: nothing

inline constexpr Fault kBadNumber = "a number is out of range";
inline constexpr Fault kBadReserved = "reserved fields must be zero";

// Texts between our own programs may have several lines.
template <std::size_t N>
[[nodiscard]] bool terminated(const std::array<char, N>& text) noexcept {
  return std::memchr(text.data(), 0, N) != nullptr;
}
template <std::size_t N>
[[nodiscard]] bool zero(const std::array<std::uint8_t, N>& reserved) noexcept {
  return std::all_of(reserved.begin(), reserved.end(), [](std::uint8_t b) { return b == 0; });
}

}  // namespace takt::wire
