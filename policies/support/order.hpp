// What orders jobs, whole.
#pragma once

#include <compare>
#include <cstdint>

#include "takt/policy.hpp"

namespace takt {

// Firm before soft, the policy's key, then release, stream, frame.
struct Order {
  Criticality criticality;
  std::int64_t key;
  Instant release;
  StreamId stream;
  std::uint32_t frame;
  friend constexpr auto operator<=>(const Order&, const Order&) = default;
};
[[nodiscard]] inline Order order_of(const Rank& r, std::int64_t key) noexcept {
  return {r.criticality, key, r.release, r.stream, r.frame};
}

}  // namespace takt
