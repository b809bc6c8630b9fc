// sdrm3: score-based scheduling with frame drop, supernet switching and online tuning, after SDRM3 (S. Kim et al.,
// arXiv 2212.03414; DREAM, ASPLOS 2023).
//
// Published: the score urgency * latency preference + alpha * starvation + beta * energy, a decision a layer, the best pair of
// ready job and idle accelerator first, tuning of alpha and beta on UXCost, frame drop, lighter subnets under load. Only the
// abstract is at hand: the terms' exact form, the ceiling of starvation, the rule for late jobs, the conditions of a drop, the
// subnet rule and the search are our reconstruction, and switches below.
// Energy is what the core reports of each job: live, where nothing measures it, 1 nJ a nanosecond (files/service_file.hpp).
// The search begins again from its best point when the set of streams changes.
//
// Variants, joined by '+': drop, supernet, tune; "full" is all of them.
// Settings: alpha, beta, starv (ceiling, 0: none), capped (urgency at most 1), late_rule (cap, clamp, negative), drop_any (also
// frames that others depend on), window_ms, radius (first one of the search), remeasure (the best point again after each step),
// columns (0: scores one by one, for comparison; the same bits).
// Where weights decide much the default search stops at humps that it is too narrow for and at lucky windows; radius=1,
// window_ms=2000 and remeasure=1 find good weights within five steps (bench/results/sdrm3-tuner.txt).
#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "policies/support/pattern_search.hpp"
#include "policies/support/score_columns.hpp"
#include "policies/support/settings.hpp"
#include "policies/support/uxcost.hpp"
#include "takt/policy.hpp"

namespace {

using takt::Duration;
using takt::Instant;
using takt::Snapshot;

struct Switches {
  bool drop = false, supernet = false, tune = false;
  takt::Weights weights;
  takt::ScoreRule rule;
  bool columns = true;
  bool drop_any = false;
  double window_ms = 500;
  takt::SearchRule search;
};

constexpr std::uint32_t kDropsAllowed = 2;  // of a stream's last ten frames

class Sdrm3 final : public takt::Policy {
 public:
  explicit Sdrm3(const Switches& switches) : s_(switches), search_(switches.weights, switches.search) {}

  void prepare(const takt::PolicyLimits& limits) override {
    window_.prepare(limits.streams);
    order_.reserve(limits.jobs);
    columns_.prepare(limits);
  }
  void observe(const takt::Ended& ended) noexcept override { window_.observe(ended); }
  void describe(takt::PolicyReport& report) const noexcept override {
    report.add("alpha", search_.point().alpha);
    report.add("beta", search_.point().beta);
    if (!s_.tune) return;
    report.add("best_alpha", search_.best().alpha);
    report.add("best_beta", search_.best().beta);
    report.add("best_cost", search_.best_cost());
    report.add("last_window_cost", last_cost_);
    report.add("windows", windows_);
    report.add("radius", search_.radius());
    report.add("steps", search_.steps());
    report.add("settled", search_.settled() ? 1 : 0);
    report.add("restarts", restarts_);
  }

  void decide(const Snapshot& s, takt::Plan& plan) noexcept override {
    if (s_.columns) columns_.follow(s);
    if (s.first) {
      if (s_.tune) tune(s);
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
  void tune(const Snapshot& s) noexcept {
    const Instant now = s.now;
    const auto window = Duration{static_cast<std::int64_t>(s_.window_ms * 1e6)};
    if (window_end_ == Instant{}) window_end_ = Instant{(now.time_since_epoch() / window + 1) * window};
    if (now < window_end_) return;
    window_end_ = Instant{(now.time_since_epoch() / window + 1) * window};
    if (window_.empty()) return;  // nothing was measured: the same point again
    ++windows_;
    last_cost_ = window_.close();
    const std::uint64_t before = std::exchange(workload_, workload(s));
    if (before == 0 || before == workload_) return search_.measured(last_cost_);
    ++restarts_;  // the window saw both workloads: it says nothing of either
    search_.restart();
  }

  // A number for the set of streams that are open: another one when a stream comes, goes or asks for something else.
  static std::uint64_t workload(const Snapshot& s) noexcept {
    std::uint64_t mark = 1;
    const auto mix = [&](std::uint64_t x) { mark = (mark ^ x) * 0x9e3779b97f4a7c15ULL, mark ^= mark >> 29; };
    for (std::size_t t = 0; t < s.streams.size(); ++t) {
      const takt::StreamView& stream = s.streams[t];
      if (stream.spec == nullptr) continue;
      mix(t);
      mix(stream.spec->model.value);
      mix(static_cast<std::uint64_t>(stream.spec->period.count()));
      mix(static_cast<std::uint64_t>(stream.spec->relative_deadline.count()));
      mix(std::uint64_t{stream.first} << 32 | stream.last);
    }
    return mark;
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
                          (ratio == largest && takt::older(r, s.waiting.rank[victim]));
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
    std::sort(order_.begin(), order_.end(), [&](std::uint32_t x, std::uint32_t y) { return takt::older(s.waiting.rank[x], s.waiting.rank[y]); });
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

  void dispatch(const Snapshot& s, takt::Plan& plan) noexcept {
    const takt::ScoreWeights weights{search_.point().alpha, search_.point().beta};
    const takt::ScoredPair best = s_.columns ? columns_.best(s, s_.rule, weights) : takt::best_pair(s, s_.rule, weights);
    if (best.job < s.waiting.size) plan.starts.push({s.waiting.job[best.job], takt::AcceleratorId{best.accelerator}, 1});
  }

  static double real(Duration d) noexcept { return static_cast<double>(d.count()); }

  const Switches s_;
  takt::PatternSearch search_;
  takt::ScoreColumns columns_;
  takt::UxCostWindow window_;
  Instant window_end_{};
  std::uint64_t workload_ = 0;            // what the search is about; 0: nothing yet
  unsigned windows_ = 0, restarts_ = 0;  // windows closed; searches begun again
  double last_cost_ = 0;                 // of the latest window
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
  set.number("starv", s.rule.starvation_ceiling, 0, 1e12);
  set.flag("capped", s.rule.capped);
  using takt::LateUrgency;
  constexpr std::array<std::pair<std::string_view, LateUrgency>, 3> kRules{
      {{"cap", LateUrgency::cap}, {"clamp", LateUrgency::clamp}, {"negative", LateUrgency::negative}}};
  set.word<LateUrgency>("late_rule", s.rule.late, kRules);
  set.flag("columns", s.columns);
  set.flag("drop_any", s.drop_any);
  set.number("window_ms", s.window_ms, 1, 1e6);
  set.number("radius", s.search.first_radius, 0.05, 2);
  set.flag("remeasure", s.search.remeasure);
  if (const std::string wrong = set.error(); !wrong.empty()) return tl::unexpected("sdrm3: " + wrong);
  return std::make_unique<Sdrm3>(s);
}

}  // namespace

TAKT_POLICY(sdrm3, "score of urgency, preference, starvation and energy; drop, supernet, tuning", .whole = make)
