// Jobs: release, waiting, deadlines, answers.
#include <algorithm>

#include "core/state.hpp"

namespace takt {
namespace {

constexpr TraceKind trace_kind(Verdict v) noexcept {
  switch (v) {
    case Verdict::done: return TraceKind::done;
    case Verdict::late: return TraceKind::late;
    case Verdict::missed: return TraceKind::abort;
    case Verdict::dropped: return TraceKind::drop;
    case Verdict::superseded: return TraceKind::supersede;
    case Verdict::cancelled: return TraceKind::cancel;
    case Verdict::restarted: return TraceKind::restart;
    case Verdict::error: return TraceKind::error;
  }
  return TraceKind::error;
}

}  // namespace

Result<JobId> Scheduler::State::release(StreamId id, Instant now, Instant deadline, std::uint32_t frame) {
  if (id.value >= streams.size() || !streams[id.value].open) return fail(Code::not_found, "no such stream is open");
  if (streams[id.value].spec.parent.valid())
    return fail(Code::invalid_argument, "a cascade child gets its frames from its parent");
  make_room(id, streams[id.value].newest, now);
  Job* j = make_job(id, now, deadline);
  if (j == nullptr) return fail(Code::no_capacity, "the job table is full: raise max_jobs or lower the credits");
  if (frame != kNextFrame) j->frame = frame;
  ++counters.released;
  const JobId job_id{static_cast<std::size_t>(j - jobs.data())};
  if (j->release > now) {
    timers.push(job_id.value, j->release);
  } else {
    activate(job_id);
  }
  return job_id;
}

// Takes a job from the table and links it as its stream's newest. A hard stream's frame that comes too early is
// released later: the distance between releases is what admission assumed.
Job* Scheduler::State::make_job(StreamId id, Instant now, Instant deadline) noexcept {
  if (free_jobs.empty()) return nullptr;
  const std::uint32_t index = free_jobs.back();
  free_jobs.pop_back();
  Stream& stream = streams[id.value];
  Job& j = jobs[index];
  j = Job{};
  j.state = JobState::delayed;
  j.stream = id;
  j.frame = j.ordinal = stream.released;
  count_release(id);
  j.release = j.frame_release = now;
  if (stream.spec.criticality == Criticality::hard) {
    // The admission test looks at one busy period at a time: the distance to a job of an earlier one does not matter. So
    // a stream that was late once catches up as soon as its accelerator's hard work has ended.
    if (stream.hard && stream.in_flight == 0 && accelerators[stream.accelerator.value].hard_idle())
      stream.next_arrival = std::min(stream.next_arrival, now);
    j.release = std::max(now, stream.next_arrival);
    const Instant arrival = std::max(stream.next_arrival, now - stream.spec.jitter);
    stream.next_arrival = std::min(arrival + stream.spec.period, kNever);
  }
  j.route = stream.hard ? stream.route : RouteId{stream.first};
  j.rank_deadline = j.release + stream.spec.relative_deadline;
  if (deadline != kNever) {
    j.deadline = std::clamp(deadline, Instant{}, kNever);  // differences of what clients send must not overflow
  } else {
    j.deadline = stream.spec.relative_deadline > Duration::zero() ? j.rank_deadline : kNever;
  }
  j.older = stream.newest;
  if (stream.newest != Job::kNone) jobs[stream.newest].newer = index;
  stream.newest = index;
  if (stream.oldest == Job::kNone) stream.oldest = index;
  ++stream.in_flight;
  return &j;
}

void Scheduler::State::count_release(StreamId id) noexcept {
  ++streams[id.value].released;
  streams[id.value].drops <<= 1;
  show(id);
}

// Policies see how many of the last ten frames were dropped.
void Scheduler::State::count_drop(StreamId id, std::uint32_t ordinal) noexcept {
  const std::uint32_t age = streams[id.value].released - 1 - ordinal;
  if (age < 32) streams[id.value].drops |= 1U << age;
  show(id);
}

// Before or after a new frame: ends those that have not begun, from `newest` backwards, but for as many as may wait
// beside the new one.
void Scheduler::State::make_room(StreamId id, std::uint32_t newest, Instant now) noexcept {
  const StreamSpec& spec = streams[id.value].spec;
  if (spec.queue == QueueRule::keep) return;
  const bool newest_wins = spec.queue == QueueRule::newest_wins;
  std::uint32_t allowed = newest_wins ? 0 : std::max(spec.queue_depth, 1u) - 1;
  for (std::uint32_t i = newest, older; i != Job::kNone; i = older) {
    older = jobs[i].older;
    const Job& j = jobs[i];
    if (j.segment > 0 || (j.state != JobState::waiting && j.state != JobState::delayed)) continue;
    if (allowed > 0) {
      --allowed;
      continue;
    }
    end(JobId{i}, newest_wins ? Verdict::superseded : Verdict::dropped, now);
  }
}

void Scheduler::State::activate(JobId id) noexcept {
  Job& j = job(id);
  j.since = j.release;
  trace(TraceKind::release, j.release, &j);
  timers.push(id.value, j.deadline);
  skip_ahead(id);
  if (j.segment < route_of(j).length()) {
    add_waiting(id);
  } else {
    end(id, Verdict::done, j.release, true, release_children(id, j.release, nullptr));
  }
}

// Segments that are left out count as done as soon as the job comes to them.
void Scheduler::State::skip_ahead(JobId id) noexcept {
  Job& j = job(id);
  const std::size_t length = route_of(j).length();
  j.segment = static_cast<std::uint16_t>(std::min(length, j.segment + port.skipped(id, j.segment)));
}

Rank Scheduler::State::rank(JobId id) const noexcept {
  const Job& j = job(id);
  const Route& r = route_of(j);
  return {stream_of(j).spec.criticality, j.deadline, j.release, r.togo_min[j.segment],
          r.togo_sum[j.segment],         j.stream,   j.frame};
}

WaitingSet::Item Scheduler::State::item(JobId id) const noexcept {
  const Job& j = job(id);
  return {id, rank(id), route_of(j).path[j.segment], j.route, j.segment, {j.last, j.since, j.live_bytes}, j.pool};
}

void Scheduler::State::add_waiting(JobId id) noexcept {
  Job& j = job(id);
  const Stream& stream = stream_of(j);
  j.state = JobState::waiting;
  // A job that began elsewhere before its stream was moved may hold a slot that the new accelerator cannot reach.
  j.hard = stream.hard && j.route == stream.route &&
           (!j.pool.valid() || j.pool == accelerators[stream.accelerator.value].spec.pool);
  if (j.hard) {
    accelerators[stream.accelerator.value].hard_waiting.push_back(id);
  } else {
    waiting.add(item(id));
  }
}

void Scheduler::State::remove_waiting(JobId id) noexcept {
  if (!job(id).hard) {
    waiting.remove(id);
    return;
  }
  // The stream may be bound elsewhere by now, so look in every queue.
  for (Accelerator& a : accelerators) {
    const auto place = std::find(a.hard_waiting.begin(), a.hard_waiting.end(), id);
    if (place == a.hard_waiting.end()) continue;
    *place = a.hard_waiting.back();
    a.hard_waiting.pop_back();
    return;
  }
}

void Scheduler::State::cancel(JobId id, Instant now) {
  if (id.value >= jobs.size()) return;
  Job& j = job(id);
  if (j.state == JobState::free) return;
  if (j.state != JobState::launched) {
    end(id, Verdict::cancelled, now);
    return;
  }
  j.pending = Pending::cancelled;
  unpost(id, now);
}

void Scheduler::State::release_slot(Job& j) noexcept {
  if (!j.pool.valid()) return;
  pools[j.pool.value].free.push_back(j.slot);
  pools[j.pool.value].hard -= j.kept_slot;
  j.pool = SlotPoolId{};
  j.slot = Placement::kNoSlot;
}

// The one way out of the job table. The job must not be part of any launch.
void Scheduler::State::end(JobId id, Verdict verdict, Instant now, bool has_result, bool child) noexcept {
  Job& j = job(id);
  TAKT_CHECK(j.state != JobState::free && j.posted == 0);
  if (j.state == JobState::waiting) remove_waiting(id);
  // The turn of a frame that was never released is its successor's, if nobody came after it.
  if (j.state == JobState::delayed && j.newer == Job::kNone) stream_of(j).next_arrival = j.release;
  timers.remove(id.value);
  release_slot(j);
  trace(trace_kind(verdict), now, &j);
  const Answer answer{.verdict = verdict,
                      .route = j.segment > 0 ? j.route : RouteId{},
                      .accelerator = j.last,
                      .release = j.release,
                      .first_start = j.first_start,
                      .end = now,
                      .deadline = j.deadline,
                      .executed = j.executed,
                      .segments = j.segment,
                      .largest_batch = j.largest_batch,
                      .child_follows = child,
                      .has_result = has_result};
  ++counters.verdicts[static_cast<std::size_t>(verdict)];
  const StreamId stream_id = j.stream;
  const std::uint32_t frame = j.frame;
  Stream& stream = stream_of(j);
  if (verdict == Verdict::dropped) count_drop(stream_id, j.ordinal);
  for (Accelerator& a : accelerators)
    if (a.latest == id) a.latest = JobId{};
  policy.observe({stream_id, verdict, j.release, j.deadline, now, j.energy_nj, stream.routes[0].worst_energy_nj});
  port.answer(id, answer);
  forget(id);
  if (child) activate_children(stream_id, frame);
  if (stream.children > 0 && !has_result) lose_children(stream_id, frame, now);
  maybe_end_stream(stream_id);
}

// Cascade children of a frame that has no result, and theirs: each counts as dropped if it would have come.
void Scheduler::State::lose_children(StreamId parent, std::uint32_t frame, Instant now) noexcept {
  for (std::size_t i = 0; i < streams.size(); ++i) {
    Stream& child = streams[i];
    if (!child.open || child.spec.parent != parent || !port.child_lost(StreamId{i}, frame)) continue;
    count_release(StreamId{i});
    count_drop(StreamId{i}, child.released - 1);
    if (sink != nullptr)
      sink->record({.at = now, .kind = TraceKind::drop, .stream = StreamId{i}, .frame = frame, .route = RouteId{child.first}});
    policy.observe({StreamId{i}, Verdict::dropped, now, now, now, 0, child.routes[0].worst_energy_nj});
    if (child.children > 0) lose_children(StreamId{i}, frame, now);
  }
}

void Scheduler::State::forget(JobId id) noexcept {
  Job& j = job(id);
  Stream& stream = stream_of(j);
  (j.older == Job::kNone ? stream.oldest : jobs[j.older].newer) = j.newer;
  (j.newer == Job::kNone ? stream.newest : jobs[j.newer].older) = j.older;
  --stream.in_flight;
  j.state = JobState::free;
  free_jobs.push_back(id.value);
}

void Scheduler::State::expire(Instant now) noexcept {
  while (timers.next() <= now && !timers.empty()) {
    const JobId id{timers.front()};
    timers.remove(id.value);
    if (job(id).state == JobState::delayed) {
      activate(id);
    } else {
      deadline_passed(id, now);
    }
  }
}

void Scheduler::State::deadline_passed(JobId id, Instant now) noexcept {
  Job& j = job(id);
  const bool abort = stream_of(j).spec.late == LateRule::abort;
  if (abort && j.state == JobState::waiting) {
    end(id, Verdict::missed, now);
    return;
  }
  j.noticed = true;
  trace(TraceKind::notice, now, &j);
  port.notice(id);
  if (!abort) return;
  if (j.pending == Pending::none) j.pending = Pending::missed;
  unpost(id, now);
}

// Children of a parent that has its result. Their deadline counts from the frame's release.
bool Scheduler::State::release_children(JobId parent_id, Instant now, const JobMetrics* metrics) noexcept {
  const StreamId source = job(parent_id).stream;
  if (streams[source.value].children == 0) return false;
  bool any = false;
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const Stream& child = streams[i];
    if (!child.open || child.spec.parent != source) continue;
    const float value = metrics != nullptr ? metrics->value[child.spec.trigger.metric] : 0.0F;
    if (!child.spec.trigger.fires(value)) continue;
    const Job& parent = job(parent_id);
    const Instant deadline = child.spec.relative_deadline > Duration::zero()
                                 ? parent.frame_release + child.spec.relative_deadline
                                 : parent.deadline;
    const std::uint32_t drops = child.drops;
    Job* j = make_job(StreamId{i}, now, deadline);
    if (j == nullptr) continue;
    j->frame = parent.frame;
    j->frame_release = parent.frame_release;
    const JobId id{static_cast<std::size_t>(j - jobs.data())};
    if (!port.child_released(parent_id, id)) {
      --streams[i].released;
      streams[i].drops = drops;
      show(StreamId{i});
      forget(id);
      continue;
    }
    ++counters.released;
    make_room(StreamId{i}, j->older, now);
    any = true;
  }
  return any;
}

// After the parent's answer: its children begin to wait.
void Scheduler::State::activate_children(StreamId parent, std::uint32_t frame) noexcept {
  for (std::size_t i = 0; i < streams.size(); ++i) {
    if (!streams[i].open || streams[i].spec.parent != parent) continue;
    for (std::uint32_t j = streams[i].newest; j != Job::kNone; j = jobs[j].older) {
      if (jobs[j].frame != frame || jobs[j].state != JobState::delayed) continue;
      activate(JobId{j});
      break;
    }
  }
}

}  // namespace takt
