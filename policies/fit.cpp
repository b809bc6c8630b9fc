// fit: the most accurate subnet that meets the slack, with the work ahead of the job in deadline order counted in.
#include <algorithm>

#include "takt/policy.hpp"

namespace {

// Part of the slack that is planned with; the rest is for what arrives meanwhile with an earlier deadline, and for batches,
// in which each segment takes longer.
constexpr double kPlanned = 0.8;

// Subnets that are chosen from, spread over those allowed: jobs on the same one share batches, and a batch of eight saves
// more time than a slightly lighter subnet.
constexpr std::size_t kLevels = 4;

class FitSelector final : public takt::SubnetSelector {
 public:
  void select(const takt::Snapshot& s, takt::Plan& plan) noexcept override {
    const takt::Duration busy = busy_share(s);
    for (std::size_t i = 0; i < s.waiting.size; ++i) {
      const takt::Duration left = s.waiting.rank[i].deadline - s.now - busy;
      const takt::RouteId best = choose(s, i, takt::scaled(left, kPlanned), backlog_before(s, i));
      if (best.valid() && best != s.waiting.route[i]) plan.reroutes.push({s.waiting.job[i], best});
    }
  }

 private:
  static std::int64_t accelerators_up(const takt::Snapshot& s) noexcept {
    return std::max<std::int64_t>(1, std::count_if(s.accelerators.begin(), s.accelerators.end(),
                                                   [](const takt::AcceleratorView& a) { return a.up; }));
  }
  // What already runs, spread over the accelerators.
  static takt::Duration busy_share(const takt::Snapshot& s) noexcept {
    takt::Duration sum{};
    for (const takt::AcceleratorView& a : s.accelerators)
      if (a.up) sum += std::max(a.busy_until - s.now, takt::Duration::zero());
    return sum / accelerators_up(s);
  }
  // Work of waiting jobs with earlier deadlines, on the subnets they have now, spread likewise.
  static takt::Duration backlog_before(const takt::Snapshot& s, std::size_t i) noexcept {
    takt::Duration sum{};
    const takt::Rank& mine = s.waiting.rank[i];
    for (std::size_t k = 0; k < s.waiting.size; ++k) {
      const takt::Rank& r = s.waiting.rank[k];
      if (r.deadline < mine.deadline || (r.deadline == mine.deadline && r.release < mine.release))
        sum = takt::saturating_add(sum, r.togo_min);
    }
    return sum / accelerators_up(s);
  }
  // The first route, best accuracy first, whose remaining work fits; else the cheapest that continues what was begun.
  static takt::RouteId choose(const takt::Snapshot& s, std::size_t i, takt::Duration time,
                              takt::Duration ahead) noexcept {
    const takt::StreamView& stream = s.streams[s.waiting.rank[i].stream.value];
    const std::size_t done = s.waiting.segment[i];
    takt::RouteId last;
    for (std::size_t level = 0; level < kLevels; ++level) {
      const std::size_t k = stream.first + (stream.last - 1 - stream.first) * level / (kLevels - 1);
      const takt::Route& route = stream.routes[k];
      if (!route.continues(s.route(i), done)) continue;
      last = takt::RouteId{k};
      if (s.paced(takt::saturating_add(ahead, route.togo_min[done])) <= time) return last;
    }
    return last;
  }
};

std::unique_ptr<takt::SubnetSelector> make() {
  return std::make_unique<FitSelector>();
}

}  // namespace

TAKT_POLICY(fit, "most accurate subnet that meets the slack", .selector = make)
