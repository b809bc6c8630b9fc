// A lock on a file that ends with the process: two executors for one device cannot be.
#pragma once

#include <string>

#include "live/file_descriptor.hpp"
#include "takt/result.hpp"

namespace takt::live {

// Makes the file if needed and locks it for as long as the descriptor lives. Never waits: already_exists if another
// process has it. The file stays behind; only the lock counts.
[[nodiscard]] Result<FileDescriptor> lock_file(const std::string& path);

}  // namespace takt::live
