// Launches: what was posted to executors, what comes back, and what is lost with an accelerator.
#include <algorithm>
#include <cmath>

#include "core/state.hpp"

namespace takt {

// Whether the next segment to be posted needs a slot for its output that the job does not have yet.
bool Scheduler::State::needs_slot(const Job& j) const noexcept {
  return !j.pool.valid() && j.segment + j.posted + 1u < route_of(j).length();
}

namespace {

// Moves a mean and its mean deviation towards a value. One wild value counts no more than a few times the deviation so far,
// or `least`: a thread that was kept from its core once says little of the next segment.
void learn(double value, double least, double& mean, double& deviation) noexcept {
  constexpr double kWeight = 1.0 / 16, kWild = 8;
  const double most = std::max(least, kWild * deviation);
  const double off = std::clamp(value - mean, -most, most);
  mean += off * kWeight;
  deviation += (std::abs(off) - deviation) * kWeight;
}

}  // namespace

void Accelerator::measure(Duration expected, Duration measured, Instant now) noexcept {
  constexpr double kLeast = 0.25, kMost = 8, kUsual = 0.5;
  learned = now;
  if (expected <= Duration::zero()) return;
  const double ratio = static_cast<double>(to_ns(measured)) / static_cast<double>(to_ns(expected));
  learn(std::clamp(ratio, kLeast, kMost), kUsual, pace, spread);
}

// Policies drop what cannot be in time at this pace. When that is everything nothing runs, and nothing would ever be
// measured again: so what was learned is forgotten by and by.
void Accelerator::forget_idle(Instant now) noexcept {
  constexpr Duration kHalfLife = std::chrono::milliseconds(100);
  if (lane(Lane::normal).count > 0 || now - learned < kHalfLife) return;
  const double kept = std::exp2(-static_cast<double>(to_ns(now - learned)) / static_cast<double>(to_ns(kHalfLife)));
  pace = 1 + (pace - 1) * kept;
  spread *= kept;
  detour_ns *= kept;
  detour_spread_ns *= kept;
  learned = now;
}

// Between posting and knowing of the end, what is not the segment itself: wake-ups, rings, this thread's own delay.
void Accelerator::measure_detour(Duration measured) noexcept {
  constexpr double kMost = 1e6, kUsual = 1e5;
  learn(std::clamp(static_cast<double>(to_ns(measured)), 0.0, kMost), kUsual, detour_ns, detour_spread_ns);
}

// Of the launch. What nobody measured is its time at the segment's mean power by the cost table.
static double energy_of(const Completion& c, const CostTable& costs, AcceleratorId a, VariantId v) noexcept {
  if (c.energy_nj >= 0) return c.energy_nj;
  const double expected = static_cast<double>(to_ns(costs.at(a, v).expected));
  return expected > 0 ? costs.effort(a, v).energy_nj / expected * static_cast<double>(to_ns(c.ended - c.started)) : 0;
}

// As Snapshot::switch_bytes, for the job that is posted now.
std::uint64_t Scheduler::State::switch_bytes(JobId id, AcceleratorId a) const noexcept {
  const JobId latest = accelerators[a.value].latest;
  if (latest == id && (job(id).last == a || job(id).posted > 0)) return 0;
  return job(id).live_bytes + (latest == id || !latest.valid() ? 0 : job(latest).live_bytes);
}

// Posts the next segment of `ids` as one launch. False, with nothing changed, when a slot is missing.
bool Scheduler::State::post(AcceleratorId a, Lane lane, std::span<const JobId> ids, Instant now) noexcept {
  Accelerator& acc = accelerators[a.value];
  SlotPool& pool = pools[acc.spec.pool.value];
  LaneState& state = acc.lane(lane);
  const std::size_t ahead = state.count;
  const auto step = [&](const Job& j) { return static_cast<std::size_t>(j.segment) + j.posted; };

  std::size_t slots = 0;
  for (const JobId id : ids) slots += needs_slot(job(id));
  if (slots > pool.free_for(lane)) {
    ++counters.slot_waits;
    return false;
  }
  LaunchState& launch = state.queue[ahead];
  const Job& lead = job(ids[0]);
  launch = {.sequence = ++state.sequence,
            .variant = route_of(lead).path[step(lead)],
            .count = static_cast<std::uint16_t>(ids.size())};
  const Cost& cost = costs.at(a, launch.variant, ids.size());
  launch.expected = cost.expected;
  launch.budget = cost.budget;
  std::array<Placement, kMaxBatch> placements;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    Job& j = job(ids[i]);
    launch.jobs[i] = ids[i];
    placements[i] = {.job = ids[i], .slot_in = j.slot};
    if (step(j) + 1 < route_of(j).length()) {
      if (!j.pool.valid()) {
        j.pool = acc.spec.pool;
        j.slot = pool.free.back();
        pool.free.pop_back();
        j.kept_slot = lane == Lane::realtime;
        pool.hard += j.kept_slot;
      }
      placements[i].slot_out = j.slot;
    }
  }
  const LaunchOrder order{.sequence = launch.sequence,
                          .accelerator = a,
                          .lane = lane,
                          .variant = launch.variant,
                          .first_segment = step(lead) == 0,
                          .last_segment = step(lead) + 1 == route_of(lead).length(),
                          .expected = cost.expected,
                          .switch_bytes = switch_bytes(ids[0], a),
                          .jobs = {placements.data(), ids.size()}};
  for (const JobId id : ids) {
    Job& j = job(id);
    if (j.state == JobState::waiting) remove_waiting(id);
    j.state = JobState::launched;
    ++j.posted;
    j.largest_batch = std::max(j.largest_batch, static_cast<std::uint16_t>(ids.size()));
  }
  acc.latest = ids.back();
  if (state.count++ == 0) state.front_since = now;
  ++counters.starts;
  for (const JobId id : ids)
    trace(ahead == 0 ? TraceKind::start : TraceKind::post, now, &job(id), a, launch.count, ahead);
  port.post(order);
  return true;
}

// The same jobs' next segments behind the running one, as far as they still share variants and the guard allows.
void Scheduler::State::post_ahead(AcceleratorId a, Lane lane, Instant now) noexcept {
  Accelerator& acc = accelerators[a.value];
  LaneState& state = acc.lane(lane);
  while (state.count > 0 && state.count < 1u + acc.spec.ahead) {
    const LaunchState& front = state.queue[state.count - 1u];
    const std::span<const JobId> ids{front.jobs.data(), front.count};
    const Job& lead = job(ids[0]);
    const std::size_t next = static_cast<std::size_t>(lead.segment) + lead.posted;
    if (next >= route_of(lead).length()) return;
    const VariantId variant = route_of(lead).path[next];
    for (const JobId id : ids) {
      const Job& j = job(id);
      const std::size_t step = static_cast<std::size_t>(j.segment) + j.posted;
      if (j.pending != Pending::none || step >= route_of(j).length() || route_of(j).path[step] != variant) return;
    }
    const Cost& cost = costs.at(a, variant, ids.size());
    if (!cost.runnable()) return;
    if (lane == Lane::normal) {
      Duration committed = cost.budget;
      for (std::size_t i = 0; i < state.count; ++i) committed += state.queue[i].budget;
      if (committed > acc.soft_limit) return;
    }
    if (!post(a, lane, ids, now)) return;
  }
}

// Takes back entries beyond the first `keep`, newest first, until one was claimed already.
void Scheduler::State::recall_ahead(AcceleratorId a, Lane lane, std::size_t keep, Instant now) noexcept {
  LaneState& state = accelerators[a.value].lane(lane);
  while (state.count > keep) {
    const LaunchState& last = state.queue[state.count - 1u];
    if (!port.recall(a, lane, last.sequence)) return;
    --state.count;
    ++counters.recalls;
    for (std::size_t i = 0; i < last.count; ++i) {
      Job& j = job(last.jobs[i]);
      --j.posted;
      trace(TraceKind::recall, now, &j, a, last.count, j.posted);
      if (j.posted == 0 && j.segment == 0) release_slot(j);  // nothing is in it yet
      if (j.posted == 0) settle(last.jobs[i], now);
    }
  }
}

// Takes back what was posted ahead for a launched job, so that it ends at the next boundary.
void Scheduler::State::unpost(JobId id, Instant now) noexcept {
  for (std::size_t a = 0; a < accelerators.size(); ++a) {
    for (const Lane lane : {Lane::realtime, Lane::normal}) {
      const LaneState& state = accelerators[a].lane(lane);
      if (state.count == 0) continue;
      const LaunchState& front = state.queue[0];
      if (std::find(front.jobs.begin(), front.jobs.begin() + front.count, id) == front.jobs.begin() + front.count)
        continue;
      recall_ahead(AcceleratorId{a}, lane, 0, now);
      return;
    }
  }
}

// A job that left its last launch: it waits again, or ends as was decided while it ran.
void Scheduler::State::settle(JobId id, Instant now) noexcept {
  Job& j = job(id);
  switch (j.pending) {
    case Pending::none: add_waiting(id); return;
    case Pending::cancelled: end(id, Verdict::cancelled, now); return;
    case Pending::missed: end(id, Verdict::missed, now); return;
    case Pending::failed: end(id, Verdict::error, now); return;
  }
}

void Scheduler::State::completed(AcceleratorId a, Lane lane, const Completion& c, Instant now) {
  if (a.value >= accelerators.size()) return;
  LaneState& state = accelerators[a.value].lane(lane);
  if (state.count == 0 || state.queue[0].sequence != c.sequence) return;  // of an older generation
  const LaunchState front = state.queue[0];
  const Instant since = state.front_since;
  std::move(state.queue.begin() + 1, state.queue.begin() + state.count, state.queue.begin());
  --state.count;
  state.front_since = now;
  if (config.learn_pace && lane == Lane::normal && !c.failed) {
    accelerators[a.value].measure(front.expected, c.ended - c.started, now);
    accelerators[a.value].measure_detour(now - since - (c.ended - c.started));
  }
  if (c.failed) {
    for (std::size_t i = 0; i < front.count; ++i) {
      Job& j = job(front.jobs[i]);
      if (j.pending == Pending::none) j.pending = Pending::failed;
    }
  }
  for (std::size_t i = 0; i < front.count; ++i) segment_ended(front.jobs[i], a, c, i, front.count, now);
  const bool stop = std::any_of(front.jobs.begin(), front.jobs.begin() + front.count, [&](JobId id) {
    return job(id).state == JobState::launched && job(id).pending != Pending::none;
  });
  if (stop) recall_ahead(a, lane, 0, now);
  if (state.count > 0) {
    for (std::size_t i = 0; i < state.queue[0].count; ++i)
      trace(TraceKind::start, now, &job(state.queue[0].jobs[i]), a, state.queue[0].count);
  }
}

void Scheduler::State::segment_ended(JobId id, AcceleratorId a, const Completion& c, std::size_t place,
                                     std::uint16_t batch, Instant now) noexcept {
  Job& j = job(id);
  --j.posted;
  if (!j.last.valid()) j.first_start = c.started;
  j.last = a;
  j.executed += c.ended - c.started;
  j.energy_nj += energy_of(c, costs, a, route_of(j).path[j.segment]) / batch;
  trace(TraceKind::end, now, &j, a, batch);
  if (c.failed) {
    if (j.posted == 0) settle(id, now);
    return;
  }
  j.since = now;
  j.live_bytes = live_bytes[route_of(j).path[j.segment].value];
  ++j.segment;
  if (j.posted == 0) skip_ahead(id);
  if (j.segment < route_of(j).length()) {
    if (j.posted == 0) settle(id, now);
    return;
  }
  // A result is good only if it is known before the deadline, whatever the executor's own clock reading says.
  const bool in_time = now <= j.deadline;
  if (j.pending != Pending::none) {
    settle(id, now);
  } else if (!in_time && stream_of(j).spec.late == LateRule::abort) {
    end(id, Verdict::missed, now);
  } else {
    const bool child = release_children(id, now, place < c.metrics.size() ? &c.metrics[place] : nullptr);
    end(id, in_time ? Verdict::done : Verdict::late, now, true, child);
  }
}

// A job whose activation or running segment was lost begins again, once.
void Scheduler::State::restart(JobId id, Instant now) noexcept {
  constexpr std::uint8_t kMaxRestarts = 1;
  Job& j = job(id);
  if (j.state == JobState::waiting) remove_waiting(id);
  j.state = JobState::launched;  // as at a boundary, for settle()
  j.posted = 0;
  j.segment = 0;
  j.executed = Duration{};
  j.live_bytes = 0;
  j.last = AcceleratorId{};
  release_slot(j);
  if (j.pending == Pending::none && j.restarts++ >= kMaxRestarts) j.pending = Pending::failed;
  const Stream& stream = stream_of(j);
  j.route = stream.hard ? stream.route : RouteId{stream.first < stream.last ? stream.first : j.route.value};
  settle(id, now);
}

void Scheduler::State::up(AcceleratorId a, Instant now) {
  Accelerator& acc = accelerators[a.value];
  if (acc.up) return;
  acc.up = true;
  trace(TraceKind::up, now, nullptr, a);
  refresh_routes();
  rebind_hard_streams(now);
}

void Scheduler::State::down(AcceleratorId a, Instant now) {
  Accelerator& acc = accelerators[a.value];
  if (!acc.up) return;
  acc.up = false;
  trace(TraceKind::down, now, nullptr, a);
  for (const Lane lane : {Lane::realtime, Lane::normal}) {
    recall_ahead(a, lane, 0, now);  // what nobody had claimed keeps its progress
    LaneState& state = acc.lane(lane);
    const std::array<LaunchState, 1 + kMaxAhead> lost = state.queue;
    const std::size_t count = state.count;
    state.count = 0;
    for (std::size_t e = 0; e < count; ++e)
      for (std::size_t i = 0; i < lost[e].count; ++i)
        if (job(lost[e].jobs[i]).state == JobState::launched) restart(lost[e].jobs[i], now);
  }
  if (!acc.spec.shares_slots) {
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (jobs[i].state == JobState::waiting && jobs[i].pool == acc.spec.pool) restart(JobId{i}, now);
    }
  }
  refresh_routes();
  rebind_hard_streams(now);
}

}  // namespace takt
