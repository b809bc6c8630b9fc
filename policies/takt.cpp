// takt: keeps a timetable of everything that is left to do, and gives up at once what does not fit into it. Our own.
//
// When jobs arrive, or what runs has fallen behind, the timetable is drawn up anew: jobs in the order of deadline -
// togo / 4, each segment chain put into the gaps left by those before it (policies/support/timetable.hpp), at the price
// of fast accelerators as long as it is in time, else as early as it can be. One that does not fit takes the place of
// the heaviest job before it if that is heavier (after Moore and Hodgson, Management Science 1968); if jobs are lost
// all streams go down to lighter subnets, as far as that saves more. In between, accelerators follow their lines; that
// is all that a dispatch does.
//
// A parent is to end early enough for its children. Segments that are often skipped are planned with the part of their
// time that they usually take. Fast accelerators cost (speed / slowest)^2 - 1: the "smallest resource" of Veltair
// (ASPLOS 2022).
//
// Where launches take several jobs capacity comes from batches, which a timetable of single jobs does not see: there it
// is edf+early_drop+fit.
//
// Settings: thrift (weight of that price, 0: always the earliest end), lead (part of the work ahead that a deadline is
// brought forward by), exchange, skips, subnets (0: without).
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "policies/support/changes.hpp"
#include "policies/support/compose.hpp"
#include "policies/support/lightest.hpp"
#include "policies/support/lineup.hpp"
#include "policies/support/settings.hpp"
#include "policies/support/skips.hpp"
#include "policies/support/stream_totals.hpp"
#include "policies/support/timetable.hpp"

namespace {

using takt::Duration;
using takt::Instant;
using takt::JobId;
using takt::Snapshot;
using takt::Timetable;

struct Weights {
  double thrift = 0.3, lead = 0.25;
  bool exchange = true, skips = true, subnets = true;
};

constexpr std::size_t kHorizon = 64;    // jobs in the timetable; more wait until some are gone
constexpr std::size_t kExchanges = 16;  // attempts a timetable: bounds the time of a decision
constexpr std::size_t kSteps = 4;       // from the most accurate to the cheapest subnets
constexpr std::size_t kAhead = 8;       // bookings of a line that may go before others that are not ready
// Part of the time to its deadline by which a job may be behind its booking before a new timetable is drawn up.
constexpr std::int64_t kBehind = 256;

class Takt final : public takt::Policy {
 public:
  Takt(const Weights& weights, std::unique_ptr<takt::Policy> batched) : w_(weights), batched_(std::move(batched)) {}

  void prepare(const takt::PolicyLimits& limits) override {
    batched_->prepare(limits);
    table_.prepare(limits, kHorizon);
    best_table_.prepare(limits, kHorizon);
    totals_.prepare(limits);
    skips_.prepare(limits);
    known_.assign(limits.jobs, {});
    passengers_.reserve(limits.jobs + limits.accelerators);
    best_passengers_.reserve(kHorizon);
    prices_.assign(limits.accelerators, 0);
    up_.assign(limits.accelerators, 0);
  }

  void decide(const Snapshot& s, takt::Plan& plan) noexcept override {
    if (s.max_batch > 1) return batched_->decide(s, plan);
    if (s.first) {
      watch(s);
      if (stale(s)) draw_up(s, plan);
      recall(s, plan);
      if (!plan.drops.empty() || !plan.reroutes.empty()) return;
    }
    follow(s, plan);
  }
  void observe(const takt::Ended& ended) noexcept override { batched_->observe(ended); }
  void describe(takt::PolicyReport& report) const noexcept override {
    batched_->describe(report);
    report.add("timetables", static_cast<double>(drawn_));
    report.add("jobs_given_up", static_cast<double>(given_up_));
  }

 private:
  // A job as it was when it last waited.
  struct Known {
    takt::Rank rank;
    const takt::Route* route = nullptr;
    takt::SlotPoolId holds;
    std::uint16_t segment = 0;
    bool started = false;  // that segment
  };
  // A job that the timetable is drawn up for.
  struct Passenger {
    takt::Order order;
    takt::Chain chain;
    std::uint32_t place = takt::WaitingJobs::kAbsent;  // absent: it runs
    takt::RouteId route;
    Instant deadline{}, due{};  // due: so early that its children can be in time as well
    Duration work{};
    bool booked = false;
  };

  // Learns what is new of the waiting jobs.
  void watch(const Snapshot& s) noexcept {
    for (const takt::AcceleratorView& a : s.accelerators) posts_ahead_ |= a.continues;
    const auto look = [&](JobId job) {
      const std::uint32_t i = s.waiting.place[job.value];
      if (i == takt::WaitingJobs::kAbsent) return;
      Known& k = known_[job.value];
      const takt::Rank& r = s.waiting.rank[i];
      const bool same =
          k.route != nullptr && k.rank.stream == r.stream && k.rank.frame == r.frame && k.rank.release == r.release;
      if (same) learn(k, s.waiting.segment[i]);
      fresh_ |= !same;
      if (!same || k.segment != s.waiting.segment[i]) k.started = false;
      k.rank = r, k.route = &s.route(i), k.holds = s.waiting.holds[i], k.segment = s.waiting.segment[i];
    };
    if (changes_.follow(s.waiting, look)) return;
    fresh_ = true;
    for (std::size_t i = 0; i < s.waiting.size; ++i) look(s.waiting.job[i]);
  }
  // Which of the segments gone by ran. What is posted ahead runs unseen.
  void learn(const Known& k, std::size_t now_at) noexcept {
    if (!w_.skips || posts_ahead_) return;
    for (std::size_t n = k.segment; n < now_at; ++n) skips_.reached(k.rank.stream, n, n == k.segment && k.started);
  }

  // Whether something has happened that the timetable does not know of.
  [[nodiscard]] bool stale(const Snapshot& s) noexcept {
    bool changed = fresh_;
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      const takt::AcceleratorView& acc = s.accelerators[a];
      changed |= up_[a] != static_cast<std::uint8_t>(acc.up);
      up_[a] = static_cast<std::uint8_t>(acc.up);
      while (!table_.line(a).empty() && gone_by(s, table_.line(a)[0])) table_.take_out(a, 0);
      if (table_.line(a).empty()) {
        changed |= beyond_horizon_ && acc.up && acc.idle;
        continue;
      }
      const Timetable::Booking& next = table_.line(a)[0];
      const Instant from = acc.idle ? s.now : acc.busy_until;
      const Duration left = std::max(known_[next.job.value].rank.deadline - s.now, Duration::zero());
      changed |= from - next.start > left / kBehind;
    }
    return changed;
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
    fresh_ = false;
    ++drawn_;
    gather(s);
    set_prices(s);
    double least = 0;
    for (std::size_t step = 0; step < steps_; ++step) {
      const double lost = build(s, step);
      if (step == 0 || lost < least) {
        least = lost;
        table_.copy_to(best_table_);
        best_passengers_ = passengers_;
      }
      if (lost == 0) break;
    }
    best_table_.copy_to(table_);
    for (const Passenger& p : best_passengers_) settle(s, p, plan);
  }

  void gather(const Snapshot& s) noexcept {
    passengers_.clear();
    steps_ = 1;
    for (std::uint32_t i = 0; i < s.waiting.size; ++i) {
      const takt::StreamView& stream = s.streams[s.waiting.rank[i].stream.value];
      if (w_.subnets && stream.last - stream.first > 1) steps_ = kSteps;
      const takt::Trail& trail = s.waiting.trail[i];
      add(s, s.waiting.job[i], s.waiting.rank[i], i,
          {.route = &s.route(i),
           .first = s.waiting.segment[i],
           .ready = s.now,
           .at = trail.ran_on,
           .live_bytes = trail.live_bytes,
           .holds = s.waiting.holds[i]});
    }
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      const takt::AcceleratorView& acc = s.accelerators[a];
      if (!acc.running.valid() || known_[acc.running.value].route == nullptr) continue;
      const Known& k = known_[acc.running.value];
      add(s, acc.running, k.rank, takt::WaitingJobs::kAbsent,
          {.route = k.route,
           .first = acc.running_segment + 1u,
           .ready = std::max(acc.busy_until, s.now + Duration{1}),
           .at = takt::AcceleratorId{a},
           .live_bytes = acc.running_bytes,
           .holds = acc.running_segment > 0 || k.holds.valid() ? acc.pool : takt::SlotPoolId{}});
    }
    const auto before = [](const Passenger& x, const Passenger& y) { return x.order < y.order; };
    beyond_horizon_ = passengers_.size() > kHorizon;
    if (beyond_horizon_) {
      std::nth_element(passengers_.begin(), passengers_.begin() + kHorizon, passengers_.end(), before);
      passengers_.resize(kHorizon);
    }
    std::sort(passengers_.begin(), passengers_.end(), before);
  }
  void add(const Snapshot& s, JobId job, const takt::Rank& r, std::uint32_t place, takt::Chain chain) noexcept {
    chain.job = job;
    if (w_.skips) chain.parts = skips_.parts(r.stream);
    Passenger p{.order = {}, .chain = chain, .place = place, .route = {}, .deadline = r.deadline, .due = r.deadline};
    std::int64_t key = INT64_MAX;
    if (r.deadline < takt::kNever) {
      const Duration togo = chain.route->togo_min[std::min(chain.first, chain.route->length())];
      const Duration caution = takt::scaled(togo, s.caution) - s.paced(togo);  // what it may take longer
      p.deadline -= caution;
      p.due = p.deadline - (s.streams[r.stream.value].has_children ? children_time(s, r.stream) : Duration{});
      key = takt::to_ns(p.due) -
            takt::to_ns(takt::scaled(r.togo_sum / static_cast<std::int64_t>(s.accelerators.size()), w_.lead));
    }
    p.order = takt::order_of(r, key);
    passengers_.push_back(p);
  }
  // Least time of what may follow a job of the stream in its cascade.
  [[nodiscard]] static Duration children_time(const Snapshot& s, takt::StreamId parent) noexcept {
    Duration most{};
    for (std::size_t t = 0; t < s.streams.size(); ++t) {
      const takt::StreamView& child = s.streams[t];
      if (child.spec == nullptr || child.first >= child.last || child.spec->parent != parent) continue;
      const Duration own = s.paced(child.routes[child.last - 1].togo_min[0]);
      most = std::max(most, own + (child.has_children ? children_time(s, takt::StreamId{t}) : Duration{}));
    }
    return most;
  }
  void set_prices(const Snapshot& s) noexcept {
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
    for (std::size_t n = 0; n < passengers_.size(); ++n) {
      Passenger& p = passengers_[n];
      if (p.place != takt::WaitingJobs::kAbsent) choose_route(s, p, step);
      p.work = p.chain.route->togo_min[std::min(p.chain.first, p.chain.route->length())];
      p.booked = p.deadline < takt::kNever && book(s, p);
      if (p.booked || p.deadline >= takt::kNever || exchanges == 0) continue;
      --exchanges;
      exchange(s, n);
    }
    double lost = 0;
    for (Passenger& p : passengers_) {
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
    for (std::size_t k = w_.subnets ? step : kSteps; k < kSteps; ++k) {
      const takt::RouteId r{stream.first + (stream.last - 1 - stream.first) * k / (kSteps - 1)};
      if (!stream.routes[r.value].continues(s.route(p.place), p.chain.first)) continue;
      p.route = r;
      p.chain.route = &stream.routes[r.value];
      return;
    }
  }
  [[nodiscard]] bool book(const Snapshot& s, const Passenger& p) noexcept {
    if (w_.thrift > 0 && (table_.book(s, p.chain, p.due, w_.thrift) || table_.book(s, p.chain, p.due, w_.thrift / 4)))
      return true;
    return table_.book(s, p.chain, p.deadline, 0);
  }
  // Books passenger n in the place of the heaviest one before it, if that is heavier and may be given up.
  void exchange(const Snapshot& s, std::size_t n) noexcept {
    Passenger& p = passengers_[n];
    Passenger* heaviest = nullptr;
    for (std::size_t m = 0; m < n; ++m) {
      Passenger& other = passengers_[m];
      if (!other.booked || other.place == takt::WaitingJobs::kAbsent || other.order.criticality < p.order.criticality ||
          keeps(s, other))
        continue;
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
  // Whether it runs or waits on even if it is late: what has begun a segment, what is wanted late, firm jobs that could
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

  // What was posted ahead gives way to the job that is next in line.
  void recall(const Snapshot& s, takt::Plan& plan) const noexcept {
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      if (!s.accelerators[a].continues || table_.line(a).empty()) continue;
      const Timetable::Booking& next = table_.line(a)[0];
      if (next.job != s.accelerators[a].running && is_ready(s, next)) plan.recalls.push(takt::AcceleratorId{a});
    }
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
        known_[b.job.value].started = true;
        plan.starts.push({b.job, takt::AcceleratorId{a}, 1});
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
    if (job == s.waiting.size) return;
    known_[s.waiting.job[job].value].started = true;
    plan.starts.push({s.waiting.job[job], takt::AcceleratorId{place}, 1});
  }

  const Weights w_;
  std::unique_ptr<takt::Policy> batched_;
  takt::Changes changes_;
  takt::StreamTotals totals_;
  takt::Skips skips_;
  Timetable table_, best_table_;
  std::vector<Passenger> passengers_, best_passengers_;
  std::vector<Known> known_;    // by job
  std::vector<double> prices_;  // by accelerator
  std::vector<std::uint8_t> up_;
  std::size_t steps_ = 1;
  std::uint64_t drawn_ = 0, given_up_ = 0;
  bool fresh_ = false, beyond_horizon_ = false, posts_ahead_ = false;
};

tl::expected<std::unique_ptr<takt::Policy>, std::string> make(const takt::PolicyOptions& options) {
  if (!options.variant.empty()) return tl::unexpected("takt has no variant '" + std::string(options.variant) + "'");
  Weights w;
  takt::Settings set(options.settings);
  set.number("thrift", w.thrift, 0, 1e3);
  set.number("lead", w.lead, 0, 1);
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
