// Random numbers of a simulation: functions of what they are for, so that no schedule changes what another job draws.
#pragma once

#include <cstdint>

namespace takt::sim {

// What a number is drawn for.
enum class Salt : std::uint64_t { trigger = 1, jitter = 2, noise = 3, skip = 4, arrivals = 5 };

// SplitMix64's step (Steele, Lea and Flood, OOPSLA 2014); arithmetic is modulo 2^64.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Uniform in [0, 1). `task` is the zero-based position in the file; k tells draws of one job apart: the first layer of
// a segment for noise, the number of a block for skip, else 0.
[[nodiscard]] constexpr double u(std::uint64_t seed, Salt salt, std::uint64_t task, std::uint64_t frame,
                                 std::uint64_t k = 0) noexcept {
  const std::uint64_t job = mix(mix(mix(seed ^ static_cast<std::uint64_t>(salt)) + task) + frame);
  return static_cast<double>(mix(job + k) >> 11) * 0x1p-53;
}

}  // namespace takt::sim
