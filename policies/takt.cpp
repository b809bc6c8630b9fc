// takt: keeps a timetable of everything that is left to do, and gives up at once what does not fit into it. Our own.
//
// When jobs arrive, or what runs has fallen behind, the timetable is drawn up anew: jobs in the order of deadline -
// togo / 4, each segment chain put into the gaps left by those before it (policies/support/timetable.hpp), at the price
// of fast accelerators as long as it is in time, else as early as it can be. One that does not fit takes the place of
// the heaviest job before it if that is heavier (after Moore and Hodgson, Management Science 1968); if jobs are lost
// all streams go down to lighter subnets, as far as that saves more. Streams that could not all keep their most
// accurate subnets at their periods have them in a part of their frames only (policies/support/upgrades.hpp). In
// between, accelerators follow their lines; that is all that a dispatch does.
//
// A parent is to end early enough for its children. Segments that are often skipped are planned with the part of their
// time that they usually take. Fast accelerators cost (speed / slowest)^2 - 1: the "smallest resource" of Veltair
// (ASPLOS 2022).
//
// Where launches take several jobs capacity comes from batches, which a timetable of single jobs does not see: there it
// is edf+early_drop+fit.
//
// Settings: thrift (weight of that price, 0: always the earliest end), lead (part of the work ahead that a deadline is
// brought forward by), capacity (part of all time that is shared out to better subnets), exchange, skips, subnets (0:
// without).
#include <algorithm>
#include <cstdint>
#include <vector>

#include "policies/support/compose.hpp"
#include "policies/support/lightest.hpp"
#include "policies/support/lineup.hpp"
#include "policies/support/passengers.hpp"
#include "policies/support/settings.hpp"
#include "policies/support/stream_totals.hpp"
#include "policies/support/timetable.hpp"
#include "policies/support/upgrades.hpp"

namespace {

using takt::Duration;
using takt::Instant;
using takt::JobId;
using takt::Passenger;
using takt::Snapshot;
using takt::Timetable;

struct Weights {
  double thrift = 0.3, lead = 0.25, capacity = 0.95;
  bool exchange = true, skips = true, subnets = true;
};

constexpr std::size_t kHorizon = 64;    // jobs in the timetable; more wait until some are gone
constexpr std::size_t kExchanges = 16;  // attempts a timetable: bounds the time of a decision
constexpr std::size_t kSteps = 4;       // from the most accurate to the cheapest subnets
constexpr std::size_t kAhead = 8;       // bookings of a line that may go before others that are not ready
// Part of the time to its deadline by which a job may be behind its booking before a new timetable is drawn up.
constexpr std::int64_t kBehind = 128;

class Takt final : public takt::Policy {
 public:
  Takt(const Weights& weights, std::unique_ptr<takt::Policy> batched) : w_(weights), batched_(std::move(batched)) {}

  void prepare(const takt::PolicyLimits& limits) override {
    batched_->prepare(limits);
    table_.prepare(limits, kHorizon);
    best_table_.prepare(limits, kHorizon);
    totals_.prepare(limits);
    watch_.prepare(limits);
    upgrades_.prepare(limits);
    passengers_.prepare(limits, kHorizon);
    best_passengers_.reserve(kHorizon);
    prices_.assign(limits.accelerators, 0);
    up_.assign(limits.accelerators, 0);
  }

  void decide(const Snapshot& s, takt::Plan& plan) noexcept override {
    if (s.max_batch > 1) return batched_->decide(s, plan);
    if (s.first) {
      const bool fresh = watch_.look(s);
      if (stale(s) || fresh) draw_up(s, plan);
    }
    recall(s, plan);
    if (!plan.drops.empty() || !plan.reroutes.empty()) return;
    follow(s, plan);
  }
  void observe(const takt::Ended& ended) noexcept override { batched_->observe(ended); }
  void describe(takt::PolicyReport& report) const noexcept override {
    batched_->describe(report);
    report.add("timetables", static_cast<double>(drawn_));
    report.add("jobs_given_up", static_cast<double>(given_up_));
  }

 private:
  // Whether something has happened that the timetable does not know of.
  [[nodiscard]] bool stale(const Snapshot& s) noexcept {
    bool changed = false;
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      const takt::AcceleratorView& acc = s.accelerators[a];
      changed |= up_[a] != static_cast<std::uint8_t>(acc.up);
      up_[a] = static_cast<std::uint8_t>(acc.up);
      while (!table_.line(a).empty() && gone_by(s, table_.line(a)[0])) table_.take_out(a, 0);
      if (table_.line(a).empty()) {
        changed |= passengers_.some_left_out() && acc.up && acc.idle;
        continue;
      }
      const Timetable::Booking& next = table_.line(a)[0];
      const Instant from = acc.idle ? s.now : acc.running_until;
      const Duration left = std::max(watch_.of(next.job).rank.deadline - s.now, Duration::zero());
      changed |= from - next.start > left / kBehind || in_vain(s, next);
    }
    return changed;
  }
  // Whether a booking of what was to run even if it is late has lost its sense.
  [[nodiscard]] static bool in_vain(const Snapshot& s, const Timetable::Booking& b) noexcept {
    const std::uint32_t i = s.waiting.place[b.job.value];
    return i != takt::WaitingJobs::kAbsent && b.end > s.waiting.rank[i].deadline && !takt::late_is_wanted(s, i) &&
           takt::infeasible(s, i);
  }
  // Whether a booking is of a segment that has begun, was skipped or will never be.
  [[nodiscard]] static bool gone_by(const Snapshot& s, const Timetable::Booking& b) noexcept {
    const std::uint32_t i = s.waiting.place[b.job.value];
    if (i != takt::WaitingJobs::kAbsent) return s.waiting.segment[i] > b.segment;
    for (const takt::AcceleratorView& a : s.accelerators)
      if (a.running == b.job) return a.running_segment >= b.segment;
    return true;
  }

  void draw_up(const Snapshot& s, takt::Plan& plan) noexcept {
    ++drawn_;
    passengers_.gather(s, watch_, w_.lead, w_.skips);
    set_prices(s);
    const std::size_t steps = any_choice(s) ? kSteps : 1;
    double least = 0;
    for (std::size_t step = 0; step < steps; ++step) {
      const double lost = build(s, step);
      if (step == 0 || lost < least) {
        least = lost;
        table_.copy_to(best_table_);
        best_passengers_ = passengers_.all();
      }
      if (lost == 0) break;
    }
    best_table_.copy_to(table_);
    for (const Passenger& p : best_passengers_) settle(s, p, plan);
  }

  [[nodiscard]] bool any_choice(const Snapshot& s) const noexcept {
    for (std::size_t i = 0; i < s.waiting.size && w_.subnets; ++i) {
      const takt::StreamView& stream = s.streams[s.waiting.rank[i].stream.value];
      if (stream.last - stream.first > 1) return true;
    }
    return false;
  }
  void set_prices(const Snapshot& s) noexcept {
    upgrades_.refresh(s, w_.capacity);
    if (!totals_.refresh(s)) return;
    totals_.speeds(prices_);
    const double slowest = *std::min_element(prices_.begin(), prices_.end());
    for (double& price : prices_) price = price * price / (slowest * slowest) - 1;
  }

  // Draws up the timetable with subnets of a step; what is lost: 1 a job, and a little more for one that is nearly
  // done.
  double build(const Snapshot& s, std::size_t step) noexcept {
    table_.open(s, prices_);
    std::size_t exchanges = w_.exchange ? kExchanges : 0;
    for (std::size_t n = 0; n < passengers_.all().size(); ++n) {
      Passenger& p = passengers_.all()[n];
      if (p.place != takt::WaitingJobs::kAbsent) choose_route(s, p, step);
      p.work = p.chain.route->togo_min[std::min(p.chain.first, p.chain.route->length())];
      p.booked = p.deadline < takt::kNever && book(s, p);
      if (p.booked || p.deadline >= takt::kNever || exchanges == 0) continue;
      --exchanges;
      exchange(s, n);
    }
    double lost = 0;
    for (Passenger& p : passengers_.all()) {
      if (p.booked) continue;
      if (p.deadline < takt::kNever) lost += 1 + 1e-3 / (1 + 1e-6 * static_cast<double>(p.work.count()));
      if (keeps(s, p)) p.booked = table_.book(s, p.chain, takt::kNever, 0);
    }
    return lost;
  }
  // In the end the most accurate subnet from a step on that continues what was begun, else the one it has.
  void choose_route(const Snapshot& s, Passenger& p, std::size_t step) const noexcept {
    const takt::StreamView& stream = s.streams[s.waiting.rank[p.place].stream.value];
    p.route = s.waiting.route[p.place];
    p.chain.route = &s.route(p.place);
    const takt::Rank& rank = s.waiting.rank[p.place];
    const std::size_t best = upgrades_.best(s, rank.stream, rank.frame);
    for (std::size_t k = w_.subnets ? step : kSteps; k < kSteps; ++k) {
      const takt::RouteId r{std::max(best, stream.first + (stream.last - 1 - stream.first) * k / (kSteps - 1))};
      if (!stream.routes[r.value].continues(s.route(p.place), p.chain.first)) continue;
      p.route = r;
      p.chain.route = &stream.routes[r.value];
      return;
    }
  }
  [[nodiscard]] bool book(const Snapshot& s, const Passenger& p) noexcept {
    // Thrift counts on nothing: who takes a slow accelerator must be in time even if no segment is skipped.
    const Instant due = p.due - skipped_time(p.chain);
    if (w_.thrift > 0 && (table_.book(s, p.chain, due, w_.thrift) || table_.book(s, p.chain, due, w_.thrift / 4)))
      return true;
    return table_.book(s, p.chain, p.deadline, 0);
  }
  // What a chain usually takes less than its whole least time.
  [[nodiscard]] static Duration skipped_time(const takt::Chain& c) noexcept {
    double sum = 0;
    for (std::size_t k = c.first; k < std::min(c.route->length(), c.parts.size()); ++k)
      sum += (1 - static_cast<double>(c.parts[k])) *
             static_cast<double>((c.route->togo_min[k] - c.route->togo_min[k + 1]).count());
    return Duration{static_cast<Duration::rep>(sum)};
  }
  // Books passenger n in the place of the heaviest one before it, if that is heavier and may be given up.
  void exchange(const Snapshot& s, std::size_t n) noexcept {
    Passenger& p = passengers_.all()[n];
    Passenger* heaviest = nullptr;
    for (std::size_t m = 0; m < n; ++m) {
      Passenger& other = passengers_.all()[m];
      if (!other.booked || other.order.criticality < p.order.criticality || !may_lose(s, other)) continue;
      if (other.work > (heaviest != nullptr ? heaviest->work : p.work)) heaviest = &other;
    }
    if (heaviest == nullptr) return;
    table_.cancel(heaviest->chain.job);
    p.booked = book(s, p);
    if (p.booked) {
      heaviest->booked = book(s, *heaviest);
    } else {
      table_.put_back();
    }
  }
  // Whether its place may be given to another one; what runs goes on behind that until it is given up as well.
  [[nodiscard]] static bool may_lose(const Snapshot& s, const Passenger& p) noexcept {
    if (p.place != takt::WaitingJobs::kAbsent) return !keeps(s, p);
    return p.order.criticality == takt::Criticality::soft && p.deadline < takt::kNever &&
           s.streams[p.order.stream.value].spec->late == takt::LateRule::abort;
  }
  // Whether it runs or waits on even if it is late: what is in a segment now, what is wanted late, firm jobs that could
  // be in time alone.
  [[nodiscard]] static bool keeps(const Snapshot& s, const Passenger& p) noexcept {
    if (p.place == takt::WaitingJobs::kAbsent || p.deadline >= takt::kNever || takt::late_is_wanted(s, p.place))
      return true;
    return p.order.criticality != takt::Criticality::soft && !takt::infeasible(s, p.place);
  }
  void settle(const Snapshot& s, const Passenger& p, takt::Plan& plan) noexcept {
    if (p.place == takt::WaitingJobs::kAbsent) return;
    if (!p.booked && !keeps(s, p)) {
      plan.drops.push(p.chain.job);
      ++given_up_;
    } else if (p.route != s.waiting.route[p.place]) {
      plan.reroutes.push({p.chain.job, p.route});
    }
  }

  // What was posted ahead gives way to the job that is next in line, and where its own job is to change accelerators.
  void recall(const Snapshot& s, takt::Plan& plan) const noexcept {
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      if (!s.accelerators[a].continues) continue;
      const std::span<const Timetable::Booking> line = table_.line(a);
      if (!line.empty() && line[0].job == s.accelerators[a].running) continue;
      if ((!line.empty() && is_ready(s, line[0])) ||
          leaves(s, a, s.accelerators[a].running, s.accelerators[a].running_segment))
        plan.recalls.push(takt::AcceleratorId{a});
    }
  }
  // Whether the segment after that one of accelerator a's job is soon on another one's line.
  [[nodiscard]] bool leaves(const Snapshot& s, std::size_t a, JobId job, std::size_t segment) const noexcept {
    for (std::size_t b = 0; b < s.accelerators.size(); ++b) {
      const std::span<const Timetable::Booking> line = table_.line(b);
      for (std::size_t n = 0; b != a && n < std::min(kAhead, line.size()); ++n)
        if (line[n].job == job && line[n].segment == segment + 1) return true;
    }
    return false;
  }
  [[nodiscard]] static bool is_ready(const Snapshot& s, const Timetable::Booking& b) noexcept {
    const std::uint32_t i = s.waiting.place[b.job.value];
    return i != takt::WaitingJobs::kAbsent && s.waiting.segment[i] == b.segment;
  }

  // Starts what is next on an idle accelerator. Others may go before what is not ready yet if they do not hold it up.
  void follow(const Snapshot& s, takt::Plan& plan) noexcept {
    bool all_idle = true;
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      if (!s.accelerators[a].up) continue;
      all_idle &= s.accelerators[a].idle;
      if (s.accelerators[a].idle && start_next(s, a, plan)) return;
    }
    if (all_idle) start_any(s, plan);
  }
  [[nodiscard]] bool start_next(const Snapshot& s, std::size_t a, takt::Plan& plan) noexcept {
    Instant others = takt::kNever;
    for (std::size_t n = 0; n < std::min(kAhead, table_.line(a).size());) {
      const Timetable::Booking b = table_.line(a)[n];
      if (gone_by(s, b)) {
        table_.take_out(a, n);
        continue;
      }
      if (is_ready(s, b) && s.now + (b.end - b.start) <= others && s.can_start(s.waiting.place[b.job.value], a)) {
        table_.take_out(a, n);
        start(s, s.waiting.place[b.job.value], a, plan);
        return true;
      }
      others = std::min(others, std::max(b.start, s.now + Duration{1}));
      ++n;
    }
    return false;
  }
  // Nothing runs, so nothing would ask again: the earliest deadline goes wherever it can.
  void start_any(const Snapshot& s, takt::Plan& plan) noexcept {
    std::size_t job = s.waiting.size, place = 0;
    for (std::size_t i = 0; i < s.waiting.size; ++i) {
      if (job < s.waiting.size && takt::deadline_order(s.waiting.rank[i]) > takt::deadline_order(s.waiting.rank[job]))
        continue;
      for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
        if (!s.can_start(i, a) || (job == i && s.next_time(i, a) >= s.next_time(i, place))) continue;
        job = i, place = a;
      }
    }
    if (job < s.waiting.size) start(s, job, place, plan);
  }
  void start(const Snapshot& s, std::size_t i, std::size_t a, takt::Plan& plan) noexcept {
    watch_.start(s, i);
    plan.starts.push({s.waiting.job[i], takt::AcceleratorId{a}, 1});
    if (leaves(s, a, s.waiting.job[i], s.waiting.segment[i])) plan.recalls.push(takt::AcceleratorId{a});
  }

  const Weights w_;
  std::unique_ptr<takt::Policy> batched_;
  takt::StreamTotals totals_;
  takt::JobWatch watch_;
  takt::Upgrades upgrades_;
  Timetable table_, best_table_;
  takt::Passengers passengers_;
  std::vector<Passenger> best_passengers_;
  std::vector<double> prices_;  // by accelerator
  std::vector<std::uint8_t> up_;
  std::uint64_t drawn_ = 0, given_up_ = 0;
};

tl::expected<std::unique_ptr<takt::Policy>, std::string> make(const takt::PolicyOptions& options) {
  if (!options.variant.empty()) return tl::unexpected("takt has no variant '" + std::string(options.variant) + "'");
  Weights w;
  takt::Settings set(options.settings);
  set.number("thrift", w.thrift, 0, 1e3);
  set.number("lead", w.lead, 0, 1);
  set.number("capacity", w.capacity, 0, 1e3);
  set.flag("exchange", w.exchange);
  set.flag("skips", w.skips);
  set.flag("subnets", w.subnets);
  if (const std::string wrong = set.error(); !wrong.empty()) return tl::unexpected("takt: " + wrong);
  auto batched = takt::compose_policy("edf+early_drop+fit", {});
  if (!batched) return tl::unexpected(batched.error());
  return std::make_unique<Takt>(w, std::move(*batched));
}

}  // namespace

TAKT_POLICY(takt, "a timetable of all that is left; what does not fit is given up at once", .whole = make)
