// The loops over pixels. Whole rows are added up in 16 bits, which is what makes a vector unit fast here.
#include "picture/sums.hpp"

namespace takt::models {
namespace {

constexpr std::uint32_t kRowsIn16Bits = 256;  // 256 * 255 still fits
constexpr std::uint32_t kRowsAtOnce = 8;

// sum[i] += rows of bytes, `count` of them.
void add_bytes(const std::uint8_t* row, std::size_t stride, std::uint32_t count, std::uint16_t* __restrict sum,
               std::size_t size) noexcept {
  for (; count >= kRowsAtOnce; count -= kRowsAtOnce, row += kRowsAtOnce * stride) {
    for (std::size_t i = 0; i < size; ++i) {
      const std::uint8_t* p = row + i;
      sum[i] = static_cast<std::uint16_t>(sum[i] + p[0] + p[stride] + p[2 * stride] + p[3 * stride] + p[4 * stride] +
                                          p[5 * stride] + p[6 * stride] + p[7 * stride]);
    }
  }
  for (; count > 0; --count, row += stride)
    for (std::size_t i = 0; i < size; ++i) sum[i] = static_cast<std::uint16_t>(sum[i] + row[i]);
}

void add_weighted(const std::uint16_t* sum, std::uint32_t weight, std::uint32_t* __restrict rows,
                  std::size_t size) noexcept {
  for (std::size_t i = 0; i < size; ++i) rows[i] += weight * sum[i];
}

}  // namespace

void sum_rows(const std::uint8_t* first_row, std::size_t stride, const Tap& tap, std::uint32_t inner,
              std::span<std::uint32_t> rows, std::span<std::uint16_t> scratch) noexcept {
  const std::size_t size = rows.size();
  const std::uint8_t* first = first_row + tap.begin * stride;
  const std::uint8_t* last = first + (tap.count - 1) * stride;
  std::uint32_t* __restrict out = rows.data();
  const std::uint32_t first_weight = tap.first, last_weight = tap.last;
  for (std::size_t i = 0; i < size; ++i) out[i] = first_weight * first[i] + last_weight * last[i];
  std::uint32_t left = tap.count > 2 ? tap.count - 2 : 0;
  for (const std::uint8_t* row = first + stride; left > 0;) {
    const std::uint32_t count = left < kRowsIn16Bits ? left : kRowsIn16Bits;
    for (std::size_t i = 0; i < size; ++i) scratch[i] = 0;
    add_bytes(row, stride, count, scratch.data(), size);
    add_weighted(scratch.data(), inner, out, size);
    row += count * stride;
    left -= count;
  }
}

std::uint32_t sum_columns(const std::uint32_t* rows, std::size_t step, const Tap& tap, std::uint32_t inner) noexcept {
  const std::uint32_t* first = rows + tap.begin * step;
  const std::size_t last = tap.count - 1;
  std::uint32_t between = 0;
  for (std::size_t i = 1; i < last; ++i) between += first[i * step];
  return tap.first * first[0] + inner * between + tap.last * first[last * step];
}

}  // namespace takt::models
