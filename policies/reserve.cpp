// reserve: least deadline - togo / 4 first; every job, in that order, takes the accelerator that ends its next segment
// first, also one that is still busy: then it waits for it, and those behind it plan around the reservation. Our own;
// earliest finish over all resources in rank order is the rule of HEFT (Topcuoglu, Hariri and Wu, TPDS 2002).
#include "policies/support/lineup.hpp"

namespace {

using takt::Snapshot;

// Four times deadline - togo / 4, in whole nanoseconds.
std::int64_t key_of(const takt::Rank& r, std::size_t accelerators) noexcept {
  if (r.deadline >= takt::kNever) return INT64_MAX;
  return 4 * takt::to_ns(r.deadline) - takt::to_ns(r.togo_sum) / static_cast<std::int64_t>(accelerators);
}

class ReserveDispatcher final : public takt::Dispatcher {
 public:
  void prepare(const takt::PolicyLimits& limits) override { line_.prepare(limits); }

  void dispatch(const Snapshot& s, takt::Plan& plan) noexcept override {
    if (!line_.follow(s, [&](std::size_t i) { return key_of(s.waiting.rank[i], s.accelerators.size()); })) return;
    line_.walk(s, [&](std::size_t i) {
      const std::size_t a = line_.earliest_finish(s, i);
      if (a == s.accelerators.size()) return false;
      if (line_.starts_now(s, a)) {
        takt::push_start(s, i, a, plan);
        return true;
      }
      line_.plan(a, line_.end(s, i, a));
      return false;
    });
  }

  [[nodiscard]] bool outranks(const Snapshot& s, std::size_t i, std::size_t a) const noexcept override {
    const auto order = [&](const takt::Rank& r) { return takt::order_of(r, key_of(r, s.accelerators.size())); };
    return takt::may_go(s, i, a) && order(s.waiting.rank[i]) < order(s.accelerators[a].continuing);
  }

 private:
  takt::Lineup line_;
};

std::unique_ptr<takt::Dispatcher> make() {
  return std::make_unique<ReserveDispatcher>();
}

}  // namespace

TAKT_POLICY(reserve, "earliest finish over busy accelerators too, waiting where that is better", .dispatcher = make)
