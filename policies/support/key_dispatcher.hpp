// Shared by the key-ordered policies: the waiting job with the least key goes to the idle accelerator that ends it
// first.
#pragma once

#include <algorithm>

#include "policies/support/job_order.hpp"
#include "takt/policy.hpp"

namespace takt {

// Key is a function object: std::int64_t operator()(const Rank&, std::size_t accelerators) const; smaller goes first
// and the order of two jobs must not depend on the time. A start costs O(accelerators) for each job that is looked at,
// in order until one can go, and O(log jobs) for each that came or went.
template <class Key>
class KeyDispatcher final : public Dispatcher {
 public:
  void prepare(const PolicyLimits& limits) override { line_.prepare(limits.jobs); }

  void dispatch(const Snapshot& s, Plan& plan) noexcept override {
    follow(s);
    if (std::none_of(s.accelerators.begin(), s.accelerators.end(),
                     [](const AcceleratorView& a) { return a.up && a.idle; }))
      return;
    line_.walk([&](const JobOrder::Entry& e) {
      const std::size_t a = earliest_finish(s, s.waiting.place[e.job.value]);
      if (a == s.accelerators.size()) return false;
      plan.starts.push({e.job, AcceleratorId{a}, static_cast<std::uint32_t>(kMaxBatch)});
      return true;
    });
  }

  // The first that can run there at all decides.
  [[nodiscard]] bool gives_way(const Snapshot& s, std::size_t a) noexcept override {
    follow(s);
    bool way = false;
    line_.walk([&](const JobOrder::Entry& e) {
      if (!s.costs->at(AcceleratorId{a}, s.waiting.next[s.waiting.place[e.job.value]]).runnable()) return false;
      way = e.order < order(s, s.accelerators[a].continuing);
      return true;
    });
    return way;
  }
  [[nodiscard]] bool outranks(const Snapshot& s, std::size_t i, std::size_t a) const noexcept override {
    return order(s, s.waiting.rank[i]) < order(s, s.accelerators[a].continuing);
  }

 private:
  [[nodiscard]] static Order order(const Snapshot& s, const Rank& r) noexcept {
    return order_of(r, Key{}(r, s.accelerators.size()));
  }
  void follow(const Snapshot& s) noexcept {
    line_.follow(s, [&](std::size_t i) { return Key{}(s.waiting.rank[i], s.accelerators.size()); });
  }
  // The idle accelerator on which job i's next segment ends first, the first of equals; their number if there is none.
  [[nodiscard]] static std::size_t earliest_finish(const Snapshot& s, std::size_t i) noexcept {
    std::size_t best = s.accelerators.size();
    Duration least = kForever;
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      // Changing jobs only adds to it.
      if (s.costs->at(AcceleratorId{a}, s.waiting.next[i]).expected >= least || !s.can_start(i, a)) continue;
      const Duration time = s.next_time(i, a);
      if (time < least) least = time, best = a;
    }
    return best;
  }

  JobOrder line_;
};

}  // namespace takt
