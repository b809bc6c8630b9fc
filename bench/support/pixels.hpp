// Writing a frame as a camera would and reading every byte of it as a network would, at memory speed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace takt::bench {

inline void write_pixels(void* data, std::size_t bytes, std::uint64_t frame) noexcept {
  std::memset(data, static_cast<int>(frame & 0xff), bytes);
}

inline void read_pixels(const void* data, std::size_t bytes) noexcept {
  std::uint64_t sum = 0, word = 0;
  for (std::size_t i = 0; i + sizeof word <= bytes; i += sizeof word) {
    std::memcpy(&word, static_cast<const std::byte*>(data) + i, sizeof word);
    sum += word;
  }
  asm volatile("" : : "r"(sum));
}

}  // namespace takt::bench
