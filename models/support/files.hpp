// Whole files in and out: bounded reading, and writing that a crash cannot leave half done.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

#include "takt/result.hpp"

namespace takt::models {

// Reads a regular file of at most 4 GiB; blocks. Code::not_found or Code::system with errno in `vendor`.
[[nodiscard]] Result<std::vector<std::byte>> read_file(const std::filesystem::path& path);

// Writes the pieces one after the other to a temporary file in the same folder, syncs it and renames it to `path`;
// blocks. A reader sees the old file or the new one, whole. Code::system with errno in `vendor`.
[[nodiscard]] Result<void> write_file_atomically(const std::filesystem::path& path,
                                                 std::span<const std::span<const std::byte>> pieces);

}  // namespace takt::models
