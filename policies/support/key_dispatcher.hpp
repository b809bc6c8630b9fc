// Shared by the key-ordered policies: the waiting job with the least key goes to the idle accelerator that ends it
// first.
#pragma once

#include <compare>

#include "takt/policy.hpp"

namespace takt {

// What orders jobs, whole: firm before soft, the policy's key, then release, stream, frame. `outranks` compares the
// same.
struct Order {
  Criticality criticality;
  std::int64_t key;
  Instant release;
  StreamId stream;
  std::uint32_t frame;
  friend constexpr auto operator<=>(const Order&, const Order&) = default;
};

// Key is a function object: std::int64_t operator()(const Rank&, std::size_t accelerators) const; smaller goes first
// and the order of two jobs must not depend on the time. O(jobs x accelerators) a start.
template <class Key>
class KeyDispatcher final : public Dispatcher {
 public:
  void dispatch(const Snapshot& s, Plan& plan) noexcept override {
    std::size_t best = s.waiting.size, place = 0;
    for (std::size_t i = 0; i < s.waiting.size; ++i) {
      if (best < s.waiting.size && order(s, s.waiting.rank[i]) >= order(s, s.waiting.rank[best])) continue;
      const std::size_t a = earliest_finish(s, i);
      if (a == s.accelerators.size()) continue;
      best = i;
      place = a;
    }
    if (best == s.waiting.size) return;
    plan.starts.push({s.waiting.job[best], AcceleratorId{place}, static_cast<std::uint32_t>(kMaxBatch)});
  }

  [[nodiscard]] bool outranks(const Snapshot& s, std::size_t i, std::size_t a) const noexcept override {
    return order(s, s.waiting.rank[i]) < order(s, s.accelerators[a].continuing);
  }

 private:
  [[nodiscard]] static Order order(const Snapshot& s, const Rank& r) noexcept {
    return {r.criticality, Key{}(r, s.accelerators.size()), r.release, r.stream, r.frame};
  }
  // The idle accelerator on which job i's next segment ends first, the first of equals; their number if there is none.
  [[nodiscard]] static std::size_t earliest_finish(const Snapshot& s, std::size_t i) noexcept {
    std::size_t best = s.accelerators.size();
    Duration least = kForever;
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      if (!s.can_start(i, a)) continue;
      const Duration time = s.next_time(i, a);
      if (time < least) least = time, best = a;
    }
    return best;
  }
};

}  // namespace takt
