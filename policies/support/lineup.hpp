// Waiting jobs in line and accelerators as planned work piles up on them: for policies that plan where every next
// segment goes and may wait for a busy accelerator.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "policies/support/job_order.hpp"
#include "takt/policy.hpp"

namespace takt {

// Whether waiting job i could go on accelerator a as things stand, busy or not; slots come free and are not asked for.
[[nodiscard]] inline bool may_go(const Snapshot& s, std::size_t i, std::size_t a) noexcept {
  const AcceleratorView& acc = s.accelerators[a];
  const Cost& cost = s.costs->at(AcceleratorId{a}, s.waiting.next[i]);
  if (!acc.up || !cost.runnable() || cost.budget > acc.soft_limit) return false;
  return !s.waiting.holds[i].valid() || s.waiting.holds[i] == acc.pool;
}
// Its next segment there, switch included, at the accelerator's present pace.
[[nodiscard]] inline Duration paced_next(const Snapshot& s, std::size_t i, std::size_t a) noexcept {
  return scaled(s.next_time(i, a), s.accelerators[a].pace);
}
inline void push_start(const Snapshot& s, std::size_t i, std::size_t a, Plan& plan) noexcept {
  plan.starts.push({s.waiting.job[i], AcceleratorId{a}, static_cast<std::uint32_t>(kMaxBatch)});
}
[[nodiscard]] inline Order deadline_order(const Rank& r) noexcept {
  return order_of(r, to_ns(r.deadline));
}

// Valid for the snapshot it was last given. take() is O(n log n), follow() O(log n) for each job that came or went, the
// rest O(1) a job; only prepare() allocates.
class Lineup {
 public:
  void prepare(const PolicyLimits& limits) {
    line_.reserve(limits.jobs);
    order_.prepare(limits.jobs);
    free_at_.reserve(limits.accelerators);
  }

  // Lines up all waiting jobs, firm before soft, then by key(i), a std::int64_t of which the least goes first. False,
  // and no line, if no accelerator is idle.
  template <class Key>
  [[nodiscard]] bool take(const Snapshot& s, Key key) noexcept {
    line_.clear();
    if (!look(s)) return false;
    for (std::uint32_t i = 0; i < s.waiting.size; ++i) line_.push_back({order_of(s.waiting.rank[i], key(i)), i});
    std::sort(line_.begin(), line_.end(), [](const Entry& x, const Entry& y) { return x.order < y.order; });
    return true;
  }
  // The same line for walk(), not line(), if the key depends on nothing but what the waiting job says of itself, the
  // time left out: then the order is kept from one question to the next. Use one of the two throughout.
  template <class Key>
  [[nodiscard]] bool follow(const Snapshot& s, Key key) noexcept {
    order_.follow(s, key);
    return look(s);
  }
  // From the first in line on, until visit(i) of waiting job i returns true: what is behind it costs nothing.
  template <class Visit>
  void walk(const Snapshot& s, Visit visit) const noexcept {
    order_.walk([&](const JobOrder::Entry& e) { return visit(std::size_t{s.waiting.place[e.job.value]}); });
  }

  struct Entry {
    Order order;
    std::uint32_t job;  // place in the snapshot
  };
  [[nodiscard]] std::span<const Entry> line() const noexcept { return line_; }

  // Whether waiting job i may be planned on accelerator a: it may start there, or the accelerator is busy and worth a
  // wait. What is idle and cannot take it is none of both: nothing would end that wait.
  [[nodiscard]] bool open(const Snapshot& s, std::size_t i, std::size_t a) const noexcept {
    return s.accelerators[a].idle ? s.can_start(i, a) : may_go(s, i, a);
  }
  // When accelerator a has done what it runs and what was planned on it.
  [[nodiscard]] Instant free_at(std::size_t a) const noexcept { return free_at_[a]; }
  [[nodiscard]] Instant end(const Snapshot& s, std::size_t i, std::size_t a) const noexcept {
    return free_at_[a] + paced_next(s, i, a);
  }
  [[nodiscard]] bool starts_now(const Snapshot& s, std::size_t a) const noexcept {
    return s.accelerators[a].idle && free_at_[a] == s.now;
  }
  void plan(std::size_t a, Instant until) noexcept { free_at_[a] = until; }

  // The open accelerator on which the next segment of waiting job i ends first, the first of equals; their number if
  // none.
  [[nodiscard]] std::size_t earliest_finish(const Snapshot& s, std::size_t i) const noexcept {
    std::size_t best = free_at_.size();
    Instant least = kNever;
    for (std::size_t a = 0; a < free_at_.size(); ++a) {
      // Changing jobs only adds to it.
      if (free_at_[a] + scaled(s.costs->at(AcceleratorId{a}, s.waiting.next[i]).expected, s.accelerators[a].pace) >=
          least)
        continue;
      if (!open(s, i, a)) continue;
      const Instant ends = end(s, i, a);
      if (ends < least) least = ends, best = a;
    }
    return best;
  }

 private:
  // Whether an accelerator is idle.
  bool look(const Snapshot& s) noexcept {
    free_at_.clear();
    bool any_idle = false;
    for (const AcceleratorView& a : s.accelerators) {
      // What is overdue ends soon, but it is not idle.
      free_at_.push_back(a.idle ? s.now : std::max(a.busy_until, s.now + Duration{1}));
      any_idle |= a.up && a.idle;
    }
    return any_idle;
  }

  std::vector<Entry> line_;
  JobOrder order_;
  std::vector<Instant> free_at_;
};

}  // namespace takt
