// What libbench-probe.so (LD_PRELOAD) tells of the process it sits in: a file that both map.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace takt::bench {

// The environment variable with the folder where every probed process makes its file, named PROGRAM.PID.
inline constexpr const char* kProbeFolder = "TAKT_BENCH_PROBE";

struct ProbePage {
  static constexpr std::size_t kWakes = 4096;

  std::atomic<std::uint64_t> allocations{0};  // calls of malloc, calloc, realloc and the aligned ones
  std::atomic<std::uint64_t> frees{0};
  std::atomic<std::uint64_t> wakes{0};                      // futex wakes begun; the last kWakes of them below
  std::array<std::atomic<std::int64_t>, kWakes> wake_ns{};  // CLOCK_MONOTONIC just before the system call
};

}  // namespace takt::bench
