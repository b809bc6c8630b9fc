// One worker thread of an accelerator's lane: claims entries, runs them through the driver, says how it went.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "executor/flight.hpp"
#include "executor/session_view.hpp"
#include "live/realtime.hpp"
#include "takt/driver.hpp"
#include "wire/ring_ops.hpp"

namespace takt::executor {

struct WorkerConfig {
  std::uint32_t accelerator = 0;  // position in this executor
  bool realtime = false;          // the real-time lane; else the normal one
  int priority = 0;               // SCHED_FIFO of a real-time worker; 0: none
  std::string name;               // of the thread
  std::vector<int> cores;
  Duration spin{};  // before it sleeps
};

// What the last failed launch said; counts only grow.
struct Trouble {
  std::uint64_t failures = 0;
  const char* text = "";
  long vendor = 0;
};

// Time of the launches that went well: by the profile, and as it was; both only grow.
struct Spent {
  Duration expected{}, measured{};
};

// The thread lives as long as the process: drivers tie queues, graphs and thread pools to it. Between sessions it
// sleeps. All calls come from the main thread. While it serves, the thread does not allocate, lock or log; its only
// system calls are the wait, the wake of the broker and the driver's own.
//
// With a driver that takes one launch at a time it claims an entry, runs it, and claims the next one. With a deeper one
// it launches the next entry shortly before what is under way should have ended, so that the device does not idle in
// between; until then the entry can be recalled.
class Worker {
 public:
  // Starts the thread and waits until the driver's enter() has returned on it.
  Worker(Driver& driver, WorkerConfig config);
  // Only when not serving: joins the thread.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  [[nodiscard]] const Result<void>& entered() const noexcept { return entered_; }
  [[nodiscard]] const live::Grant& fifo() const noexcept { return fifo_; }  // once prepared; only with a priority
  [[nodiscard]] const WorkerConfig& config() const noexcept { return config_; }

  // Has the driver prepare(), then works for this session until stop(); only when idle(). Does not wait. `session`
  // stays until idle() again. `trouble` is notified after a launch that failed, may be null.
  void serve(const SessionView& session, wire::LaneRings& rings, const live::Notifier* trouble);
  // After serve(): waits until prepare() has returned and gives its error; with one, the worker is idle again.
  [[nodiscard]] Result<void> await_prepared() noexcept;
  // now: after the running launch, what was posted is left. drain: when nothing is posted any more. Does not wait.
  enum class Stop : std::uint8_t { now, drain };
  void stop(Stop how);
  [[nodiscard]] bool idle() const noexcept { return state_.load() == kIdle; }
  // Waits until idle or `deadline`; true if idle.
  bool wait_idle(Instant deadline) noexcept;

  // From then on the launch under way counts as one that never ends: three times what it should take, and a second for
  // a machine that was asleep or out of memory. kNever: nothing is under way.
  [[nodiscard]] Instant hangs_at() const noexcept { return instant_ns(hangs_at_ns_.load(std::memory_order_relaxed)); }

  [[nodiscard]] Trouble trouble() const noexcept;
  [[nodiscard]] Spent spent() const noexcept { return {Duration{expected_ns_.load()}, Duration{measured_ns_.load()}}; }

 private:
  // The main thread moves idle to preparing or ending, the worker's thread on to serving and everything back to idle.
  enum State : std::uint32_t { kStarting, kIdle, kPreparing, kServing, kEnding };
  enum Command : std::uint32_t { kServe, kStopNow, kDrain };

  void thread_main();
  void enter();
  [[nodiscard]] Result<void> prepare();
  void serve_loop(wire::StartConsumer& starts, wire::CompletionProducer& completions) noexcept;
  void serve_ahead(wire::StartConsumer& starts, wire::CompletionProducer& completions) noexcept;
  void run(const wire::StartEntry& entry, std::uint64_t sequence, wire::CompletionProducer& completions) noexcept;
  void launch(const wire::StartEntry& entry, std::uint64_t sequence) noexcept;
  void await(Instant until, wire::CompletionProducer& completions) noexcept;
  void watch(Instant begun, Duration expected) noexcept;
  void sleep(wire::StartConsumer& starts, std::uint32_t bell) noexcept;
  void complete(wire::CompletionEntry& out, const Flight& flight, Instant started, Instant ended,
                const Result<void>& outcome, wire::CompletionProducer& completions) noexcept;
  [[nodiscard]] bool spin_for_work(const wire::StartConsumer& starts) const noexcept;
  [[nodiscard]] bool stopping() const noexcept { return command_.load(std::memory_order_relaxed) != kServe; }

  Driver* driver_;
  const WorkerConfig config_;
  const int depth_;  // launches that the driver may have under way
  FlightQueue flights_;
  Instant last_end_{};  // of a launch
  bool unprepared_ = false;  // the driver may have more to prepare
  Result<void> entered_;
  live::Grant fifo_;
  const SessionView* session_ = nullptr;
  wire::LaneRings* rings_ = nullptr;
  const live::Notifier* trouble_ = nullptr;
  std::atomic<std::uint32_t> state_{kStarting}, command_{kStopNow};
  std::atomic<std::uint64_t> failures_{0};
  std::atomic<const char*> failure_text_{""};
  std::atomic<long> failure_vendor_{0};
  std::atomic<std::int64_t> expected_ns_{0}, measured_ns_{0};  // written by the thread only
  std::atomic<std::int64_t> hangs_at_ns_{to_ns(kNever)};
  Result<void> prepared_;                                      // by the thread while it prepares
  std::thread thread_;                                         // last: it uses all of the above
};

}  // namespace takt::executor
