// The density test with blocking; see admission.hpp.
#include "core/admission.hpp"

#include <algorithm>

namespace takt {
namespace {

constexpr Duration kRefused{-1};

// Cost over the shortest time in which it can recur; over 1 for a stream that cannot be kept at all.
double density(const HardLoad& s) noexcept {
  const Duration window = std::min(s.relative_deadline, s.period - s.jitter);
  return window <= Duration::zero() ? 2.0 : static_cast<double>(to_ns(s.cost)) / static_cast<double>(to_ns(window));
}

}  // namespace

Duration soft_limit(std::span<const HardLoad> set) noexcept {
  Duration limit = kForever;
  for (const HardLoad& i : set) {
    double demand = 0;
    Duration blocking{};
    for (const HardLoad& j : set) {
      if (j.relative_deadline <= i.relative_deadline) {
        demand += density(j);
      } else {
        blocking = std::max(blocking, j.longest_segment);
      }
    }
    const double room = (1.0 - demand) * static_cast<double>(to_ns(i.relative_deadline));
    if (room < 0 || static_cast<double>(to_ns(blocking)) > room) return kRefused;
    limit = std::min(limit, Duration{static_cast<std::int64_t>(room)});
  }
  return limit;
}

}  // namespace takt
