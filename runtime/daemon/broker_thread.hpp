// The scheduler thread: sockets and rings in, the core in the middle, rings and sockets out. Owns all scheduling state.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/scheduler.hpp"
#include "daemon/frames.hpp"
#include "daemon/trace_ring.hpp"
#include "daemon/traffic.hpp"
#include "files/service_file.hpp"
#include "live/event_loop.hpp"
#include "live/monotonic_clock.hpp"
#include "wire/ring_ops.hpp"

namespace takt::daemon {

// What the scheduler thread counts for others to read at any time.
struct LiveCounters {
  std::atomic<std::uint64_t> released{0}, answered{0}, starts{0}, refused_plans{0}, protocol_errors{0};
};

// Constructed and destroyed on the control thread; start() runs everything else on its own. From then on the two talk by
// mailboxes only. The hot path (a submit, a completion) does no allocation, lock or log.
class BrokerThread final : private Port {
 public:
  // All borrowed and outliving it. `board` has config.max_jobs records. Fails if the kernel denies an epoll or eventfd.
  [[nodiscard]] static Result<std::unique_ptr<BrokerThread>> make(const files::Service& service, Policy& policy,
                                                                  wire::JobRecord* board, std::uint32_t slots, Commands& commands,
                                                                  Events& events, TraceRing* trace);
  ~BrokerThread() override;
  void start();
  void stop();  // sends quit and joins
  [[nodiscard]] const Scheduler& core() const noexcept { return *core_; }  // make_routes() only
  [[nodiscard]] const LiveCounters& counters() const noexcept { return counters_; }
  // Whether SCHED_FIFO and locked memory were granted, and what to do if not. Valid once start() has returned.
  [[nodiscard]] const std::string& degraded() const noexcept { return degraded_; }

 private:
  struct Lane { wire::StartProducer start; wire::CompletionConsumer completion; };
  struct Accelerator { ExecutorLink* link = nullptr; std::optional<std::array<std::optional<Lane>, kLanes>> lanes; };

  BrokerThread(const files::Service& service, const Policy& policy, wire::JobRecord* board, Commands& commands, Events& events, live::EventLoop loop);
  void run();
  void take_rights();
  void turn(std::span<const live::Event> events);

  // commands.cpp
  void command(const Command& c, Instant now);
  void add_session(const Command& c);
  void add_stream(StreamRequest& r, Instant now);
  void close_stream(const Command& c, Instant now);
  void free_pool(const Command& c);
  void report(SchedulerReport& r);
  void executor_up(ExecutorLink* link, Instant now);
  void executor_down(ExecutorLink* link, Instant now);
  void measure_trees(std::uint32_t session) noexcept;

  // frames.cpp
  void receive(std::uint32_t session, Instant now);
  void packet(std::uint32_t session, live::Packet& p, Instant now);
  void forward(std::uint32_t session, live::Packet& p);
  [[nodiscard]] Result<void> submit(std::uint32_t session, std::span<const std::byte> bytes, Instant now);
  [[nodiscard]] Result<std::uint64_t> check_frame(SessionState& s, const StreamState& stream, const wire::Submit& submit,
                                                  std::span<const TensorDesc> inputs) noexcept;
  void write_record(JobId job, const wire::Submit& submit, std::span<const TensorDesc> inputs) noexcept;
  void refuse_frame(std::uint32_t session, const wire::Submit& submit, const Error& error) noexcept;
  void release_credit(std::uint32_t session, std::span<const std::byte> bytes, Instant now);
  void cancel(std::uint32_t session, std::span<const std::byte> bytes, Instant now);
  void end_session(std::uint32_t session, const char* reason, Instant now);
  void maybe_gone(std::uint32_t session);
  void completions(ExecutorLink* link, Instant now);
  void lane_completions(AcceleratorId a, Lane& lane, takt::Lane which, Instant now);

  // Port
  void post(const LaunchOrder& order) noexcept override;
  bool recall(AcceleratorId a, takt::Lane lane, std::uint64_t sequence) noexcept override;
  void answer(JobId job, const Answer& answer) noexcept override;
  void notice(JobId job) noexcept override;
  bool child_released(JobId parent, JobId child) noexcept override;
  void stream_moved(StreamId stream, AcceleratorId accelerator, RouteId route) noexcept override;
  void stream_ended(StreamId stream) noexcept override;

  void release_frame(FrameState& f) noexcept;
  // Credits bound what can be queued, so a full socket means a client that does not keep to the protocol.
  template <class T>
  void send(std::uint32_t session, const T& message) noexcept {
    const SessionState& s = sessions_[session];
    if (s.used && !s.closing && !live::send_message(s.fd, message)) dying_.push_back(session);
  }
  [[nodiscard]] Event& event(Event::Kind kind, std::uint32_t session) noexcept;
  void send_event() noexcept { events_.send(); }

  const files::Service& service_;
  const Policy& policy_;
  wire::JobRecord* board_;
  Commands& commands_;
  Events& events_;
  live::EventLoop loop_;
  std::unique_ptr<Scheduler> core_;
  std::vector<SessionState> sessions_;
  std::vector<StreamState> streams_;
  std::vector<FrameState> frames_;       // by JobId
  std::vector<StreamId> frame_streams_;
  std::vector<Accelerator> accelerators_;
  std::vector<std::uint32_t> dying_;     // sessions that cannot be written to
  std::uint64_t opened_ = 0;
  bool quit_ = false;
  std::array<std::byte, wire::kMaxMessage> room_;
  LiveCounters counters_;
  std::string degraded_;
  std::atomic<bool> ready_{false};
  std::thread thread_;
};

}  // namespace takt::daemon
