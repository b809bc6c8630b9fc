// The scheduler's private state: jobs, streams, accelerators, and the steps that events and decisions are made of.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "core/admission.hpp"
#include "core/deadline_heap.hpp"
#include "core/scheduler.hpp"
#include "core/waiting_set.hpp"

namespace takt {

enum class JobState : std::uint8_t { free, delayed, waiting, launched };

// How a launched job will end at its next boundary, whatever it computed.
enum class Pending : std::uint8_t { none, cancelled, missed, failed };

struct Job {
  JobState state = JobState::free;
  Pending pending = Pending::none;
  bool hard = false;  // dispatched by the core on its stream's accelerator
  bool noticed = false;
  std::uint8_t posted = 0;  // entries it is part of
  std::uint8_t restarts = 0;
  StreamId stream;
  std::uint32_t frame = 0;     // of the root stream: a cascade child has its parent's
  std::uint32_t ordinal = 0;   // among the stream's releases
  Instant frame_release{};     // of the root's frame
  Instant release{}, deadline{};
  Instant rank_deadline{};  // hard: release + what was admitted, else the deadline
  Instant first_start{};
  Duration executed{};
  RouteId route;
  std::uint16_t segment = 0;  // completed
  std::uint16_t largest_batch = 0;
  SlotPoolId pool;
  std::uint32_t slot = Placement::kNoSlot;
  bool kept_slot = false;  // its slot is one of those kept for hard jobs
  AcceleratorId last;
  Instant since{};               // end of its last segment, or its release
  std::uint64_t live_bytes = 0;  // activation after it
  double energy_nj = 0;
  std::uint32_t older = kNone, newer = kNone;  // neighbours in the stream's list
  static constexpr std::uint32_t kNone = 0xffffffffu;
};

struct Stream {
  bool open = false, used = false;
  StreamSpec spec;
  bool hard = false;  // admitted and bound; false for a hard stream that lost its accelerator
  std::vector<Route> routes;
  std::uint32_t first = 0, last = 0;  // within the accuracy bounds
  AcceleratorId accelerator;
  RouteId route;  // hard: always this one
  HardLoad load;
  Instant next_arrival = Instant::min();
  std::uint32_t released = 0, in_flight = 0;
  std::uint32_t drops = 0;  // bit n: the n-th frame before the latest was dropped
  std::uint32_t oldest = Job::kNone, newest = Job::kNone;  // its jobs in order of release
  std::uint32_t children = 0;                              // streams that name it as parent
};

struct LaunchState {
  std::uint64_t sequence = 0;
  VariantId variant;
  std::uint16_t count = 0;
  Duration expected{}, budget{};
  std::array<JobId, kMaxBatch> jobs{};
};

struct LaneState {
  std::array<LaunchState, 1 + kMaxAhead> queue{};  // front is running or about to
  std::uint8_t count = 0;
  std::uint64_t sequence = 0;  // last one used
  Instant front_since{};
};

struct Accelerator {
  AcceleratorSpec spec;
  bool up = false;
  std::array<LaneState, kLanes> lanes;
  Duration soft_limit = kForever;
  double pace = 1;                  // measured over expected time of segments, a running mean
  double spread = 0;                // mean deviation from it
  double detour_ns = 0, detour_spread_ns = 0;  // a segment's time beside its execution, likewise
  JobId latest;                     // worked on last, while it is unfinished
  bool yields = false;              // the policy wants to decide anew at the next boundary
  std::vector<JobId> hard_waiting;  // bound to it, in no order
  [[nodiscard]] LaneState& lane(Lane l) noexcept { return lanes[static_cast<std::size_t>(l)]; }
  // No hard job is released and unfinished: the last busy period of hard work is over.
  [[nodiscard]] bool hard_idle() const noexcept { return hard_waiting.empty() && lanes[0].count == 0; }
  Instant learned{};                // when these were last brought up to date
  void measure(Duration expected, Duration measured, Instant now) noexcept;
  void forget_idle(Instant now) noexcept;
  void measure_detour(Duration measured) noexcept;
};

// Each hard stream of more than one segment has a slot kept for it: at most one of its jobs is between segments, and no
// soft job may make it wait for a slot.
struct SlotPool {
  std::vector<std::uint32_t> free;
  std::uint32_t kept = 0;  // for hard streams that are bound to its accelerators
  std::uint32_t hard = 0;  // held by their jobs
  [[nodiscard]] std::size_t free_for(Lane lane) const noexcept {
    const std::size_t away = lane == Lane::realtime || hard >= kept ? 0 : kept - hard;
    return free.size() - std::min(free.size(), away);
  }
};

struct Scheduler::State {
  State(CoreConfig c, std::span<const Model> m, const CostTable& k, Policy& p, Port& o, TraceSink* t);

  // streams.cpp
  [[nodiscard]] Admission open(const StreamSpec& spec, std::vector<Route> routes) noexcept;
  [[nodiscard]] Admission update(StreamId id, const StreamSpec& spec, Instant now);
  [[nodiscard]] Admission check_model(const StreamSpec& spec) const noexcept;
  [[nodiscard]] Admission check(const StreamSpec& spec) const noexcept;
  void close(StreamId id, Instant now);
  [[nodiscard]] std::vector<Route> make_routes(const StreamSpec& spec) const;
  void show(StreamId id) noexcept;
  void bound_routes(Stream& stream) const noexcept;  // the part within the accuracy bounds
  void refresh_routes(Stream& stream) const noexcept;
  void refresh_routes() noexcept;                    // remaining work, after accelerators came or went
  [[nodiscard]] Admission admit_hard(Stream& stream) noexcept;
  [[nodiscard]] Admission refusal(Stream& stream) noexcept;
  [[nodiscard]] bool fits(const Stream& stream, std::uint32_t route, AcceleratorId a, HardLoad& load) noexcept;
  [[nodiscard]] bool has_slot(const Stream& stream, std::uint32_t route, AcceleratorId a) const noexcept;
  void refresh_guards() noexcept;  // what hard streams keep from soft ones
  void rebind_hard_streams(Instant now) noexcept;
  void requeue(Stream& stream) noexcept;
  void maybe_end_stream(StreamId id) noexcept;

  // jobs.cpp
  [[nodiscard]] Result<JobId> release(StreamId id, Instant now, Instant deadline, std::uint32_t frame);
  [[nodiscard]] Job* make_job(StreamId id, Instant now, Instant deadline) noexcept;
  void count_release(StreamId id) noexcept;
  void count_drop(StreamId id, std::uint32_t ordinal) noexcept;
  void lose_children(StreamId parent, std::uint32_t frame, Instant now) noexcept;
  void skip_ahead(JobId id) noexcept;
  void make_room(StreamId id, std::uint32_t newest, Instant now) noexcept;  // newest-wins, drop-oldest
  void activate(JobId id) noexcept;                                         // delayed -> waiting
  void add_waiting(JobId id) noexcept;
  void remove_waiting(JobId id) noexcept;
  void cancel(JobId id, Instant now);
  void end(JobId id, Verdict verdict, Instant now, bool has_result = false, bool child = false) noexcept;
  void forget(JobId id) noexcept;  // out of the table and its stream's list
  void expire(Instant now) noexcept;
  void deadline_passed(JobId id, Instant now) noexcept;
  bool release_children(JobId parent, Instant now, const JobMetrics* metrics) noexcept;
  void activate_children(StreamId parent, std::uint32_t frame) noexcept;
  void release_slot(Job& job) noexcept;
  [[nodiscard]] WaitingSet::Item item(JobId id) const noexcept;
  [[nodiscard]] Rank rank(JobId id) const noexcept;

  // launches.cpp
  void completed(AcceleratorId a, Lane lane, const Completion& c, Instant now);
  void segment_ended(JobId id, AcceleratorId a, const Completion& c, std::size_t place, std::uint16_t batch,
                     Instant now) noexcept;
  void up(AcceleratorId a, Instant now);
  void down(AcceleratorId a, Instant now);
  void recall_ahead(AcceleratorId a, Lane lane, std::size_t keep, Instant now) noexcept;
  void unpost(JobId id, Instant now) noexcept;
  void restart(JobId id, Instant now) noexcept;
  void settle(JobId id, Instant now) noexcept;  // launched -> waiting, or its pending end
  [[nodiscard]] bool needs_slot(const Job& j) const noexcept;
  [[nodiscard]] std::uint64_t switch_bytes(JobId id, AcceleratorId a) const noexcept;
  bool post(AcceleratorId a, Lane lane, std::span<const JobId> jobs, Instant now) noexcept;
  void post_ahead(AcceleratorId a, Lane lane, Instant now) noexcept;

  // decide.cpp
  void decide(Instant now);
  void dispatch_hard(Instant now) noexcept;
  void view(Instant now, bool first) noexcept;
  enum class Applied : std::uint8_t { nothing, changed, started };
  [[nodiscard]] Applied apply(Instant now) noexcept;
  [[nodiscard]] bool apply_drop(JobId id, Instant now) noexcept;
  [[nodiscard]] bool apply_reroute(const Reroute& reroute) noexcept;
  [[nodiscard]] bool apply_recall(AcceleratorId a, Instant now) noexcept;
  [[nodiscard]] bool apply_start(const Start& start, Instant now) noexcept;
  [[nodiscard]] std::size_t gather(std::size_t lead, AcceleratorId a, std::uint32_t limit, Instant now,
                                   std::array<JobId, kMaxBatch>& out) noexcept;
  [[nodiscard]] bool idle(const Accelerator& a, Lane lane) const noexcept;

  [[nodiscard]] Job& job(JobId id) noexcept { return jobs[id.value]; }
  [[nodiscard]] const Job& job(JobId id) const noexcept { return jobs[id.value]; }
  [[nodiscard]] Stream& stream_of(const Job& j) noexcept { return streams[j.stream.value]; }
  [[nodiscard]] const Stream& stream_of(const Job& j) const noexcept { return streams[j.stream.value]; }
  [[nodiscard]] const Route& route_of(const Job& j) const noexcept { return stream_of(j).routes[j.route.value]; }
  // `ahead`: segments beyond the one the job is at.
  void trace(TraceKind kind, Instant at, const Job* j = nullptr, AcceleratorId a = {}, std::uint16_t batch = 0,
             std::size_t ahead = 0) noexcept;

  CoreConfig config;
  std::span<const Model> models;
  const CostTable& costs;
  Policy& policy;
  Port& port;
  TraceSink* sink;

  std::vector<Job> jobs;
  std::vector<std::uint32_t> free_jobs;
  std::vector<std::uint64_t> live_bytes;  // by variant: activation after it
  std::vector<Stream> streams;
  std::vector<Accelerator> accelerators;
  std::vector<SlotPool> pools;
  WaitingSet waiting;
  DeadlineHeap timers;
  std::vector<HardLoad> loads;  // scratch of admission
  std::vector<AcceleratorView> accelerator_views;
  std::vector<StreamView> stream_views;
  Snapshot snapshot;
  Plan plan;
  Instant policy_wake = kNever;
  CoreCounters counters;
};

}  // namespace takt
