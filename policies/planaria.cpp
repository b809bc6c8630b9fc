// planaria: least units that meet the slack, spare units shared by score, after Planaria (MICRO 2020).
//
// Published: a task gets the least units with which it meets its slack, spare units are shared by the score
// priority / (slack * units). Ours: a unit is an accelerator, reallocated at segment boundaries. A job is a chain on
// one accelerator at a time, so its units are the accelerators among which each of its segments may choose: the first
// gives the shortest chain alone, each further one shortens it most. Jobs go in the order of the score with the units
// they need, its slack being the time to the deadline; classes stand for priority; what cannot meet its slack with all
// units comes last. A job chooses among as many idle accelerators as it has units, and waits for a busy one that ends
// its segment sooner; a unit that it does not use at once is lent until the next boundary.
#include <vector>

#include "policies/support/lineup.hpp"
#include "policies/support/unit_sets.hpp"

namespace {

using takt::Duration;
using takt::Instant;
using takt::Snapshot;

class PlanariaDispatcher final : public takt::Dispatcher {
 public:
  void prepare(const takt::PolicyLimits& limits) override {
    line_.prepare(limits);
    sets_.prepare(limits);
    units_.reserve(limits.jobs);
  }

  void dispatch(const Snapshot& s, takt::Plan& plan) noexcept override {
    sets_.take(s);
    units_.clear();
    for (std::size_t i = 0; i < s.waiting.size; ++i) {
      sets_.look(s, i);
      units_.push_back(static_cast<std::uint32_t>(needed(s, i)));
    }
    if (!line_.take(s, [&](std::size_t i) { return key(s, i, units_[i]); })) return;
    share_spare(s);
    for (const takt::Lineup::Entry& e : line_.line()) {
      const std::size_t a = place(s, e.job);
      if (a == s.accelerators.size()) continue;
      if (line_.starts_now(s, a)) return takt::push_start(s, e.job, a, plan);
      line_.plan(a, line_.end(s, e.job, a));
    }
  }

  // The units of the running job are not in the snapshot: both are taken to need one.
  [[nodiscard]] bool outranks(const Snapshot& s, std::size_t i, std::size_t a) const noexcept override {
    const takt::Rank &x = s.waiting.rank[i], &y = s.accelerators[a].continuing;
    const auto order = [&](const takt::Rank& r) { return takt::order_of(r, score_key(r.deadline - s.now, 1)); };
    return takt::may_go(s, i, a) && order(x) < order(y);
  }

 private:
  // Least units with which the chain of waiting job i meets its deadline; more than there are if none do.
  [[nodiscard]] std::size_t needed(const Snapshot& s, std::size_t i) const noexcept {
    std::size_t units = 1;
    while (units <= sets_.count() && s.now + s.paced(sets_.time(s, i, units)) > s.waiting.rank[i].deadline) ++units;
    return units;
  }
  // The reciprocal of the score: the least goes first.
  static std::int64_t score_key(Duration slack, std::size_t units) noexcept {
    constexpr std::int64_t kMost = INT64_MAX / 4096;
    return std::clamp<std::int64_t>(slack.count(), 0, kMost) *
           static_cast<std::int64_t>(std::min<std::size_t>(units, 4095));
  }
  [[nodiscard]] std::int64_t key(const Snapshot& s, std::size_t i, std::size_t units) const noexcept {
    return units > sets_.count() ? INT64_MAX : score_key(s.waiting.rank[i].deadline - s.now, units);
  }

  // Units that neither run nor are needed go, one by one, to the job with the highest score for what it has by then.
  void share_spare(const Snapshot& s) noexcept {
    std::size_t taken = 0;
    for (const takt::AcceleratorView& a : s.accelerators) taken += a.up && !a.idle;
    for (const takt::Lineup::Entry& e : line_.line()) taken += std::min<std::size_t>(units_[e.job], sets_.count());
    for (; taken < sets_.count(); ++taken) {
      std::size_t best = s.waiting.size;
      takt::Order first{};
      for (const takt::Lineup::Entry& e : line_.line()) {
        if (units_[e.job] >= sets_.count()) continue;
        const takt::Order order = takt::order_of(s.waiting.rank[e.job], key(s, e.job, units_[e.job]));
        if (best == s.waiting.size || order < first) best = e.job, first = order;
      }
      if (best == s.waiting.size) return;
      ++units_[best];
    }
  }

  // Where the next segment ends first and the slack is met: on an idle accelerator, as many of which are looked at as
  // the job has units, or on a busy one; then on any. If none meets it, the idle one that ends first.
  [[nodiscard]] std::size_t place(const Snapshot& s, std::size_t i) const noexcept {
    const std::size_t none = s.accelerators.size(), all = sets_.count();
    const std::size_t own = first_to_end(s, i, {.idle = std::min<std::size_t>(units_[i], all)});
    if (own < none) return own;
    const std::size_t any = first_to_end(s, i, {.idle = all});
    return any < none ? any : first_to_end(s, i, {.idle = all, .busy = false, .late = true});
  }
  struct Among {
    std::size_t idle = 0;  // at most so many of these
    bool busy = true;
    bool late = false;  // also where its slack is not met
  };
  [[nodiscard]] std::size_t first_to_end(const Snapshot& s, std::size_t i, Among among) const noexcept {
    std::size_t best = s.accelerators.size();
    Instant least = takt::kNever;
    const Duration rest = s.paced(sets_.after(s, i, std::min<std::size_t>(units_[i], sets_.count())));
    for (std::size_t n = 0; n < sets_.count(); ++n) {
      const std::size_t a = sets_.unit(s, i, n);
      if (!line_.open(s, i, a)) continue;
      const bool idle = line_.starts_now(s, a);
      if (idle ? among.idle == 0 : !among.busy) continue;
      among.idle -= idle;
      const Instant end = line_.end(s, i, a);
      if (end >= least || (!among.late && end + rest > s.waiting.rank[i].deadline)) continue;
      least = end;
      best = a;
    }
    return best;
  }

  takt::Lineup line_;
  takt::UnitSets sets_;
  std::vector<std::uint32_t> units_;  // of each waiting job; at first what it needs
};

std::unique_ptr<takt::Dispatcher> make() {
  return std::make_unique<PlanariaDispatcher>();
}

}  // namespace

TAKT_POLICY(planaria, "least accelerators that meet the slack, spare ones shared by score", .dispatcher = make)
