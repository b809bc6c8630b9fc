// drop: gives up every waiting job that cannot end in time even alone on the best accelerators (feasibility drop).
#include "takt/policy.hpp"

namespace {

class InfeasibleDropper final : public takt::Dropper {
 public:
  void drop(const takt::Snapshot& s, takt::Plan& plan) noexcept override {
    for (std::size_t i = 0; i < s.waiting.size; ++i) {
      const takt::Rank& r = s.waiting.rank[i];
      // With late rule "finish" a late result is wanted, so only the deadline itself is no reason to give up.
      if (s.streams[r.stream.value].spec->late == takt::LateRule::finish) continue;
      if (cheapest_slack(s, i) < takt::Duration::zero()) plan.drops.push(s.waiting.job[i]);
    }
  }

 private:
  // Slack on the cheapest subnet the job may still take: a lighter one is better than no answer.
  [[nodiscard]] static takt::Duration cheapest_slack(const takt::Snapshot& s, std::size_t i) noexcept {
    const takt::Rank& r = s.waiting.rank[i];
    const takt::StreamView& stream = s.streams[r.stream.value];
    takt::Duration least = r.togo_min;
    for (std::size_t k = stream.first; k < stream.last; ++k)
      if (stream.routes[k].continues(s.route(i), s.waiting.segment[i]))
        least = std::min(least, stream.routes[k].togo_min[s.waiting.segment[i]]);
    return r.deadline - s.now - s.paced(least);
  }
};

std::unique_ptr<takt::Dropper> make() {
  return std::make_unique<InfeasibleDropper>();
}

}  // namespace

TAKT_POLICY(drop, "drops what cannot be in time", .dropper = make)
