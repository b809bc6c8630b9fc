// veltair: layer blocks of adaptive size, each on the smallest resource whose time fits its share of the deadline,
// after Veltair (ASPLOS 2022).
//
// Published: the line above. Ours: a resource is an accelerator; a block is a run of segments of one job that stays
// together on it and goes before other jobs of its class there. A share is the part of the remaining time that the
// block's least work has in the job's. A block is as long as it fits its share, a wait for a busy accelerator included,
// but not longer than kBlock of the tightest slack there is: blocks shrink as load grows. The size of an accelerator is
// its mean speed over the streams; the smallest is the one with the least size^2 * slowdown of the block, the wait
// included: a small one that is bad at this very block, or busy for long, does not count as small. Jobs go in the order
// of deadlines; a block that fits nowhere is one segment where it ends first.
#include <vector>

#include "policies/support/lineup.hpp"
#include "policies/support/stream_totals.hpp"

namespace {

using takt::Duration;
using takt::Instant;
using takt::Snapshot;

constexpr double kBlock = 0.1;
constexpr std::size_t kLongestBlock = 32;  // segments: bounds the time of a decision

class VeltairDispatcher final : public takt::Dispatcher {
 public:
  void prepare(const takt::PolicyLimits& limits) override {
    totals_.prepare(limits);
    line_.prepare(limits);
    sizes_.assign(limits.accelerators, 1);
    blocks_.assign(limits.accelerators, {});
  }

  void dispatch(const Snapshot& s, takt::Plan& plan) noexcept override {
    if (totals_.refresh(s)) measure(s);
    if (!line_.take(s, [&](std::size_t i) { return key(s, i); })) return;
    const Duration longest = longest_block(s);
    for (const takt::Lineup::Entry& e : line_.line()) {
      const Choice choice = choose(s, e.job, longest);
      if (choice.accelerator == s.accelerators.size()) continue;
      if (!line_.starts_now(s, choice.accelerator)) {
        line_.plan(choice.accelerator, choice.end);
        continue;
      }
      const takt::Rank& r = s.waiting.rank[e.job];
      blocks_[choice.accelerator] = {r.release, r.stream, r.frame, choice.left};
      return takt::push_start(s, e.job, choice.accelerator, plan);
    }
  }

  [[nodiscard]] bool outranks(const Snapshot& s, std::size_t i, std::size_t a) const noexcept override {
    const takt::Rank &x = s.waiting.rank[i], &y = s.accelerators[a].continuing;
    const std::int64_t stays = in_block(y, a) ? INT64_MIN : takt::to_ns(y.deadline);
    return takt::may_go(s, i, a) && takt::deadline_order(x) < takt::order_of(y, stays);
  }

 private:
  // The latest block of an accelerator.
  struct Block {
    Instant release{};
    takt::StreamId stream;
    std::uint32_t frame = 0;
    Duration left = takt::kForever;  // least work of the job after the block
  };
  struct Choice {
    std::size_t accelerator = 0;
    Instant end{};    // of the block
    Duration left{};  // see Block
  };

  [[nodiscard]] bool in_block(const takt::Rank& r, std::size_t a) const noexcept {
    const Block& b = blocks_[a];
    return b.stream == r.stream && b.frame == r.frame && b.release == r.release && r.togo_min > b.left;
  }
  // The accelerator on which waiting job i is within a block and can go on at once.
  [[nodiscard]] std::size_t continues_on(const Snapshot& s, std::size_t i) const noexcept {
    const takt::AcceleratorId on = s.waiting.trail[i].ran_on;
    const bool goes_on = on.valid() && in_block(s.waiting.rank[i], on.value) && s.can_start(i, on.value);
    return goes_on ? on.value : s.accelerators.size();
  }
  [[nodiscard]] std::int64_t key(const Snapshot& s, std::size_t i) const noexcept {
    return continues_on(s, i) < s.accelerators.size() ? INT64_MIN : takt::to_ns(s.waiting.rank[i].deadline);
  }

  void measure(const Snapshot& s) noexcept {
    totals_.speeds(sizes_);
    shortest_deadline_ = takt::kForever;
    for (std::size_t t = 0; t < s.streams.size(); ++t) {
      if (!totals_.known(t)) continue;
      const Duration deadline = s.streams[t].spec->relative_deadline;
      if (deadline > Duration::zero()) shortest_deadline_ = std::min(shortest_deadline_, deadline);
    }
  }

  [[nodiscard]] Duration longest_block(const Snapshot& s) const noexcept {
    Duration tightest = shortest_deadline_;
    for (std::size_t i = 0; i < s.waiting.size; ++i) {
      const Duration slack = s.slack(s.waiting.rank[i]);
      if (slack > Duration::zero()) tightest = std::min(tightest, slack);
    }
    return takt::scaled(tightest, kBlock);
  }

  [[nodiscard]] Choice choose(const Snapshot& s, std::size_t i, Duration longest) const noexcept {
    const std::size_t none = s.accelerators.size(), on = continues_on(s, i);
    if (on < none && line_.starts_now(s, on)) return {on, line_.end(s, i, on), blocks_[on].left};
    Choice best{none, {}, {}};
    double least = 0;
    for (std::size_t a = 0; a < none; ++a) {
      if (!line_.open(s, i, a)) continue;
      const Fit fit = fitting_block(s, i, a, longest);
      if (fit.segments == 0) continue;
      const double price = sizes_[a] * sizes_[a] * fit.slowdown;
      if (best.accelerator < none && price >= least) continue;
      least = price;
      best = {a, line_.free_at(a) + fit.time, s.route(i).togo_min[s.waiting.segment[i] + fit.segments]};
    }
    if (best.accelerator < none) return best;
    const std::size_t a = line_.earliest_finish(s, i);
    return {a, a < none ? line_.end(s, i, a) : Instant{}, s.route(i).togo_min[s.waiting.segment[i] + 1u]};
  }

  struct Fit {
    std::size_t segments = 0;  // 0: no block fits there
    Duration time{};           // of the block, switch included
    double slowdown = 1;       // wait and time over the block's least time
  };
  // The longest block of waiting job i that fits its share on accelerator a.
  [[nodiscard]] Fit fitting_block(const Snapshot& s, std::size_t i, std::size_t a, Duration longest) const noexcept {
    const takt::Route& route = s.route(i);
    const std::size_t first = s.waiting.segment[i], last = std::min(route.length(), first + kLongestBlock);
    const Duration window = s.waiting.rank[i].deadline - s.now, wait = line_.free_at(a) - s.now;
    const double all = real(route.togo_min[first]);
    Fit fit;
    Duration time = takt::paced_next(s, i, a);
    for (std::size_t k = first; k < last; ++k) {
      const takt::Cost& cost = s.costs->at(takt::AcceleratorId{a}, route.path[k]);
      if (!cost.runnable() || cost.budget > s.accelerators[a].soft_limit) break;
      if (k > first) time += takt::scaled(cost.expected, s.accelerators[a].pace);
      if (k > first && time > longest) break;
      const double work = real(route.togo_min[first] - route.togo_min[k + 1]);
      if (all > 0 && real(wait + time) > real(window) * (work / all)) continue;
      fit = {k + 1 - first, time, work > 0 ? real(wait + time) / work : 1};
    }
    return fit;
  }

  static double real(Duration d) noexcept { return static_cast<double>(d.count()); }

  takt::StreamTotals totals_;
  takt::Lineup line_;
  std::vector<double> sizes_;  // by accelerator
  std::vector<Block> blocks_;  // by accelerator
  Duration shortest_deadline_ = takt::kForever;
};

std::unique_ptr<takt::Dispatcher> make() {
  return std::make_unique<VeltairDispatcher>();
}

}  // namespace

TAKT_POLICY(veltair, "blocks of layers on the smallest accelerator that fits their share of the deadline",
            .dispatcher = make)
