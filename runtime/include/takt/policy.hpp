// The policy contract: a pure object that sees a snapshot and fills a plan, and the stages that presets are composed of.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "takt/cost.hpp"
#include "takt/ids.hpp"
#include "takt/job.hpp"
#include "takt/plan.hpp"
#include "takt/report.hpp"
#include "takt/result.hpp"
#include "takt/route.hpp"
#include "takt/time.hpp"

namespace takt {

// What orders jobs. Ties are broken by release, stream, frame: total, so runs are reproducible.
struct Rank {
  Criticality criticality = Criticality::soft;
  Instant deadline{}, release{};
  Duration togo_min{}, togo_sum{};  // remaining work, see Route
  StreamId stream;
  std::uint32_t frame = 0;
};

// What a waiting job left behind when it last ran.
struct Trail {
  AcceleratorId ran_on;          // invalid: it has not begun
  Instant since{};               // end of its last segment, or its release
  std::uint64_t live_bytes = 0;  // its activation, which a change of accelerator or job reads and writes
};

// The latest changes of the waiting jobs: change n, counted from 0, was of job ring[n % ring.size()], which came, went or has
// another rank, route or trail. For stages that keep an order or columns of their own from one question to the next: each
// remembers how far it has read and begins anew where the ring has gone on without it (policies/support/changes.hpp).
struct ChangeLog {
  std::span<const JobId> ring;  // its size is a power of two; empty: nobody counts, everything may have changed
  std::uint64_t count = 0;
};

// Waiting firm and soft jobs as parallel arrays of `size` entries, in no particular order.
struct WaitingJobs {
  std::size_t size = 0;
  const JobId* job = nullptr;
  const Rank* rank = nullptr;
  const VariantId* next = nullptr;        // variant of the next segment on the current route
  const RouteId* route = nullptr;
  const std::uint16_t* segment = nullptr; // segments already done
  const Trail* trail = nullptr;
  const SlotPoolId* holds = nullptr;      // pool of its activation slot, where it must go on; invalid: has none
  const std::uint32_t* place = nullptr;   // by job id: where it stands in these arrays, kAbsent if it does not wait
  ChangeLog changes;
  static constexpr std::uint32_t kAbsent = 0xffffffffu;
};

struct AcceleratorView {
  bool up = false;
  bool idle = false;                  // a firm or soft segment may start now
  SlotPoolId pool;
  std::uint32_t free_slots = 0;       // in its pool, less those kept for hard streams
  Duration soft_limit = kForever;     // longest firm or soft segment (budget) that admitted hard streams allow here
  Instant busy_until{};               // predicted end of what is committed
  Instant running_until{};            // the same without what is posted ahead behind the running segment: that can be recalled
  double pace = 1;                    // measured over expected time of its latest segments; 1 in virtual time
  double spread = 0;                  // its mean deviation; 0 in virtual time
  Duration running_togo{};            // least work left of the running job, its running segment in full; 0: none
  JobId latest;                       // the job it worked on last, while that is unfinished
  std::uint64_t latest_bytes = 0;     // that job's activation
  SwitchCost exchange;                // of activations here
  JobId running;                      // the job that runs; invalid: none
  std::uint16_t running_segment = 0;  // of it
  std::uint64_t running_bytes = 0;    // its activation after that segment, 0 after its last
  bool continues = false;             // the running job has further segments, which will be (or are) posted ahead
  Rank continuing{};                  // that job after the running segment
};

struct StreamView {
  const StreamSpec* spec = nullptr;   // null: no such stream
  std::span<const Route> routes;      // no other is both more accurate and cheaper; best accuracy first
  std::uint32_t first = 0, last = 0;  // routes[first, last) are within the stream's accuracy bounds
  std::uint32_t recent_drops = 0;     // dropped ones among the last ten frames released
  bool has_children = false;          // streams that take their frames from this one's results
};

// Borrowed for one call of decide(); everything in it is read-only and stays unchanged during the call.
class Snapshot {
 public:
  Instant now{};
  bool first = true;                  // first question of this instant: drop and choose subnets now
  WaitingJobs waiting;
  std::span<const AcceleratorView> accelerators;
  std::span<const StreamView> streams;
  const CostTable* costs = nullptr;
  const std::uint64_t* live_bytes = nullptr;  // by variant: activation after it
  std::uint32_t max_batch = 1;        // most jobs of one launch
  double pace = 1;                    // the least of accelerators that are up
  Duration detour{};                  // of a segment: wake-ups and rings on top of its execution; 0 in virtual time
  double caution = 1;                 // that accelerator's pace and four times its spread: seldom exceeded

  // Expected time as it comes out at the fastest accelerator's present pace.
  [[nodiscard]] Duration paced(Duration expected) const noexcept { return scaled(expected, pace); }
  // The same for what may hardly take longer: whether a start still makes sense.
  [[nodiscard]] Duration surely(Duration expected, std::size_t segments) const noexcept {
    return scaled(expected, caution) + detour * static_cast<std::int64_t>(segments);
  }
  [[nodiscard]] Duration slack(const Rank& r) const noexcept { return r.deadline - now - paced(r.togo_min); }
  [[nodiscard]] const Route& route(std::size_t i) const noexcept {
    return streams[waiting.rank[i].stream.value].routes[waiting.route[i].value];
  }
  [[nodiscard]] bool last_segment(std::size_t i) const noexcept { return waiting.segment[i] + 1u == route(i).length(); }

  // Activation that is read and written if waiting job i goes on accelerator a next: nothing if its last segment was a's
  // latest work, else its own and that of the unfinished job that a worked on.
  [[nodiscard]] std::uint64_t switch_bytes(std::size_t i, std::size_t a) const noexcept {
    const AcceleratorView& acc = accelerators[a];
    const Trail& trail = waiting.trail[i];
    const bool its_own = acc.latest == waiting.job[i];
    if (its_own && trail.ran_on == AcceleratorId{a}) return 0;
    return trail.live_bytes + (its_own || !acc.latest.valid() ? 0 : acc.latest_bytes);
  }
  // Expected time of the next segment of waiting job i on accelerator a, the switch included.
  [[nodiscard]] Duration next_time(std::size_t i, std::size_t a) const noexcept {
    return costs->at(AcceleratorId{a}, waiting.next[i]).expected + accelerators[a].exchange.time(switch_bytes(i, a));
  }

  // Whether waiting job i may start on accelerator a now: idle, able to run it, a slot for its activation, within the guard
  // that protects hard streams.
  [[nodiscard]] bool can_start(std::size_t i, std::size_t a) const noexcept {
    const AcceleratorView& acc = accelerators[a];
    if (!acc.up || !acc.idle) return false;
    const Cost& cost = costs->at(AcceleratorId{a}, waiting.next[i]);
    if (!cost.runnable() || cost.budget > acc.soft_limit) return false;
    if (waiting.holds[i].valid()) return waiting.holds[i] == acc.pool;
    return last_segment(i) || acc.free_slots > 0;
  }
};

// How a job ended, for policies that learn online. A cascade child that was lost with its parent is `dropped`.
struct Ended {
  StreamId stream;
  Verdict verdict = Verdict::done;
  Instant release{}, deadline{}, end{};
  double energy_nj = 0;        // all of its segments, switches included
  double worst_energy_nj = 0;  // of the stream's first subnet
};

// How much there can be, for policies that keep something of each.
struct PolicyLimits {
  std::size_t jobs = 0, streams = 0, accelerators = 0;
  std::size_t segments = 0;  // of the longest route, preprocessing included
};

// All but prepare() run on the scheduler thread: no allocation, no lock, no clock, no system call, bounded time.
class Policy {
 public:
  virtual ~Policy() = default;
  // Once, before the first decide(); may allocate.
  virtual void prepare(const PolicyLimits& limits) { (void)limits; }
  virtual void decide(const Snapshot& snapshot, Plan& plan) noexcept = 0;
  virtual void observe(const Ended& ended) noexcept { (void)ended; }
  // Its present values for the status: weights, what a tuner is at. Stages have the same.
  virtual void describe(PolicyReport& report) const noexcept { (void)report; }
};

// Stages, in the order they are asked. Each sees the effect of those before it.
class Dropper {
 public:
  virtual ~Dropper() = default;
  virtual void prepare(const PolicyLimits& limits) { (void)limits; }  // once, before the first question; may allocate
  virtual void drop(const Snapshot& snapshot, Plan& plan) noexcept = 0;
  virtual void describe(PolicyReport& report) const noexcept { (void)report; }
};
class SubnetSelector {
 public:
  virtual ~SubnetSelector() = default;
  virtual void prepare(const PolicyLimits& limits) { (void)limits; }  // once, before the first question; may allocate
  virtual void select(const Snapshot& snapshot, Plan& plan) noexcept = 0;
  virtual void describe(PolicyReport& report) const noexcept { (void)report; }
};
class Dispatcher {
 public:
  virtual ~Dispatcher() = default;
  virtual void prepare(const PolicyLimits& limits) { (void)limits; }  // once, before the first question; may allocate
  // Adds at most one start; none if nothing should start now.
  virtual void dispatch(const Snapshot& snapshot, Plan& plan) noexcept = 0;
  // Whether waiting job i should go before the job that runs on accelerator a now, at its next boundary.
  [[nodiscard]] virtual bool outranks(const Snapshot& snapshot, std::size_t i, std::size_t a) const noexcept = 0;
  // Whether any should, of those that can run there. Asking each is O(jobs); who keeps them in order need not.
  [[nodiscard]] virtual bool gives_way(const Snapshot& snapshot, std::size_t a) noexcept {
    for (std::size_t i = 0; i < snapshot.waiting.size; ++i)
      if (snapshot.costs->at(AcceleratorId{a}, snapshot.waiting.next[i]).runnable() && outranks(snapshot, i, a)) return true;
    return false;
  }
  virtual void describe(PolicyReport& report) const noexcept { (void)report; }
};

// What a whole policy is asked for beside its name: "sdrm3:drop+supernet" has the variant "drop+supernet".
struct PolicyOptions {
  std::string_view variant;               // empty: plain
  std::span<const std::string> settings;  // "key=value"
};

// What a file in policies/ contributes; exactly one of the makers is set. The makers may allocate.
struct PolicyEntry {
  std::string_view name;
  std::string_view summary;
  std::unique_ptr<Dispatcher> (*dispatcher)() = nullptr;
  std::unique_ptr<SubnetSelector> (*selector)() = nullptr;
  std::unique_ptr<Dropper> (*dropper)() = nullptr;
  tl::expected<std::unique_ptr<Policy>, std::string> (*whole)(const PolicyOptions&) = nullptr;  // error: what is wrong with them
};

// Every file in policies/, in alphabetical order; the table is generated by CMake.
[[nodiscard]] std::span<const PolicyEntry* const> policy_table() noexcept;

}  // namespace takt

// Last line of a file in policies/: TAKT_POLICY(edf, "earliest deadline first", .dispatcher = make).
// The name is the file's name.
#define TAKT_POLICY(NAME, SUMMARY, ...)               \
  extern const ::takt::PolicyEntry takt_policy_##NAME; \
  const ::takt::PolicyEntry takt_policy_##NAME{.name = #NAME, .summary = SUMMARY, __VA_ARGS__};
