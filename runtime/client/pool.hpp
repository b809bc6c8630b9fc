// A buffer pool: one memfd that the library has mapped and the broker knows by a number.
#pragma once

#include <cstddef>
#include <cstdint>

#include "client/socket.hpp"

namespace takt::lib {

class Pool {
 public:
  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();

  // Takes over and maps what the broker sent: a memfd of at least `bytes` that nobody can shrink. Frame pools are
  // mapped read-write, result pools read-only. Touches every page. Null, or why it cannot be used (static text).
  [[nodiscard]] const char* adopt(Descriptor memory, std::uint64_t bytes, wire::PoolKind kind) noexcept;

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] int descriptor() const noexcept { return memory_.get(); }

  std::uint32_t id = 0;     // the broker's number
  std::uint32_t epoch = 0;  // connection in which it was given; 0: the broker does not know it
  std::uint32_t users = 0;  // frames whose result lies here

 private:
  Descriptor memory_;
  std::byte* data_ = nullptr;
  std::uint64_t bytes_ = 0;
};

}  // namespace takt::lib
