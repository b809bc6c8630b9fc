// One worker thread of an accelerator's lane: claims entries, runs them through the driver, says how it went.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "executor/launch_builder.hpp"
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

// The thread lives as long as the process: drivers tie queues, graphs and thread pools to it. Between sessions it
// sleeps. All calls come from the main thread. While it serves, the thread does not allocate, lock or log; its only
// system calls are the wait, the wake of the broker and the driver's own.
class Worker {
 public:
  // Starts the thread and waits until the driver's enter() has returned on it.
  Worker(Driver& driver, WorkerConfig config);
  // Only when not serving: joins the thread.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  [[nodiscard]] const Result<void>& entered() const noexcept { return entered_; }
  [[nodiscard]] const live::Grant& fifo() const noexcept { return fifo_; }  // asked for only with a priority
  [[nodiscard]] const WorkerConfig& config() const noexcept { return config_; }

  // Works for this session until stop(); only when idle(). `session` stays until idle() again. `trouble` is notified
  // after a launch that failed, may be null.
  void serve(const SessionView& session, wire::LaneRings& rings, const live::Notifier* trouble);
  // now: after the running launch, what was posted is left. drain: when nothing is posted any more. Does not wait.
  enum class Stop : std::uint8_t { now, drain };
  void stop(Stop how);
  [[nodiscard]] bool idle() const noexcept { return state_.load() == kIdle; }
  // Waits until idle or `deadline`; true if idle.
  bool wait_idle(Instant deadline) noexcept;

  [[nodiscard]] Trouble trouble() const noexcept;

 private:
  // The main thread moves idle to serving or ending, the worker's thread everything back to idle.
  enum State : std::uint32_t { kStarting, kIdle, kServing, kEnding };
  enum Command : std::uint32_t { kServe, kStopNow, kDrain };

  void thread_main();
  void enter();
  void serve_loop(wire::StartConsumer& starts, wire::CompletionProducer& completions) noexcept;
  void run(const wire::StartEntry& entry, std::uint64_t sequence, wire::CompletionProducer& completions) noexcept;
  void note_failure(const Error& error) noexcept;
  [[nodiscard]] bool spin_for_work(const wire::StartConsumer& starts) const noexcept;
  [[nodiscard]] bool stopping() const noexcept { return command_.load(std::memory_order_relaxed) != kServe; }

  Driver* driver_;
  const WorkerConfig config_;
  LaunchBuilder builder_;
  Result<void> entered_;
  live::Grant fifo_;
  const SessionView* session_ = nullptr;
  wire::LaneRings* rings_ = nullptr;
  const live::Notifier* trouble_ = nullptr;
  std::atomic<std::uint32_t> state_{kStarting}, command_{kStopNow};
  std::atomic<std::uint64_t> failures_{0};
  std::atomic<const char*> failure_text_{""};
  std::atomic<long> failure_vendor_{0};
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace takt::executor
