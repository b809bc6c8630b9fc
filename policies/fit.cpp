// fit: the most accurate subnets with which everything that waits meets its slack, found for all jobs together.
#include "policies/support/backlog.hpp"
#include "policies/support/lightest.hpp"

namespace {

using takt::Duration;

// Work ahead of a job is counted twice: as much may arrive meanwhile with earlier deadlines.
constexpr int kAhead = 2;
// Part of its time that a job plans to fill; segments take longer now and then.
constexpr double kPlanned = 0.9;

// Steps from the most accurate to the cheapest subnet of each stream. All streams take the same step: jobs of one model on
// the same subnet share batches, and a full batch saves more time than a lighter subnet.
constexpr std::size_t kSteps = 8;

class FitSelector final : public takt::SubnetSelector {
 public:
  void prepare(const takt::PolicyLimits& limits) override { backlog_.prepare(limits.jobs); }

  void select(const takt::Snapshot& s, takt::Plan& plan) noexcept override {
    backlog_.take(s);
    std::size_t step = 0;
    while (step + 1 < kSteps && !fits(s, step)) ++step;
    for (std::size_t i = 0; i < s.waiting.size; ++i) {
      const takt::RouteId best = route_at(s, i, takt::infeasible(s, i) ? kSteps - 1 : step);
      if (best != s.waiting.route[i]) plan.reroutes.push({s.waiting.job[i], best});
    }
  }

 private:
  // The subnet of waiting job i at a step: the heaviest from there on that continues what was begun, else the one it has.
  static takt::RouteId route_at(const takt::Snapshot& s, std::size_t i, std::size_t step) noexcept {
    const takt::StreamView& stream = s.streams[s.waiting.rank[i].stream.value];
    for (; step < kSteps; ++step) {
      const takt::RouteId r{stream.first + (stream.last - 1 - stream.first) * step / (kSteps - 1)};
      if (stream.routes[r.value].continues(s.route(i), s.waiting.segment[i])) return r;
    }
    return s.waiting.route[i];
  }

  // Whether every job that can be in time at all is, if jobs go in order and in batches on all accelerators.
  [[nodiscard]] bool fits(const takt::Snapshot& s, std::size_t step) const noexcept {
    Duration work{};
    for (const std::uint32_t i : backlog_.order()) {
      const takt::Route& route = s.streams[s.waiting.rank[i].stream.value].routes[route_at(s, i, step).value];
      const std::size_t done = s.waiting.segment[i];
      const Duration own = s.paced(backlog_.together(s, i, route));
      const Duration time = takt::scaled(s.waiting.rank[i].deadline - s.now, kPlanned);
      if (takt::saturating_add(kAhead * backlog_.drained(work), own) > time && !takt::infeasible(s, i)) return false;
      work = takt::saturating_add(work, s.paced(route.togo_shared[done]));
    }
    return true;
  }

  takt::Backlog backlog_;
};

std::unique_ptr<takt::SubnetSelector> make() {
  return std::make_unique<FitSelector>();
}

}  // namespace

TAKT_POLICY(fit, "most accurate subnets that meet the slack of all", .selector = make)
