// share: each next segment may take its share of its job's slack; of the accelerators that end it by then, busy ones included, it
// takes the one that works on it the shortest and waits for it if need be; if none does, the one that ends it first. In the order
// of deadlines. Our own: with little slack it is earliest finish, with much it keeps every accelerator to what it is good at.
#include "policies/support/lineup.hpp"

namespace {

using takt::Duration;
using takt::Instant;
using takt::Snapshot;

constexpr double kPart = 0.5;  // of the slack that is shared out; the rest is for what arrives meanwhile

std::int64_t key_of(const takt::Rank& r, std::size_t accelerators) noexcept {
  if (r.deadline >= takt::kNever) return INT64_MAX;
  return 4 * takt::to_ns(r.deadline) - takt::to_ns(r.togo_sum) / static_cast<std::int64_t>(accelerators);
}

class ShareDispatcher final : public takt::Dispatcher {
 public:
  void prepare(const takt::PolicyLimits& limits) override { line_.prepare(limits); }

  void dispatch(const Snapshot& s, takt::Plan& plan) noexcept override {
    if (!line_.take(s, [&](std::size_t i) { return key_of(s.waiting.rank[i], s.accelerators.size()); })) return;
    for (const takt::Lineup::Entry& e : line_.line()) {
      const std::size_t a = assign(s, e.job);
      if (a == s.accelerators.size()) continue;
      if (line_.starts_now(s, a)) return takt::push_start(s, e.job, a, plan);
      line_.plan(a, line_.end(s, e.job, a));
    }
  }

  [[nodiscard]] bool outranks(const Snapshot& s, std::size_t i, std::size_t a) const noexcept override {
    const auto order = [&](const takt::Rank& r) { return takt::order_of(r, key_of(r, s.accelerators.size())); };
    return takt::may_go(s, i, a) && order(s.waiting.rank[i]) < order(s.accelerators[a].continuing);
  }

 private:
  [[nodiscard]] std::size_t assign(const Snapshot& s, std::size_t i) const noexcept {
    const std::size_t soonest = line_.earliest_finish(s, i);
    if (soonest == s.accelerators.size()) return soonest;
    const Instant allowed = std::max(line_.end(s, i, soonest), s.now + share_of(s, i));
    std::size_t best = soonest;
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      if (!line_.open(s, i, a) || line_.end(s, i, a) > allowed) continue;
      const Duration here = takt::paced_next(s, i, a), least = takt::paced_next(s, i, best);
      if (here < least || (here == least && line_.end(s, i, a) < line_.end(s, i, best))) best = a;
    }
    return best;
  }
  // Time until the virtual deadline of the next segment: the job's own, in proportion to the segment's part of what is left.
  static Duration share_of(const Snapshot& s, std::size_t i) noexcept {
    const takt::Rank& r = s.waiting.rank[i];
    if (r.togo_min <= Duration::zero() || r.deadline >= takt::kNever) return Duration::zero();
    const takt::Route& route = s.route(i);
    const std::size_t done = s.waiting.segment[i];
    const Duration segment = route.togo_min[done] - route.togo_min[done + 1];
    const double part = static_cast<double>(segment.count()) / static_cast<double>(r.togo_min.count());
    return takt::scaled(std::max(r.deadline - s.now, Duration::zero()), kPart * part);
  }

  takt::Lineup line_;
};

std::unique_ptr<takt::Dispatcher> make() {
  return std::make_unique<ShareDispatcher>();
}

}  // namespace

TAKT_POLICY(share, "each segment the fastest accelerator within its share of the slack, waiting included", .dispatcher = make)
