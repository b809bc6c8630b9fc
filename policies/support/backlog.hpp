// What waits, in the order it will go, and what it takes if it goes in batches: for stages that judge all jobs together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "takt/policy.hpp"

namespace takt {

// Valid for the snapshot it was last given. take() is O(n log n), the rest O(1); only prepare() allocates.
class Backlog {
 public:
  void prepare(std::size_t max_jobs) {
    order_.reserve(max_jobs);
    group_.reserve(max_jobs);
    sizes_.reserve(max_jobs);
  }

  void take(const Snapshot& s) noexcept {
    order_.resize(s.waiting.size);
    std::iota(order_.begin(), order_.end(), 0u);
    group_by_variant(s);
    std::sort(order_.begin(), order_.end(), [&](std::uint32_t a, std::uint32_t b) {
      const Rank &x = s.waiting.rank[a], &y = s.waiting.rank[b];
      if (x.criticality != y.criticality) return x.criticality < y.criticality;
      return x.deadline != y.deadline ? x.deadline < y.deadline : a < b;
    });
    busy_ = {}, idle_after_ = kForever, accelerators_ = 0;
    for (const AcceleratorView& a : s.accelerators) {
      if (!a.up) continue;
      const Duration left = std::max(a.busy_until - s.now, Duration::zero());
      busy_ += left;
      idle_after_ = std::min(idle_after_, left);
      ++accelerators_;
    }
    if (accelerators_ == 0) accelerators_ = 1, idle_after_ = {};
  }

  // Places of waiting jobs: firm before soft, earliest deadline first.
  [[nodiscard]] std::span<const std::uint32_t> order() const noexcept { return order_; }
  // Until an accelerator can take new work.
  [[nodiscard]] Duration idle_after() const noexcept { return idle_after_; }
  // Until what runs and `work` are done, spread over the accelerators.
  [[nodiscard]] Duration drained(Duration work) const noexcept { return saturating_add(busy_, work) / accelerators_; }

  // What is left of `route` for waiting job i in one batch with all that wait for the same segment.
  [[nodiscard]] Duration together(const Snapshot& s, std::size_t i, const Route& route) const noexcept {
    return route.togo(s.waiting.segment[i], std::min(sizes_[group_[i]], s.max_batch));
  }
  // Job i will not be there.
  void forget(std::size_t i) noexcept { --sizes_[group_[i]]; }

 private:
  void group_by_variant(const Snapshot& s) noexcept {
    std::sort(order_.begin(), order_.end(), [&](std::uint32_t a, std::uint32_t b) { return s.waiting.next[a] < s.waiting.next[b]; });
    group_.resize(order_.size());
    sizes_.clear();
    for (std::size_t k = 0; k < order_.size(); ++k) {
      if (k == 0 || s.waiting.next[order_[k]] != s.waiting.next[order_[k - 1]]) sizes_.push_back(0);
      group_[order_[k]] = static_cast<std::uint32_t>(sizes_.size() - 1);
      ++sizes_.back();
    }
  }

  std::vector<std::uint32_t> order_, group_, sizes_;  // by rank; group of each place; jobs of each group
  Duration busy_{}, idle_after_{};
  std::int64_t accelerators_ = 1;
};

}  // namespace takt
