// herald: each layer to its best accelerator, the next best when the load gets out of balance, then reordering against
// idle gaps, after Herald (HPCA 2021).
//
// Published: the three steps in the line above. Ours: Herald plans whole networks offline; here the next segments of
// all waiting jobs are planned anew at every decision, in the order of deadlines. The load of an accelerator is the
// time until it has done what it runs, what was planned before, and the segment itself. An accelerator is out of
// balance when its load is more than kImbalance times the least; of those in balance the segment takes the one that is
// fastest for it, and waits for it if it is busy. Gaps: an accelerator that nothing was planned on takes the first
// segment that it ends before its own place would.
#include <vector>

#include "policies/support/lineup.hpp"

namespace {

using takt::Duration;
using takt::Instant;
using takt::Snapshot;

constexpr double kImbalance = 1.5;

class HeraldDispatcher final : public takt::Dispatcher {
 public:
  void prepare(const takt::PolicyLimits& limits) override {
    line_.prepare(limits);
    planned_end_.reserve(limits.jobs);
  }

  void dispatch(const Snapshot& s, takt::Plan& plan) noexcept override {
    if (!line_.take(s, [&](std::size_t i) { return takt::to_ns(s.waiting.rank[i].deadline); })) return;
    planned_end_.clear();
    for (const takt::Lineup::Entry& e : line_.line()) {
      const std::size_t a = assign(s, e.job);
      planned_end_.push_back(a < s.accelerators.size() ? line_.end(s, e.job, a) : takt::kNever);
      if (a == s.accelerators.size()) continue;
      if (line_.starts_now(s, a)) return takt::push_start(s, e.job, a, plan);
      line_.plan(a, planned_end_.back());
    }
    fill_gap(s, plan);
  }

  [[nodiscard]] bool outranks(const Snapshot& s, std::size_t i, std::size_t a) const noexcept override {
    return takt::may_go(s, i, a) &&
           takt::deadline_order(s.waiting.rank[i]) < takt::deadline_order(s.accelerators[a].continuing);
  }

 private:
  // Of the accelerators in balance the one that is fastest for the next segment of waiting job i; of equals the first
  // to end.
  [[nodiscard]] std::size_t assign(const Snapshot& s, std::size_t i) const noexcept {
    const std::size_t soonest = line_.earliest_finish(s, i);
    if (soonest == s.accelerators.size()) return soonest;
    const Duration allowed = takt::scaled(line_.end(s, i, soonest) - s.now, kImbalance);
    std::size_t best = soonest;
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      if (!line_.open(s, i, a) || line_.end(s, i, a) - s.now > allowed) continue;
      const Duration here = takt::paced_next(s, i, a), least = takt::paced_next(s, i, best);
      if (here < least || (here == least && line_.end(s, i, a) < line_.end(s, i, best))) best = a;
    }
    return best;
  }

  // Everything planned waits; what is idle now has nothing planned on it.
  void fill_gap(const Snapshot& s, takt::Plan& plan) const noexcept {
    for (std::size_t k = 0; k < planned_end_.size(); ++k) {
      const std::size_t i = line_.line()[k].job;
      std::size_t gap = s.accelerators.size();
      Instant least = planned_end_[k];
      for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
        if (!line_.starts_now(s, a) || !line_.open(s, i, a) || line_.end(s, i, a) >= least) continue;
        least = line_.end(s, i, a);
        gap = a;
      }
      if (gap < s.accelerators.size()) return takt::push_start(s, i, gap, plan);
    }
  }

  takt::Lineup line_;
  std::vector<Instant> planned_end_;  // by place in line
};

std::unique_ptr<takt::Dispatcher> make() {
  return std::make_unique<HeraldDispatcher>();
}

}  // namespace

TAKT_POLICY(herald, "each layer to its best accelerator as far as loads are in balance, idle gaps filled",
            .dispatcher = make)
