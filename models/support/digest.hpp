// SHA-256 of files and bytes, as model.xml names it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "takt/result.hpp"

namespace takt::models {

// 64 lower-case hexadecimal digits; Code::internal if the crypto library refuses.
[[nodiscard]] Result<std::string> sha256(std::span<const std::byte> bytes);
// The same of several pieces one after the other, as if they were one.
[[nodiscard]] Result<std::string> sha256_of(std::span<const std::vector<std::byte>> pieces);
// Reads the whole file, or all parts of the one named NAME-1-of-N; blocks.
[[nodiscard]] Result<std::string> sha256_of_file(const std::filesystem::path& path);

}  // namespace takt::models
