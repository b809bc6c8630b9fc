// Sealed memory shared between processes: making it, checking what a peer made, mapping it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "live/file_descriptor.hpp"
#include "takt/result.hpp"

namespace takt::live {

// A memfd of exactly `bytes` zeroes whose size nobody can change any more (seals SHRINK, GROW, SEAL). `name` is for
// /proc only. Any thread; system calls. Fails with no_memory, no_capacity (descriptors), invalid_argument (0 bytes).
[[nodiscard]] Result<FileDescriptor> make_memory(const char* name, std::uint64_t bytes);

// Size of a memfd that a peer made, once it is certain that it cannot shrink under our mapping: sealed SHRINK and GROW,
// not on hugetlbfs. Everything else is `unsupported`. Any thread; system calls.
[[nodiscard]] Result<std::uint64_t> check_memory(int fd);

enum class Access { read_only, read_write };
// eager: pages are mapped now, so that the first touch later costs no fault (where a page does not exist yet it is
// made).
enum class Populate { lazy, eager };

// A shared mapping of the first `bytes` of a descriptor. Move-only; unmapped by the destructor. The descriptor is not
// needed afterwards.
class Mapping {
 public:
  Mapping() = default;
  // Fails with no_memory, no_permission, or invalid_argument if the descriptor is shorter than `bytes` or `bytes` is 0.
  [[nodiscard]] static Result<Mapping> map(int fd, std::uint64_t bytes, Access access,
                                           Populate populate = Populate::lazy);
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return bytes_; }
  [[nodiscard]] std::span<std::byte> span() const noexcept { return {data_, static_cast<std::size_t>(bytes_)}; }
  [[nodiscard]] bool valid() const noexcept { return data_ != nullptr; }
  // The mapping as a T at its start; null if it is too small.
  template <class T>
  [[nodiscard]] T* as() const noexcept {
    return sizeof(T) <= bytes_ ? reinterpret_cast<T*>(data_) : nullptr;
  }

 private:
  Mapping(std::byte* data, std::uint64_t bytes) noexcept : data_(data), bytes_(bytes) {}
  std::byte* data_ = nullptr;
  std::uint64_t bytes_ = 0;
};

}  // namespace takt::live
