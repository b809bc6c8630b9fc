// The event loop of virtual time and the pretended executors; see engine.hpp.
#include "sim/engine.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <ostream>

#include "sim/random.hpp"
#include "sim/replay.hpp"
#include "sim/world.hpp"

namespace takt::sim {
namespace {

// One posted segment; the front of an accelerator's queue runs.
struct Entry {
  std::uint64_t sequence = 0;
  Lane lane = Lane::normal;
  Duration time{};    // noise and switch included
  double demand = 0;  // bytes a nanosecond
  double energy_nj = 0;
};

struct Accelerator {
  std::array<Entry, 1 + kMaxAhead> queue{};
  std::size_t count = 0;
  Instant start{}, end{};
  double rest = 0;  // nanoseconds left at full speed
  [[nodiscard]] bool busy() const noexcept { return count > 0; }
};

class Engine final : public Port, public TraceSink {
 public:
  Engine(const Case& c, Policy& policy, const RunOptions& options)
      : case_(c),
        world_(make_world(c, options.ahead)),
        core_(world_.core, world_.models, world_.costs, policy, *this, options.trace != nullptr ? this : nullptr),
        trace_(options.trace),
        playback_(options.playback),
        accelerators_(c.platform.accelerators.size()),
        isolated_(world_.core.max_jobs),
        accuracies_(c.tasks.size()),
        meters_(c.tasks.size()) {
    shared_ = c.platform.memory_bandwidth * 1e-9;
    for (std::size_t t = 0; t < c.tasks.size(); ++t) {
      open(t);
      TaskOutcome& task = outcome_.tasks.emplace_back();
      task.name = c.tasks[t].name;
      for (const Subnet& s : c.tasks[t].subnets) task.subnets.emplace_back(s.name, 0);
    }
    for (const auto& a : c.platform.accelerators) outcome_.accelerators.push_back({.name = a.name});
    for (std::size_t a = 0; a < accelerators_.size(); ++a) core_.accelerator_up(AcceleratorId{a}, Instant{});
  }

  Outcome run() {
    for (;;) {
      const Instant now = next_event();
      if (now == kNever) break;
      instant(now);
    }
    finish();
    return std::move(outcome_);
  }

 private:
  void open(std::size_t t) {
    const Admission a = core_.open_stream(stream_of(case_, t), Instant{});
    TAKT_CHECK(a.outcome != Admission::Outcome::refused && a.stream.value == t);
  }

  [[nodiscard]] Instant next_event() const noexcept {
    Instant next = core_.next_wake();
    for (const Accelerator& a : accelerators_)
      if (a.busy()) next = std::min(next, a.end);
    if (released_ < case_.releases.size()) next = std::min(next, case_.releases[released_].at);
    return next;
  }

  void instant(Instant now) {
    now_ = now;
    if (shared_ > 0) progress_to(now);
    for (std::size_t a = 0; a < accelerators_.size(); ++a)
      if (accelerators_[a].busy() && accelerators_[a].end == now) complete(a, now);
    core_.expire(now);
    for (; released_ < case_.releases.size() && case_.releases[released_].at == now; ++released_) release(now);
    core_.decide(now);
    if (shared_ > 0 && changed_) share_bandwidth(now);
    changed_ = false;
  }

  void release(Instant now) {
    const Release& r = case_.releases[released_];
    ++outcome_.tasks[r.task].released;
    TAKT_CHECK(core_.release(StreamId{r.task}, now, r.deadline, r.frame));
  }

  void complete(std::size_t a, Instant now) {
    Accelerator& acc = accelerators_[a];
    const Entry ended = acc.queue[0];
    const Instant started = acc.start;
    std::move(acc.queue.begin() + 1, acc.queue.begin() + static_cast<std::ptrdiff_t>(acc.count), acc.queue.begin());
    --acc.count;
    changed_ = true;
    outcome_.accelerators[a].busy_ns += to_ns(now - started);
    core_.completed(AcceleratorId{a}, ended.lane,
                    {.sequence = ended.sequence, .started = started, .ended = now, .energy_nj = ended.energy_nj, .metrics = {}}, now);
    if (acc.count > 0) start(acc);
  }

  void start(Accelerator& acc) noexcept {
    acc.start = now_;
    acc.end = now_ + acc.queue[0].time;
    acc.rest = static_cast<double>(acc.queue[0].time.count());
    changed_ = true;
  }

  // Contention: everything that runs has advanced at the common rate since the last event.
  void progress_to(Instant now) noexcept {
    const double passed = static_cast<double>(to_ns(now - since_));
    for (Accelerator& a : accelerators_)
      if (a.busy()) a.rest -= passed * rate_;
    since_ = now;
  }

  // All running segments progress at min(1, bandwidth / sum of demands).
  void share_bandwidth(Instant now) noexcept {
    double demand = 0;
    for (const Accelerator& a : accelerators_)
      if (a.busy()) demand += a.queue[0].demand;
    rate_ = demand > 0 ? std::min(1.0, shared_ / demand) : 1.0;
    for (Accelerator& a : accelerators_)
      if (a.busy()) a.end = now + Duration{static_cast<std::int64_t>(std::max(0.0, std::ceil(a.rest / rate_ - 1e-6)))};
  }

  // The executed part of a segment of the whole network, without the runs that are skipped.
  [[nodiscard]] SegmentCost executed(const Segment& s, const Place& p, std::uint32_t frame, std::size_t a) const {
    if (s.runs.empty()) return s.on[a];
    SegmentCost sum;
    for (const Run& run : s.runs) {
      if (is_skipped(run, p.task, frame)) continue;
      sum.time += run.on[a].time;
      sum.energy_nj += run.on[a].energy_nj;
      sum.dram_bytes += run.on[a].dram_bytes;
    }
    return sum;
  }
  [[nodiscard]] bool is_skipped(const Run& run, std::size_t task, std::uint32_t frame) const {
    return run.skippable && u(case_.seed, Salt::skip, task, frame, run.block) < case_.tasks[task].skip;
  }
  [[nodiscard]] Duration isolated(const Segment& s, const Place& p, std::uint32_t frame) const {
    Duration least = kForever;
    for (std::size_t a = 0; a < accelerators_.size(); ++a) least = std::min(least, executed(s, p, frame, a).time);
    return least;
  }
  [[nodiscard]] Duration with_noise(Duration time, const Segment& s, const Place& p, std::uint32_t frame) const {
    const Task& task = case_.tasks[p.task];
    if (task.noise == 0 && s.noise_factors.empty()) return time;
    const double draw = u(case_.seed, Salt::noise, p.task, frame, s.first_layer);
    const double factor = s.noise_factors.empty()
                              ? 1 + task.noise * (2 * draw - 1)
                              : s.noise_factors[static_cast<std::size_t>(draw * static_cast<double>(s.noise_factors.size()))];
    return std::max(Duration{1}, Duration{std::llround(static_cast<double>(time.count()) * factor)});
  }

  // Port
  void post(const LaunchOrder& order) noexcept override {
    const std::size_t a = order.accelerator.value;
    const JobId job = order.jobs[0].job;
    const std::uint32_t frame = core_.frame_of(job);
    const Place& p = world_.places[order.variant.value];
    const Segment& s = case_.tasks[p.task].subnets[p.subnet].segments[p.segment];
    const SegmentCost cost = executed(s, p, frame, a);
    const Duration alone = playback_ != nullptr ? playback_->time(p.task, frame, p.subnet, p.segment, a, cost.time) : with_noise(cost.time, s, p, frame);
    const SwitchCost& exchange = world_.core.accelerators[a].exchange;
    const Duration time = alone + exchange.time(order.switch_bytes);
    Accelerator& acc = accelerators_[a];
    Entry& e = acc.queue[acc.count++];
    e = {.sequence = order.sequence,
         .lane = order.lane,
         .time = time,
         .demand = time.count() > 0 ? cost.dram_bytes / static_cast<double>(time.count()) : 0,
         .energy_nj = cost.energy_nj + exchange.nj_per_byte * static_cast<double>(order.switch_bytes)};
    outcome_.tasks[p.task].energy_nj += e.energy_nj;
    outcome_.accelerators[a].energy_nj += e.energy_nj;
    outcome_.accelerators[a].switches += case_.platform.switch_costs && order.switch_bytes > 0;
    ++outcome_.decisions;
    isolated_[job.value] += isolated(s, p, frame);
    if (acc.count == 1) start(acc);
  }

  // What has not begun is taken back as if it had never been posted.
  bool recall(AcceleratorId a, Lane, std::uint64_t sequence) noexcept override {
    Accelerator& acc = accelerators_[a.value];
    if (acc.count < 2 || acc.queue[acc.count - 1].sequence != sequence) return false;
    --acc.count;
    --outcome_.decisions;
    return true;
  }

  void answer(JobId job, const Answer& a) noexcept override {
    const std::size_t t = core_.stream_of(job).value;
    TaskOutcome& task = outcome_.tasks[t];
    const bool whole = a.route.valid() && a.segments == case_.tasks[t].subnets[a.route.value].segments.size();
    if (a.verdict == Verdict::done) ++task.on_time;
    else if (a.verdict == Verdict::dropped || a.verdict == Verdict::superseded) ++task.dropped;
    else if (whole) ++task.late;
    else ++task.aborted;
    if (!whole || a.verdict == Verdict::dropped || a.verdict == Verdict::superseded) return;
    meters_[t].completed(a.end - a.release, isolated_[job.value]);
    accuracies_[t] += case_.tasks[t].subnets[a.route.value].accuracy;
    ++task.subnets[a.route.value].second;
  }
  void notice(JobId) noexcept override {}
  bool child_released(JobId parent, JobId child) noexcept override {
    return fires(core_.stream_of(child), core_.frame_of(parent));
  }
  bool child_lost(StreamId child, std::uint32_t frame) noexcept override {
    if (!fires(child, frame)) return false;
    ++outcome_.tasks[child.value].dropped;
    return true;
  }
  void stream_moved(StreamId, AcceleratorId, RouteId) noexcept override {}
  void stream_ended(StreamId) noexcept override {}
  std::size_t skipped(JobId job, std::size_t segment) noexcept override {
    const std::size_t t = core_.stream_of(job).value;
    if (segment == 0) isolated_[job.value] = Duration{};
    if (case_.tasks[t].skip <= 0) return 0;
    const std::vector<Segment>& segments = case_.tasks[t].subnets[core_.route_of(job).value].segments;
    std::size_t k = segment;
    while (k < segments.size() && segments[k].runs.empty() && is_skipped(segments[k].run, t, core_.frame_of(job))) ++k;
    return k - segment;
  }

  // A child's trigger, counted as a release: whether it is run or lost.
  [[nodiscard]] bool fires(StreamId child, std::uint32_t frame) noexcept {
    const bool fired = playback_ != nullptr ? playback_->fires(child.value, frame)
                                            : u(case_.seed, Salt::trigger, child.value, frame) < case_.tasks[child.value].probability;
    outcome_.tasks[child.value].released += fired;
    return fired;
  }

  // TraceSink: the lines of the scenario semantics, which know neither notices nor what is posted ahead.
  void record(const TraceEvent& e) noexcept override {
    constexpr std::array kPrinted{TraceKind::release, TraceKind::start, TraceKind::end, TraceKind::done,
                                  TraceKind::late,    TraceKind::abort, TraceKind::drop};
    if (std::find(kPrinted.begin(), kPrinted.end(), e.kind) == kPrinted.end()) return;
    const Task& task = case_.tasks[e.stream.value];
    const Subnet& subnet = task.subnets[e.route.value];
    // Too late although nothing was left of it.
    const bool late = e.kind == TraceKind::abort && e.segment == subnet.segments.size();
    *trace_ << to_ns(e.at) << ',' << to_string(late ? TraceKind::late : e.kind) << ',' << task.name << ',' << e.frame << ','
            << e.segment << ',' << (e.accelerator.valid() ? case_.platform.accelerators[e.accelerator.value].name : "-") << ','
            << subnet.name << '\n';
  }

  void finish() {
    for (std::size_t t = 0; t < case_.tasks.size(); ++t) {
      TaskOutcome& task = outcome_.tasks[t];
      task.worst_energy_nj = static_cast<double>(task.released) * case_.tasks[t].subnets[0].worst_energy_nj;
      if (meters_[t].count() > 0) task.accuracy = accuracies_[t] / static_cast<double>(meters_[t].count());
      std::erase_if(task.subnets, [](const auto& s) { return s.second == 0; });
    }
    summarise(outcome_, meters_);
  }

  const Case& case_;
  const World world_;
  Scheduler core_;
  std::ostream* trace_;
  const Playback* playback_;
  std::vector<Accelerator> accelerators_;
  std::size_t released_ = 0;  // root releases so far
  Instant now_{}, since_{};
  double shared_ = 0, rate_ = 1;  // bytes a nanosecond; progress of all that runs
  bool changed_ = false;          // what runs, in this instant
  std::vector<Duration> isolated_;  // by job: least times of what it executed
  std::vector<double> accuracies_;  // sums
  std::vector<TaskMeter> meters_;
  Outcome outcome_;
};

}  // namespace

Outcome simulate(const Case& scenario, Policy& policy, const std::string& policy_name, const RunOptions& options) {
  Outcome outcome = Engine(scenario, policy, options).run();
  outcome.scenario = scenario.name;
  outcome.policy = policy_name;
  outcome.seed = scenario.seed;
  outcome.duration_ns = to_ns(scenario.duration);
  outcome.load = scenario.load;
  return outcome;
}

}  // namespace takt::sim
