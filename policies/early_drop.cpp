// early_drop: when what waits needs batches to be in time, gives up the first jobs that would keep the others from them (the
// early drop of Nexus, Shen et al., SOSP 2019, over segments and subnets; the test for "needs batches" is ours).
#include "policies/support/backlog.hpp"
#include "policies/support/lightest.hpp"

namespace {

using takt::Duration;

class EarlyDropper final : public takt::Dropper {
 public:
  void prepare(const takt::PolicyLimits& limits) override { backlog_.prepare(limits.jobs); }

  void drop(const takt::Snapshot& s, takt::Plan& plan) noexcept override {
    backlog_.take(s);
    const auto give_up = [&](std::uint32_t i) {
      plan.drops.push(s.waiting.job[i]);
      backlog_.forget(i);
    };
    for (const std::uint32_t i : backlog_.order())
      if (takt::infeasible(s, i) && !takt::late_is_wanted(s, i)) give_up(i);
    if (all_fit_alone(s)) return;
    for (const std::uint32_t i : backlog_.order()) {
      if (takt::infeasible(s, i) || keeps(s, i)) continue;
      const Duration needed = s.paced(backlog_.together(s, i, takt::lightest(s, i)));
      if (s.now + backlog_.idle_after() + needed <= s.waiting.rank[i].deadline) return;
      give_up(i);
    }
  }

 private:
  // Firm jobs give way to nobody, nor do those whose late result is wanted.
  [[nodiscard]] static bool keeps(const takt::Snapshot& s, std::size_t i) noexcept {
    return s.waiting.rank[i].criticality != takt::Criticality::soft || takt::late_is_wanted(s, i);
  }
  // Whether everything that can be in time is one by one, on the lightest subnets.
  [[nodiscard]] bool all_fit_alone(const takt::Snapshot& s) const noexcept {
    Duration work{};
    for (const std::uint32_t i : backlog_.order()) {
      if (takt::infeasible(s, i)) continue;
      const Duration alone = s.paced(takt::lightest(s, i).togo_min[s.waiting.segment[i]]);
      if (s.now + backlog_.drained(work) + alone > s.waiting.rank[i].deadline) return false;
      work = takt::saturating_add(work, alone);
    }
    return true;
  }

  takt::Backlog backlog_;
};

std::unique_ptr<takt::Dropper> make() {
  return std::make_unique<EarlyDropper>();
}

}  // namespace

TAKT_POLICY(early_drop, "drops what cannot be in time, and what keeps others from it", .dropper = make)
