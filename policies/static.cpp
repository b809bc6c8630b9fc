// static: every stream's model pinned to one accelerator, earliest deadline first on each. The usual reference point of
// papers on several accelerators (partitioned scheduling); no source of its own.
//
// Ours: the pin is where the first subnet takes least in total; ties go to the least load assigned so far, in stream
// order, then to file order. Pins are made anew when a stream or an accelerator is new. A job that may not go on its
// pin (it holds its activation elsewhere, hard streams leave no room, a segment cannot run there) takes the accelerator
// that is fastest for it.
#include <vector>

#include "policies/support/lineup.hpp"
#include "policies/support/stream_totals.hpp"

namespace {

using takt::Duration;
using takt::Snapshot;

constexpr double kUnknownPeriod = 1e9;  // ns; of a stream without period and deadline

class StaticDispatcher final : public takt::Dispatcher {
 public:
  void prepare(const takt::PolicyLimits& limits) override {
    totals_.prepare(limits);
    pins_.assign(limits.streams, 0);
    load_.assign(limits.accelerators, 0);
  }

  void dispatch(const Snapshot& s, takt::Plan& plan) noexcept override {
    if (totals_.refresh(s)) pin(s);
    std::size_t best = s.waiting.size, where = 0;
    for (std::size_t i = 0; i < s.waiting.size; ++i) {
      if (best < s.waiting.size &&
          takt::deadline_order(s.waiting.rank[i]) >= takt::deadline_order(s.waiting.rank[best]))
        continue;
      const std::size_t a = place(s, i);
      if (a == s.accelerators.size() || !s.can_start(i, a)) continue;
      best = i;
      where = a;
    }
    if (best < s.waiting.size) takt::push_start(s, best, where, plan);
  }

  [[nodiscard]] bool outranks(const Snapshot& s, std::size_t i, std::size_t a) const noexcept override {
    return place(s, i) == a &&
           takt::deadline_order(s.waiting.rank[i]) < takt::deadline_order(s.accelerators[a].continuing);
  }

 private:
  void pin(const Snapshot& s) noexcept {
    load_.assign(load_.size(), 0);
    for (std::size_t t = 0; t < s.streams.size(); ++t) {
      if (!totals_.known(t)) continue;
      std::size_t best = 0;
      for (std::size_t a = 1; a < s.accelerators.size(); ++a) {
        const Duration here = totals_.total(t, a), least = totals_.total(t, best);
        if (here < least || (here == least && load_[a] < load_[best])) best = a;
      }
      pins_[t] = static_cast<std::uint32_t>(best);
      load_[best] += static_cast<double>(totals_.total(t, best).count()) / period(*s.streams[t].spec);
    }
  }
  static double period(const takt::StreamSpec& spec) noexcept {
    if (spec.period > Duration::zero()) return static_cast<double>(spec.period.count());
    if (spec.relative_deadline > Duration::zero()) return static_cast<double>(spec.relative_deadline.count());
    return kUnknownPeriod;
  }

  // Where waiting job i goes, idle or busy; the number of accelerators if it may go nowhere.
  [[nodiscard]] std::size_t place(const Snapshot& s, std::size_t i) const noexcept {
    const std::size_t pinned = pins_[s.waiting.rank[i].stream.value];
    if (takt::may_go(s, i, pinned)) return pinned;
    std::size_t best = s.accelerators.size();
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      if (!takt::may_go(s, i, a)) continue;
      if (best == s.accelerators.size() || expected(s, i, a) < expected(s, i, best)) best = a;
    }
    return best;
  }
  static Duration expected(const Snapshot& s, std::size_t i, std::size_t a) noexcept {
    return s.costs->at(takt::AcceleratorId{a}, s.waiting.next[i]).expected;
  }

  takt::StreamTotals totals_;
  std::vector<std::uint32_t> pins_;  // by stream
  std::vector<double> load_;         // by accelerator
};

std::unique_ptr<takt::Dispatcher> make() {
  return std::make_unique<StaticDispatcher>();
}

}  // namespace

TAKT_POLICY(static, "each stream on its best accelerator, earliest deadline first there", .dispatcher = make)
