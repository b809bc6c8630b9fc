// Reader and writer of safetensors files (github.com/huggingface/safetensors): 8 bytes of header length, a JSON header,
// then the bytes of the tensors. Strict: what the format does not allow is refused, so files from outside may be read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "takt/result.hpp"

namespace takt::models {

enum class Dtype : uint8_t { boolean, u8, i8, u16, i16, f16, bf16, u32, i32, f32, u64, i64, f64 };

[[nodiscard]] std::string_view to_string(Dtype dtype) noexcept;
[[nodiscard]] std::optional<Dtype> parse_dtype(std::string_view text) noexcept;
[[nodiscard]] std::size_t size_of(Dtype dtype) noexcept;

// `bytes` is little-endian, row-major, borrowed from the file it was found in (or from the caller who writes it), and
// need not be aligned: copy it out with memcpy.
struct StoredTensor {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

using Metadata = std::map<std::string, std::string, std::less<>>;

class SafetensorsFile {
 public:
  // Reads the whole file into memory; blocks. Code::corrupt for whatever breaks the format (Error::vendor is then the
  // offset in the file where that is known), Code::not_found or Code::system with errno for what the system refuses.
  [[nodiscard]] static Result<SafetensorsFile> read(const std::filesystem::path& path);
  [[nodiscard]] static Result<SafetensorsFile> parse(std::vector<std::byte> content);

  // Views point into content_, whose buffer a move keeps and a copy would not.
  SafetensorsFile(SafetensorsFile&&) noexcept = default;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept = default;
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;
  ~SafetensorsFile() = default;

  // In ascending order of name; valid while this object lives, moves included.
  [[nodiscard]] std::span<const StoredTensor> tensors() const noexcept { return tensors_; }
  // Null where there is none of that name.
  [[nodiscard]] const StoredTensor* find(std::string_view name) const noexcept;
  [[nodiscard]] const Metadata& metadata() const noexcept { return metadata_; }

 private:
  SafetensorsFile() = default;

  std::vector<std::byte> content_;
  std::vector<StoredTensor> tensors_;
  Metadata metadata_;
};

// Writes beside `path`, syncs and renames, so that a reader sees the old file or the new one whole. Blocks. The same
// tensors and metadata give the same bytes. Refuses what the reader would refuse.
[[nodiscard]] Result<void> write_safetensors(const std::filesystem::path& path, std::vector<StoredTensor> tensors,
                                             const Metadata& metadata);

}  // namespace takt::models
