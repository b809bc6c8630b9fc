// sdrm3: score-based scheduling with frame drop, supernet switching and online tuning, after SDRM3 (S. Kim et al.,
// arXiv 2212.03414; DREAM, ASPLOS 2023).
//
// Published: the score urgency * latency preference + alpha * starvation + beta * energy, a decision a layer, the best pair of
// ready job and idle accelerator first, tuning of alpha and beta on UXCost, frame drop, lighter subnets under load. Only the
// abstract is at hand: the terms' exact form, the ceiling of starvation, the rule for late jobs, the conditions of a drop, the
// subnet rule and the search are our reconstruction, and switches below.
//
// Variants, joined by '+': drop, supernet, tune; "full" is all of them.
// Settings: alpha, beta, starv (ceiling, 0: none), capped (urgency at most 1), late_rule (cap, clamp, negative), drop_any (also
// frames that others depend on), window_ms.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "policies/support/pattern_search.hpp"
#include "policies/support/settings.hpp"
#include "policies/support/uxcost.hpp"
#include "takt/policy.hpp"

namespace {

using takt::Duration;
using takt::Instant;
using takt::Snapshot;

enum class LateRule : std::uint8_t { cap, clamp, negative };

struct Switches {
  bool drop = false, supernet = false, tune = false;
  takt::Weights weights;
  double starvation_ceiling = 10;
  bool capped = true;
  LateRule late = LateRule::cap;
  bool drop_any = false;
  double window_ms = 500;
};

constexpr std::uint32_t kDropsAllowed = 2;  // of a stream's last ten frames

// Jobs in the order that breaks ties.
bool older(const takt::Rank& x, const takt::Rank& y) noexcept {
  if (x.release != y.release) return x.release < y.release;
  return x.stream != y.stream ? x.stream < y.stream : x.frame < y.frame;
}

class Sdrm3 final : public takt::Policy {
 public:
  explicit Sdrm3(const Switches& switches) : s_(switches), search_(switches.weights) {}

  void prepare(const takt::PolicyLimits& limits) override {
    window_.prepare(limits.streams);
    order_.reserve(limits.jobs);
  }
  void observe(const takt::Ended& ended) noexcept override { window_.observe(ended); }

  void decide(const Snapshot& s, takt::Plan& plan) noexcept override {
    if (s.first) {
      if (s_.tune) tune(s.now);
      chosen_ = !s_.supernet;
      if (s_.drop && drop(s, plan)) return;
    }
    if (!chosen_) {
      chosen_ = true;
      choose_subnets(s, plan);
      if (!plan.reroutes.empty()) return;
    }
    dispatch(s, plan);
  }

 private:
  void tune(Instant now) noexcept {
    const auto window = Duration{static_cast<std::int64_t>(s_.window_ms * 1e6)};
    if (window_end_ == Instant{}) window_end_ = Instant{(now.time_since_epoch() / window + 1) * window};
    if (now < window_end_) return;
    window_end_ = Instant{(now.time_since_epoch() / window + 1) * window};
    if (window_.empty()) return;  // nothing was measured: the same point again
    search_.measured(window_.close());
  }

  static Duration slack(const Snapshot& s, const takt::Rank& r) noexcept { return r.deadline - s.now; }

  // At most one job an instant: the one with the largest ratio of least work to slack among those that cannot be in time.
  bool drop(const Snapshot& s, takt::Plan& plan) const noexcept {
    std::size_t victim = s.waiting.size, expected_to_miss = 0;
    double largest = 0;
    for (std::size_t i = 0; i < s.waiting.size; ++i) {
      const takt::Rank& r = s.waiting.rank[i];
      if (r.togo_min <= slack(s, r)) continue;
      ++expected_to_miss;
      const takt::StreamView& stream = s.streams[r.stream.value];
      if (stream.recent_drops >= kDropsAllowed || (stream.has_children && !s_.drop_any)) continue;
      const double ratio = slack(s, r) <= Duration::zero() ? std::numeric_limits<double>::infinity()
                                                           : real(r.togo_min) / real(slack(s, r));
      const bool better = victim == s.waiting.size || ratio > largest ||
                          (ratio == largest && older(r, s.waiting.rank[victim]));
      if (better) victim = i, largest = ratio;
    }
    if (expected_to_miss < 2 || victim == s.waiting.size) return false;
    plan.drops.push(s.waiting.job[victim]);
    return true;
  }

  // Jobs that have not begun, oldest first: the first listed subnet whose least work fits the slack behind the backlog's share.
  void choose_subnets(const Snapshot& s, takt::Plan& plan) noexcept {
    const auto count = static_cast<std::int64_t>(s.accelerators.size());
    Duration backlog{};
    for (const takt::AcceleratorView& a : s.accelerators) backlog += a.running_togo;
    order_.clear();
    for (std::uint32_t i = 0; i < s.waiting.size; ++i) {
      backlog += s.waiting.rank[i].togo_min;
      if (!s.waiting.trail[i].ran_on.valid()) order_.push_back(i);
    }
    std::sort(order_.begin(), order_.end(), [&](std::uint32_t x, std::uint32_t y) { return older(s.waiting.rank[x], s.waiting.rank[y]); });
    for (const std::uint32_t i : order_) {
      const takt::Rank& r = s.waiting.rank[i];
      const takt::StreamView& stream = s.streams[r.stream.value];
      backlog -= r.togo_min;
      std::uint32_t k = stream.first;
      const std::size_t done = s.waiting.segment[i];
      const auto fits = [&] { return count * stream.routes[k].togo_min[std::min(done, stream.routes[k].length())] + backlog <= count * slack(s, r); };
      while (k + 1 < stream.last && !fits()) ++k;
      backlog += stream.routes[k].togo_min[std::min(done, stream.routes[k].length())];
      if (takt::RouteId{k} != s.waiting.route[i]) plan.reroutes.push({s.waiting.job[i], takt::RouteId{k}});
    }
  }

  void dispatch(const Snapshot& s, takt::Plan& plan) const noexcept {
    std::size_t job = s.waiting.size, place = 0;
    double best = 0;
    for (std::size_t i = 0; i < s.waiting.size; ++i) {
      const Terms terms = terms_of(s, i);
      for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
        if (!s.can_start(i, a)) continue;
        const double value = score(s, i, a, terms);
        const bool better = job == s.waiting.size || value > best ||
                            (value == best && job != i && older(s.waiting.rank[i], s.waiting.rank[job]));
        if (better) job = i, place = a, best = value;
      }
    }
    if (job < s.waiting.size) plan.starts.push({s.waiting.job[job], takt::AcceleratorId{place}, 1});
  }

  // What does not depend on the accelerator.
  struct Terms {
    double urgency = 0, starvation = 0, latencies = 0, energies = 0;
  };

  Terms terms_of(const Snapshot& s, std::size_t i) const noexcept {
    const takt::Rank& r = s.waiting.rank[i];
    Duration sum{};
    Terms t;
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      const takt::Cost& cost = s.costs->at(takt::AcceleratorId{a}, s.waiting.next[i]);
      if (!cost.runnable()) continue;
      sum += cost.expected;
      t.energies += s.costs->effort(takt::AcceleratorId{a}, s.waiting.next[i]).energy_nj;
    }
    const double count = static_cast<double>(s.accelerators.size());
    t.latencies = real(sum);
    t.urgency = urgency(real(r.togo_sum) / count, real(slack(s, r)));
    const double mean = t.latencies / count;
    t.starvation = mean > 0 ? real(s.now - s.waiting.trail[i].since) / mean : 0;
    if (s_.starvation_ceiling > 0) t.starvation = std::min(t.starvation, s_.starvation_ceiling);
    return t;
  }

  [[nodiscard]] double urgency(double togo, double left) const noexcept {
    if (left <= 0) {
      if (s_.late == LateRule::cap) return 1;
      if (s_.late == LateRule::clamp) left = 1;
      if (left == 0) left = -1;  // at the deadline, under rule "negative"
    }
    const double ratio = togo / left;
    return s_.capped ? std::min(ratio, 1.0) : ratio;
  }

  [[nodiscard]] double score(const Snapshot& s, std::size_t i, std::size_t a, const Terms& t) const noexcept {
    const takt::AcceleratorId id{a};
    const double latency = real(s.costs->at(id, s.waiting.next[i]).expected);
    const double energy_here = s.costs->effort(id, s.waiting.next[i]).energy_nj;
    const double preference = latency > 0 ? t.latencies / latency : 1;
    const double exchange = s.accelerators[a].exchange.nj_per_byte * static_cast<double>(s.switch_bytes(i, a));
    const double energy = energy_here > 0 ? (t.energies - exchange) / energy_here : 0;
    const takt::Weights& w = search_.point();
    return t.urgency * preference + w.alpha * t.starvation + w.beta * energy;
  }

  static double real(Duration d) noexcept { return static_cast<double>(d.count()); }

  const Switches s_;
  takt::PatternSearch search_;
  takt::UxCostWindow window_;
  Instant window_end_{};
  std::vector<std::uint32_t> order_;
  bool chosen_ = false;  // subnets, in this instant
};

std::string read_variant(std::string_view variant, Switches& s) {
  for (std::size_t from = 0; from < variant.size();) {
    const std::size_t plus = std::min(variant.find('+', from), variant.size());
    const std::string_view part = variant.substr(from, plus - from);
    from = plus + 1;
    const bool all = part == "full";
    if (!all && part != "drop" && part != "supernet" && part != "tune")
      return "sdrm3 has no variant '" + std::string(part) + "'; there are: drop, supernet, tune, full";
    s.drop |= all || part == "drop";
    s.supernet |= all || part == "supernet";
    s.tune |= all || part == "tune";
  }
  return {};
}

tl::expected<std::unique_ptr<takt::Policy>, std::string> make(const takt::PolicyOptions& options) {
  Switches s;
  if (const std::string wrong = read_variant(options.variant, s); !wrong.empty()) return tl::unexpected(wrong);
  takt::Settings set(options.settings);
  set.number("alpha", s.weights.alpha, 0, 1e6);
  set.number("beta", s.weights.beta, 0, 1e6);
  set.number("starv", s.starvation_ceiling, 0, 1e12);
  set.flag("capped", s.capped);
  constexpr std::array<std::pair<std::string_view, LateRule>, 3> kRules{
      {{"cap", LateRule::cap}, {"clamp", LateRule::clamp}, {"negative", LateRule::negative}}};
  set.word<LateRule>("late_rule", s.late, kRules);
  set.flag("drop_any", s.drop_any);
  set.number("window_ms", s.window_ms, 1, 1e6);
  if (const std::string wrong = set.error(); !wrong.empty()) return tl::unexpected("sdrm3: " + wrong);
  return std::make_unique<Sdrm3>(s);
}

}  // namespace

TAKT_POLICY(sdrm3, "score of urgency, preference, starvation and energy; drop, supernet, tuning", .whole = make)
