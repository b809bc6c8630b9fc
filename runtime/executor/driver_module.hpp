// One driver module: found by name, loaded, its contract checked.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "takt/driver.hpp"
#include "takt/result.hpp"

namespace takt::executor {

// Loads takt-driver-NAME.so from `directory`; if that is empty, from beside the program, then from ../lib and
// ../lib/takt. A module once loaded stays: neither libtorch nor CUDA can be unloaded. Main thread, once in a process.
[[nodiscard]] Parsed<std::unique_ptr<Driver>> load_driver(const std::string& name,
                                                          const std::filesystem::path& directory);

}  // namespace takt::executor
