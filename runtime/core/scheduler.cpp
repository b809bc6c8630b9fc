// The scheduler's public face: construction, and events forwarded to the steps in state.hpp.
#include "core/scheduler.hpp"

#include <algorithm>

#include "core/state.hpp"

namespace takt {

Scheduler::State::State(CoreConfig c, std::span<const Model> m, const CostTable& k, Policy& p, Port& o, TraceSink* t)
    : config(std::move(c)),
      models(m),
      costs(k),
      policy(p),
      port(o),
      sink(t),
      jobs(config.max_jobs),
      streams(config.max_streams),
      accelerators(config.accelerators.size()),
      pools(config.slot_pools.size()),
      waiting(config.max_jobs),
      timers(config.max_jobs),
      accelerator_views(config.accelerators.size()),
      stream_views(config.max_streams),
      plan(config.max_jobs, config.accelerators.size()) {
  TAKT_CHECK(config.max_batch >= 1 && config.max_batch <= kMaxBatch);
  free_jobs.reserve(jobs.size());
  for (std::size_t i = jobs.size(); i-- > 0;) free_jobs.push_back(static_cast<std::uint32_t>(i));
  for (std::size_t i = 0; i < accelerators.size(); ++i) {
    TAKT_CHECK(config.accelerators[i].ahead <= kMaxAhead && config.accelerators[i].pool.value < pools.size());
    accelerators[i].spec = config.accelerators[i];
    accelerators[i].hard_waiting.reserve(jobs.size());
  }
  for (std::size_t i = 0; i < pools.size(); ++i)
    for (std::uint32_t s = config.slot_pools[i]; s-- > 0;) pools[i].free.push_back(s);
  loads.reserve(streams.size());
  std::size_t variants = 0, segments = 0;
  for (const Model& model : models) {
    variants = std::max(variants, model.first_variant.value + model.variants.size());
    for (const Subnet& subnet : model.subnets) segments = std::max(segments, subnet.path.size() + model.has_preprocessing());
  }
  live_bytes.resize(variants);
  for (const Model& model : models)
    for (std::size_t v = 0; v < model.variants.size(); ++v)
      live_bytes[model.first_variant.value + v] = model.variants[v].activation_bytes;
  policy.prepare({.jobs = config.max_jobs, .streams = config.max_streams, .accelerators = accelerators.size(), .segments = segments});
}

void Scheduler::State::trace(TraceKind kind, Instant at, const Job* j, AcceleratorId a, std::uint16_t batch,
                             std::size_t ahead) noexcept {
  if (sink == nullptr) return;
  TraceEvent event{.at = at, .kind = kind, .batch = batch, .accelerator = a};
  if (j != nullptr) {
    event.segment = static_cast<std::uint16_t>(j->segment + ahead);
    event.stream = j->stream;
    event.frame = j->frame;
    event.route = j->route;
    if (kind == TraceKind::release) event.deadline = j->deadline;
  }
  sink->record(event);
}

Scheduler::Scheduler(CoreConfig config, std::span<const Model> models, const CostTable& costs, Policy& policy,
                     Port& port, TraceSink* trace)
    : s_(std::make_unique<State>(std::move(config), models, costs, policy, port, trace)) {}
Scheduler::~Scheduler() = default;

std::vector<Route> Scheduler::make_routes(const StreamSpec& spec) const {
  return s_->make_routes(spec);
}
Admission Scheduler::open_stream(const StreamSpec& spec, std::vector<Route> routes, Instant) {
  return s_->open(spec, std::move(routes));
}
Admission Scheduler::update_stream(StreamId stream, const StreamSpec& spec, Instant now) {
  return s_->update(stream, spec, now);
}
void Scheduler::close_stream(StreamId stream, Instant now) {
  s_->close(stream, now);
}
Result<JobId> Scheduler::release(StreamId stream, Instant now, Instant deadline, std::uint32_t frame) {
  return s_->release(stream, now, deadline, frame);
}
void Scheduler::cancel(JobId job, Instant now) {
  s_->cancel(job, now);
}
void Scheduler::completed(AcceleratorId a, Lane lane, const Completion& c, Instant now) {
  s_->completed(a, lane, c, now);
}
void Scheduler::accelerator_up(AcceleratorId a, Instant now) {
  s_->up(a, now);
}
void Scheduler::accelerator_down(AcceleratorId a, Instant now) {
  s_->down(a, now);
}
void Scheduler::expire(Instant now) {
  s_->expire(now);
}
void Scheduler::decide(Instant now) {
  s_->decide(now);
}

Instant Scheduler::next_wake() const noexcept {
  return std::min(s_->timers.next(), s_->policy_wake);
}
std::span<const Route> Scheduler::routes(StreamId stream) const noexcept {
  return s_->streams[stream.value].routes;
}
const StreamSpec& Scheduler::spec(StreamId stream) const noexcept {
  return s_->streams[stream.value].spec;
}
StreamId Scheduler::stream_of(JobId job) const noexcept {
  return s_->jobs[job.value].stream;
}
RouteId Scheduler::route_of(JobId job) const noexcept {
  return s_->jobs[job.value].route;
}
std::uint32_t Scheduler::frame_of(JobId job) const noexcept {
  return s_->jobs[job.value].frame;
}
JobId Scheduler::next_job(StreamId stream, JobId after) const noexcept {
  if (after.valid()) return JobId{s_->jobs[after.value].newer};
  return stream.value < s_->streams.size() ? JobId{s_->streams[stream.value].oldest} : JobId{};
}
const CoreCounters& Scheduler::counters() const noexcept {
  return s_->counters;
}
Correction Scheduler::correction(AcceleratorId accelerator) const noexcept {
  const Accelerator& a = s_->accelerators[accelerator.value];
  const auto whole = [](double ns) { return Duration{static_cast<std::int64_t>(ns)}; };
  return {a.pace, a.spread, whole(a.detour_ns), whole(a.detour_spread_ns)};
}
std::size_t Scheduler::jobs_in_flight() const noexcept {
  return s_->jobs.size() - s_->free_jobs.size();
}
std::uint32_t Scheduler::free_slots(SlotPoolId pool) const noexcept {
  return static_cast<std::uint32_t>(s_->pools[pool.value].free.size());
}

}  // namespace takt
