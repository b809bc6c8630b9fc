// Measures what every segment of a model costs on one accelerator and writes the cost profile that the broker plans
// with.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "takt/driver.hpp"
#include "takt/time.hpp"

namespace takt::executor {

struct ProfileOptions {
  std::filesystem::path model;   // its directory
  std::filesystem::path output;  // the profile
  std::string driver_name;
  AcceleratorConfig accelerator;
  int priority = 0;  // SCHED_FIFO of the measuring thread; 0: none
  std::vector<std::uint32_t> batches{1, 2, 4, 8};
  Duration time = std::chrono::seconds(60);   // to aim at; every row gets at least 30 repetitions
  Duration energy = std::chrono::seconds(2);  // beside it for every row, where the driver measures energy; 0: not
};

// Runs every (variant, batch) on a thread set up like a worker, with random frames and real activations; shows progress
// on standard error. Blocks for about `time`, and for `energy` a row. Returns an exit code of sysexits.h.
[[nodiscard]] int run_profile(const ProfileOptions& options, Driver& driver);

// The value that a share `q` of the samples does not exceed (nearest rank). `sorted` is not empty.
[[nodiscard]] Duration quantile(const std::vector<Duration>& sorted, double q);

}  // namespace takt::executor
