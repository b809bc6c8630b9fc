// Whole files in and out: bounded reading, writing that a crash cannot leave half done, and names of files in parts.
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

// What does not fit one file lies in several: NAME-1-of-3.EXT to NAME-3-of-3.EXT, known by the first of them.
// `part` counts from 1; with one part it is `whole` itself.
[[nodiscard]] std::filesystem::path part_name(const std::filesystem::path& whole, std::size_t part, std::size_t parts);

// The files that `first` stands for, in order: itself, or all parts where it is named as the first of at most 1,000.
// Looks at the name only. Code::invalid_argument if it is named as a later part.
[[nodiscard]] Result<std::vector<std::filesystem::path>> part_names(const std::filesystem::path& first);

// Reads them all; blocks. Errors as read_file's, and Code::not_found where a part is missing beside the first.
[[nodiscard]] Result<std::vector<std::vector<std::byte>>> read_parts(const std::filesystem::path& first);

}  // namespace takt::models
