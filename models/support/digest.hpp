// SHA-256 of files and bytes, as model.xml names it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "takt/result.hpp"

namespace takt::models {

// 64 lower-case hexadecimal digits; Code::internal if the crypto library refuses.
[[nodiscard]] Result<std::string> sha256(std::span<const std::byte> bytes);
// Reads the whole file; blocks.
[[nodiscard]] Result<std::string> sha256_of_file(const std::filesystem::path& path);

}  // namespace takt::models
