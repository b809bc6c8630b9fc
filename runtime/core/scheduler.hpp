// The scheduler: a state machine over streams, jobs and accelerators. Events and the time go in; starts and answers
// come out.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "core/port.hpp"
#include "takt/cost.hpp"
#include "takt/job.hpp"
#include "takt/model.hpp"
#include "takt/policy.hpp"
#include "takt/result.hpp"
#include "takt/trace.hpp"

namespace takt {

struct AcceleratorSpec {
  SlotPoolId pool;
  std::uint8_t ahead = 0;    // entries that may be posted ahead of the running one, at most kMaxAhead
  bool preempts = false;     // its real-time lane runs while the normal lane is busy (CPU workers)
  bool shares_slots = true;  // activations survive the death of its executor
  SwitchCost exchange;       // of activations, where changing jobs is not free
};
inline constexpr std::size_t kMaxAhead = 3;

struct CoreConfig {
  std::size_t max_jobs = 4096;
  std::size_t max_streams = 1024;
  std::uint32_t max_batch = 8;  // 1 .. kMaxBatch
  bool listed_subnets = false;  // routes as the model lists its subnets, also those that others beat in accuracy and cost
  bool learn_pace = false;      // correct predictions by measured segment times; off in virtual time
  std::vector<AcceleratorSpec> accelerators;
  std::vector<std::uint32_t> slot_pools;  // slots in each
};

struct JobMetrics {
  std::array<float, kMaxMetrics> value{};
};

// What an executor says of one launch. `metrics` has one entry a job if the segment was a last one.
struct Completion {
  std::uint64_t sequence = 0;
  Instant started{}, ended{};
  bool failed = false;
  double energy_nj = -1;  // of the launch; negative: not measured, then its time at the mean power of the cost table
  std::span<const JobMetrics> metrics;
};

// Counters since construction; read on the scheduler thread.
struct CoreCounters {
  std::uint64_t released = 0, starts = 0, refused_plans = 0, recalls = 0, decisions = 0, slot_waits = 0;
  std::array<std::uint64_t, kVerdicts> verdicts{};
};

// How measured times of an accelerator's segments differ from the cost table; see CoreConfig::learn_pace.
struct Correction {
  double pace = 1, spread = 0;        // measured over expected, and its mean deviation
  Duration detour{}, detour_spread{}; // what a segment takes beside its execution
};

// Single-threaded but for make_routes(). Constructing and make_routes() allocate; no other call does. After any
// sequence of events the caller calls decide(now) once, then sleeps until next_wake() or the next event.
class Scheduler {
 public:
  // All borrowed and outliving the scheduler. `trace` may be null.
  Scheduler(CoreConfig config, std::span<const Model> models, const CostTable& costs, Policy& policy, Port& port,
            TraceSink* trace);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // The routes of a stream to be. Any thread: it reads only what never changes. Allocates.
  [[nodiscard]] std::vector<Route> make_routes(const StreamSpec& spec) const;
  // Accepts, offers a lighter subnet (hard streams), or refuses with the reason and what would fit. `routes` must come
  // from make_routes(spec); with them it does not allocate.
  [[nodiscard]] Admission open_stream(const StreamSpec& spec, std::vector<Route> routes, Instant now);
  [[nodiscard]] Admission open_stream(const StreamSpec& spec, Instant now) {
    return open_stream(spec, make_routes(spec), now);
  }
  // Other period, deadline, class, rules or accuracy bounds; refused: the stream stays as it was.
  [[nodiscard]] Admission update_stream(StreamId stream, const StreamSpec& spec, Instant now);
  // No further releases; waiting jobs are cancelled, running ones end at their next boundary. stream_ended() follows.
  void close_stream(StreamId stream, Instant now);

  static constexpr std::uint32_t kNextFrame = 0xffffffffu;
  // A frame arrives. `deadline` kNever takes the stream's relative deadline; `frame` is its number, by default the count of
  // the stream's releases. Fails (no_capacity, not_found) without
  // accepting it, else exactly one answer follows.
  [[nodiscard]] Result<JobId> release(StreamId stream, Instant now, Instant deadline = kNever, std::uint32_t frame = kNextFrame);
  void cancel(JobId job, Instant now);

  void completed(AcceleratorId accelerator, Lane lane, const Completion& completion, Instant now);
  // Up: may be given work. Down: what ran there is planned anew once, then answered `error`.
  void accelerator_up(AcceleratorId accelerator, Instant now);
  void accelerator_down(AcceleratorId accelerator, Instant now);

  // Applies deadlines that are due. decide() does, too; only a caller that has releases of the same instant needs it.
  void expire(Instant now);
  // Applies deadlines that are due, dispatches hard jobs, asks the policy until it starts nothing more.
  void decide(Instant now);
  [[nodiscard]] Instant next_wake() const noexcept;

  [[nodiscard]] std::span<const Route> routes(StreamId stream) const noexcept;
  [[nodiscard]] const StreamSpec& spec(StreamId stream) const noexcept;
  [[nodiscard]] StreamId stream_of(JobId job) const noexcept;
  [[nodiscard]] std::uint32_t frame_of(JobId job) const noexcept;
  [[nodiscard]] RouteId route_of(JobId job) const noexcept;
  // The stream's jobs in flight, oldest first, until `visit` returns true. `visit` may cancel the job it got if it then
  // returns true.
  template <class Visit>
  void for_each_job(StreamId stream, Visit visit) const {
    for (JobId j = next_job(stream, JobId{}); j.valid(); j = next_job(stream, j))
      if (visit(j)) return;
  }
  [[nodiscard]] const CoreCounters& counters() const noexcept;
  [[nodiscard]] Correction correction(AcceleratorId accelerator) const noexcept;
  [[nodiscard]] std::size_t jobs_in_flight() const noexcept;
  [[nodiscard]] std::uint32_t free_slots(SlotPoolId pool) const noexcept;

 private:
  [[nodiscard]] JobId next_job(StreamId stream, JobId after) const noexcept;
  struct State;
  std::unique_ptr<State> s_;
};

}  // namespace takt
