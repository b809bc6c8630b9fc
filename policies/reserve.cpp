// reserve: least deadline - togo / 2 first; every job, in that order, takes the accelerator that ends its next segment first,
// also one that is still busy: then it waits for it, and those behind it plan around the reservation. Our own; earliest finish
// over all resources in rank order is the rule of HEFT (Topcuoglu, Hariri and Wu, TPDS 2002).
#include <algorithm>
#include <numeric>
#include <vector>

#include "takt/policy.hpp"

namespace {

using takt::Duration;
using takt::Instant;
using takt::Snapshot;

class ReserveDispatcher final : public takt::Dispatcher {
 public:
  void prepare(const takt::PolicyLimits& limits) override {
    order_.reserve(limits.jobs);
    free_at_.reserve(limits.accelerators);
  }

  void dispatch(const Snapshot& s, takt::Plan& plan) noexcept override {
    free_at_.clear();
    bool any_idle = false;
    for (const takt::AcceleratorView& a : s.accelerators) {
      free_at_.push_back(!a.up ? takt::kNever : a.idle ? s.now : std::max(a.busy_until, s.now + Duration{1}));
      any_idle |= a.up && a.idle;
    }
    if (!any_idle) return;
    sort(s);
    for (const std::uint32_t i : order_) {
      const std::size_t a = earliest_finish(s, i);
      if (a == free_at_.size()) continue;
      if (free_at_[a] == s.now && s.can_start(i, a)) {
        plan.starts.push({s.waiting.job[i], takt::AcceleratorId{a}, static_cast<std::uint32_t>(takt::kMaxBatch)});
        return;
      }
      free_at_[a] += s.next_time(i, a);
    }
  }

  [[nodiscard]] bool outranks(const Snapshot& s, std::size_t i, std::size_t a) const noexcept override {
    return before(s.waiting.rank[i], s.accelerators[a].continuing, s.accelerators.size());
  }

 private:
  // Twice the key, in whole nanoseconds: 2 * deadline - mean remaining work.
  static bool before(const takt::Rank& x, const takt::Rank& y, std::size_t accelerators) noexcept {
    if (x.criticality != y.criticality) return x.criticality < y.criticality;
    const auto key = [&](const takt::Rank& r) {
      return r.deadline == takt::kNever ? INT64_MAX : 2 * takt::to_ns(r.deadline) - r.togo_sum.count() / static_cast<std::int64_t>(accelerators);
    };
    const std::int64_t a = key(x), b = key(y);
    if (a != b) return a < b;
    if (x.release != y.release) return x.release < y.release;
    return x.stream != y.stream ? x.stream < y.stream : x.frame < y.frame;
  }
  void sort(const Snapshot& s) noexcept {
    order_.resize(s.waiting.size);
    std::iota(order_.begin(), order_.end(), 0u);
    std::sort(order_.begin(), order_.end(), [&](std::uint32_t a, std::uint32_t b) {
      return before(s.waiting.rank[a], s.waiting.rank[b], s.accelerators.size());
    });
  }
  // Where the next segment of waiting job i ends first; the number of accelerators if it can run nowhere.
  [[nodiscard]] std::size_t earliest_finish(const Snapshot& s, std::size_t i) const noexcept {
    std::size_t best = free_at_.size();
    Instant least = takt::kNever;
    for (std::size_t a = 0; a < free_at_.size(); ++a) {
      const takt::AcceleratorView& acc = s.accelerators[a];
      const takt::Cost& cost = s.costs->at(takt::AcceleratorId{a}, s.waiting.next[i]);
      if (!acc.up || !cost.runnable() || cost.budget > acc.soft_limit) continue;
      if (s.waiting.holds[i].valid() && s.waiting.holds[i] != acc.pool) continue;
      const Instant end = free_at_[a] + s.next_time(i, a);
      if (end < least) least = end, best = a;
    }
    return best;
  }

  std::vector<std::uint32_t> order_;
  std::vector<Instant> free_at_;
};

std::unique_ptr<takt::Dispatcher> make() {
  return std::make_unique<ReserveDispatcher>();
}

}  // namespace

TAKT_POLICY(reserve, "earliest finish over busy accelerators too, waiting where that is better", .dispatcher = make)
