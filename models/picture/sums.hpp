// The loops over pixels: weighted sums of rows, then of columns. Apart, so that they can be compiled for speed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "picture/taps.hpp"

namespace takt::models {

// rows[i]: weighted sum over the tap's rows of byte `i` of each row, for i < rows.size(). `first_row` is sample row 0
// at the first byte wanted; `scratch` has rows.size() elements.
void sum_rows(const std::uint8_t* first_row, std::size_t stride, const Tap& tap, std::uint32_t inner,
              std::span<std::uint32_t> rows, std::span<std::uint16_t> scratch) noexcept;

// The weighted sum over samples of `rows`; sample i of the tap is rows[i * step].
[[nodiscard]] std::uint32_t sum_columns(const std::uint32_t* rows, std::size_t step, const Tap& tap,
                                        std::uint32_t inner) noexcept;

}  // namespace takt::models
