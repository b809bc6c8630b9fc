// The lightest subnet a waiting job may still take, and what follows from it; shared by the droppers and selectors.
#pragma once

#include "takt/policy.hpp"

namespace takt {

// The cheapest route that continues what waiting job i has begun, its own if there is no other.
[[nodiscard]] inline const Route& lightest(const Snapshot& s, std::size_t i) noexcept {
  const StreamView& stream = s.streams[s.waiting.rank[i].stream.value];
  const std::size_t done = s.waiting.segment[i];
  const Route* best = &s.route(i);
  for (std::size_t k = stream.first; k < stream.last; ++k) {
    const Route& route = stream.routes[k];
    // Subnets differ in length: a shorter one may have no such segment.
    if (done <= route.length() && route.togo_min[done] < best->togo_min[done] && route.continues(s.route(i), done))
      best = &route;
  }
  return *best;
}

// Whether waiting job i cannot be counted on to end in time even alone on the best accelerators.
[[nodiscard]] inline bool infeasible(const Snapshot& s, std::size_t i) noexcept {
  const Route& route = lightest(s, i);
  const std::size_t done = s.waiting.segment[i];
  return s.now + s.surely(route.togo_min[done], route.length() - done) > s.waiting.rank[i].deadline;
}

// With late rule "finish" a late result is wanted: the deadline is no reason to give up.
[[nodiscard]] inline bool late_is_wanted(const Snapshot& s, std::size_t i) noexcept {
  return s.streams[s.waiting.rank[i].stream.value].spec->late == LateRule::finish;
}

}  // namespace takt
