// terastal: layers against virtual deadlines, after Terastal (RTCSA 2026).
//
// Published: virtual deadline budgets per layer; ready layers sorted by best-case slack to the virtual deadline;
// earliest finish among feasible idle accelerators; a lighter layer variant when none is feasible; then backfill. Ours:
// the budgets are shares of the time to the deadline in proportion to the layers' least times, either of the whole job
// from its release on or, anew, of what remains when a layer becomes ready; a lighter variant is a lighter subnet from
// this layer on, the heaviest that is feasible, or that can still be in time where the present one cannot; the order
// and the limits of backfill below.
//
// Variant: drop (gives up what cannot be in time even on the lightest subnet).
// Settings: budget (release, ready), wait (1: backfill leaves a layer to a busy accelerator that ends it sooner).
#include <array>
#include <cmath>

#include "policies/support/lightest.hpp"
#include "policies/support/lineup.hpp"
#include "policies/support/settings.hpp"

namespace {

using takt::Duration;
using takt::Instant;
using takt::Route;
using takt::Snapshot;

enum class Budget : std::uint8_t { release, ready };

struct Switches {
  bool drop = false;
  Budget budget = Budget::ready;
  bool wait = true;
};

class Terastal final : public takt::Policy {
 public:
  explicit Terastal(const Switches& switches) : s_(switches) {}

  void prepare(const takt::PolicyLimits& limits) override { line_.prepare(limits); }

  void decide(const Snapshot& s, takt::Plan& plan) noexcept override {
    if (s.first) {
      recalled_ = false;
      if (s_.drop) drop(s, plan);
      if (!plan.drops.empty()) return;
    }
    if (!recalled_) recall(s, plan);
    recalled_ = true;
    if (!line_.take(s, [&](std::size_t i) { return best_case_start(s, i); })) return;
    for (const takt::Lineup::Entry& e : line_.line())
      if (start(s, e.job, s.route(e.job), plan) || start_lighter(s, e.job, plan)) return;
    (void)(backfill(s, plan, false) || backfill(s, plan, true));
  }

 private:
  static void drop(const Snapshot& s, takt::Plan& plan) noexcept {
    for (std::size_t i = 0; i < s.waiting.size; ++i)
      if (takt::infeasible(s, i)) plan.drops.push(s.waiting.job[i]);
  }
  // What was posted ahead gives way to a job with less slack. To the deadline: where the running job is in its chain is
  // not in the snapshot.
  static void recall(const Snapshot& s, takt::Plan& plan) noexcept {
    const auto order = [&](const takt::Rank& r) { return takt::order_of(r, s.slack(r).count()); };
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      if (!s.accelerators[a].continues) continue;
      for (std::size_t i = 0; i < s.waiting.size; ++i) {
        if (!takt::may_go(s, i, a) || order(s.waiting.rank[i]) >= order(s.accelerators[a].continuing)) continue;
        plan.recalls.push(takt::AcceleratorId{a});
        break;
      }
    }
  }

  // The end of the budget of the next segment of waiting job i on a route that continues what it has begun.
  [[nodiscard]] Instant virtual_deadline(const Snapshot& s, std::size_t i, const Route& route) const noexcept {
    const takt::Rank& r = s.waiting.rank[i];
    const std::size_t next = s.waiting.segment[i];
    return s_.budget == Budget::ready ? share_end(r, route, s.waiting.trail[i].since, next, next)
                                      : share_end(r, route, r.release, 0, next);
  }
  // When segment `next` ends if the time from `from` to the deadline is shared by segment `first` and those after it.
  static Instant share_end(const takt::Rank& r, const Route& route, Instant from, std::size_t first,
                           std::size_t next) noexcept {
    const double all = real(route.togo_min[first]);
    if (all <= 0 || from >= r.deadline) return r.deadline;
    const double after = real(r.deadline - from) * real(route.togo_min[next + 1u]) / all;
    return r.deadline - Duration{static_cast<Duration::rep>(std::ceil(after))};
  }
  // When the next segment must start on its fastest accelerator: orders as the best-case slack does.
  [[nodiscard]] std::int64_t best_case_start(const Snapshot& s, std::size_t i) const noexcept {
    const Route& route = s.route(i);
    const std::size_t next = s.waiting.segment[i];
    return takt::to_ns(virtual_deadline(s, i, route) - s.paced(route.togo_min[next] - route.togo_min[next + 1u]));
  }

  // As can_start() and next_time() for another route.
  static bool can_start(const Snapshot& s, std::size_t i, std::size_t a, const Route& route) noexcept {
    const takt::AcceleratorView& acc = s.accelerators[a];
    const std::size_t next = s.waiting.segment[i];
    if (!acc.up || !acc.idle || next >= route.length()) return false;
    const takt::Cost& cost = s.costs->at(takt::AcceleratorId{a}, route.path[next]);
    if (!cost.runnable() || cost.budget > acc.soft_limit) return false;
    if (s.waiting.holds[i].valid()) return s.waiting.holds[i] == acc.pool;
    return next + 1 == route.length() || acc.free_slots > 0;
  }
  static Duration time_of(const Snapshot& s, std::size_t i, std::size_t a, const Route& route) noexcept {
    const takt::AcceleratorView& acc = s.accelerators[a];
    const Duration expected = s.costs->at(takt::AcceleratorId{a}, route.path[s.waiting.segment[i]]).expected;
    return takt::scaled(expected + acc.exchange.time(s.switch_bytes(i, a)), acc.pace);
  }
  // The idle accelerator that ends the next segment first; their number if none does by `limit`.
  static std::size_t feasible(const Snapshot& s, std::size_t i, const Route& route, Instant limit) noexcept {
    std::size_t best = s.accelerators.size();
    Duration least = limit - s.now;
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      if (!can_start(s, i, a, route)) continue;
      const Duration time = time_of(s, i, a, route);
      if (time < least || (time == least && best == s.accelerators.size())) least = time, best = a;
    }
    return best;
  }

  // Starts waiting job i on a route if an idle accelerator keeps its virtual deadline.
  [[nodiscard]] bool start(const Snapshot& s, std::size_t i, const Route& route, takt::Plan& plan) const noexcept {
    const std::size_t a = feasible(s, i, route, virtual_deadline(s, i, route));
    if (a < s.accelerators.size()) takt::push_start(s, i, a, plan);
    return a < s.accelerators.size();
  }
  [[nodiscard]] bool start_lighter(const Snapshot& s, std::size_t i, takt::Plan& plan) const noexcept {
    const takt::StreamView& stream = s.streams[s.waiting.rank[i].stream.value];
    const std::size_t next = s.waiting.segment[i];
    const auto lighter = [&](std::size_t k) {
      const Route& route = stream.routes[k];
      return route.continues(s.route(i), next) && next < route.length() &&
             route.togo_min[next] < s.route(i).togo_min[next];
    };
    const auto take = [&](std::size_t k) { plan.reroutes.push({s.waiting.job[i], takt::RouteId{k}}); };
    for (std::size_t k = stream.first; k < stream.last; ++k)
      if (lighter(k) && start(s, i, stream.routes[k], plan)) return take(k), true;
    const Instant deadline = s.waiting.rank[i].deadline;
    if (s.now + s.paced(s.route(i).togo_min[next]) <= deadline) return false;
    for (std::size_t k = stream.first; k < stream.last; ++k) {
      if (!lighter(k)) continue;
      const std::size_t a = feasible(s, i, stream.routes[k], deadline - s.paced(stream.routes[k].togo_min[next + 1u]));
      if (a == s.accelerators.size()) continue;
      takt::push_start(s, i, a, plan);
      return take(k), true;
    }
    return false;
  }

  // Idle accelerators take layers that miss their virtual deadlines, in line; those of jobs that are lost come last.
  [[nodiscard]] bool backfill(const Snapshot& s, takt::Plan& plan, bool lost) noexcept {
    for (const takt::Lineup::Entry& e : line_.line()) {
      if (takt::infeasible(s, e.job) != lost) continue;
      const std::size_t a =
          s_.wait ? line_.earliest_finish(s, e.job) : feasible(s, e.job, s.route(e.job), takt::kNever);
      if (a == s.accelerators.size()) continue;
      if (line_.starts_now(s, a)) return takt::push_start(s, e.job, a, plan), true;
      line_.plan(a, line_.end(s, e.job, a));
    }
    return false;
  }

  static double real(Duration d) noexcept { return static_cast<double>(d.count()); }

  const Switches s_;
  takt::Lineup line_;
  bool recalled_ = false;  // in this instant
};

tl::expected<std::unique_ptr<takt::Policy>, std::string> make(const takt::PolicyOptions& options) {
  Switches s;
  if (!options.variant.empty() && options.variant != "drop")
    return tl::unexpected("terastal has no variant '" + std::string(options.variant) + "'; there is: drop");
  s.drop = options.variant == "drop";
  takt::Settings set(options.settings);
  constexpr std::array<std::pair<std::string_view, Budget>, 2> kBudgets{
      {{"release", Budget::release}, {"ready", Budget::ready}}};
  set.word<Budget>("budget", s.budget, kBudgets);
  set.flag("wait", s.wait);
  if (const std::string wrong = set.error(); !wrong.empty()) return tl::unexpected("terastal: " + wrong);
  return std::make_unique<Terastal>(s);
}

}  // namespace

TAKT_POLICY(terastal, "layers against virtual deadlines, lighter subnets when none is feasible, backfill",
            .whole = make)
