// A bound on what any scheduler can do with a case: the most frames on time in the fluid relaxation.
#pragma once

#include <cstdint>

#include "sim/case.hpp"

namespace takt::sim {

struct Bound {
  std::uint64_t released = 0;  // jobs, children whose trigger fires included
  std::uint64_t hopeless = 0;  // cannot be in time even alone, on the lightest subnets and the best accelerators
  std::uint64_t served = 0;    // at most so many are on time
  [[nodiscard]] double violation_rate() const noexcept {
    return released > 0 ? static_cast<double>(released - served) / static_cast<double>(released) : 0;
  }
};

// Relaxed: layers split freely over accelerators at their cost there, no segment is indivisible, nothing is paid for
// switches or contention, noise is at its least, all work fits anywhere between the first release and the last
// deadline, and what is drawn (triggers, skipped blocks) is known before. Kept: accelerators' time, the parent's work
// before a child's, and that no job alone is faster than its chain of least times. Some milliseconds a case.
[[nodiscard]] Bound fluid_bound(const Case& scenario);

}  // namespace takt::sim
