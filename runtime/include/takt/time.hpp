// Time as the scheduler sees it: nanoseconds on a monotonic line that only an injected Clock can read.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace takt {

using Duration = std::chrono::nanoseconds;

// A clock tag without now(): nobody can ask the machine for the time behind the scheduler's back.
struct Monotonic {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  static constexpr bool is_steady = true;
};

// Absolute time, CLOCK_MONOTONIC in the live engine, virtual time in the simulator.
using Instant = std::chrono::time_point<Monotonic, Duration>;

// Far beyond any run, and far enough from the type's limits that sums and differences of a few do not overflow.
inline constexpr Duration kForever{std::numeric_limits<Duration::rep>::max() / 4};
inline constexpr Instant kNever{2 * kForever};

[[nodiscard]] constexpr std::int64_t to_ns(Instant t) noexcept { return t.time_since_epoch().count(); }
[[nodiscard]] constexpr std::int64_t to_ns(Duration d) noexcept { return d.count(); }
[[nodiscard]] constexpr Instant instant_ns(std::int64_t ns) noexcept { return Instant{Duration{ns}}; }

// a + b that saturates at kForever instead of overflowing; for non-negative values.
[[nodiscard]] constexpr Duration saturating_add(Duration a, Duration b) noexcept {
  return a > kForever - b ? kForever : a + b;
}

// d times a positive factor; kForever stays what it is, and a factor of 1 changes nothing, not even by rounding.
[[nodiscard]] constexpr Duration scaled(Duration d, double factor) noexcept {
  if (factor == 1.0 || d >= kForever) return d;
  return Duration{static_cast<Duration::rep>(static_cast<double>(d.count()) * factor)};
}

// The only source of time. Implementations: runtime/live (CLOCK_MONOTONIC), tests and simulator (virtual).
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Instant now() const noexcept = 0;
};

}  // namespace takt
