// Admission of hard streams on one accelerator: a sufficient density test for EDF over non-preemptive segments.
#pragma once

#include <span>

#include "takt/time.hpp"

namespace takt {

// Worst-case budgets of one hard stream on one accelerator; all in nanoseconds, overhead included.
struct HardLoad {
  Duration period{};             // least time between arrivals
  Duration jitter{};             // releases may come this much after the arrival
  Duration relative_deadline{};  // from the release
  Duration cost{};               // sum of its segments
  Duration longest_segment{};
};

// Largest firm or soft segment that still lets every stream of the set keep its deadlines; negative: the set itself
// does not fit. With s <= the result, for every i: sum over D_j <= D_i of C_j / min(D_j, T_j - J_j) + max(s, S_j with
// D_j > D_i) / D_i <= 1 (Baker 1991, stack resource policy, with a lower stream's segment as the critical section).
// Sufficient, not exact. An empty set returns kForever. O(n^2), no allocation.
[[nodiscard]] Duration soft_limit(std::span<const HardLoad> set) noexcept;

}  // namespace takt
