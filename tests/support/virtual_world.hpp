// The scheduler in virtual time: it plays clients and executors, and checks at every step what must hold in any run.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "core/scheduler.hpp"
#include "support/catalog.hpp"
#include "support/virtual_executors.hpp"

namespace takt::test {

class VirtualClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const noexcept override { return now_; }
  void set(Instant now) noexcept { now_ = now; }

 private:
  Instant now_{};
};

// Everything that happened to one accepted frame.
struct Frame {
  StreamId stream;
  JobId job;
  std::uint32_t number = 0;  // the stream's count of frames
  float metric = 0.9F;       // what its last segment will report as metric 0
  std::optional<std::size_t> parent;
  std::vector<std::size_t> children;
  std::uint32_t notices = 0, answers = 0, restarts = 0;
  std::uint16_t begun = 0;  // segments, since the last restart
  bool running = false;
  bool lost = false;  // its running segment or activation went with an executor: it must begin again
  Answer answer;
};

// One launch as it ran.
struct Ran {
  AcceleratorId accelerator;
  Lane lane{};
  std::uint16_t segment = 0;
  Instant start{}, end{};
  std::vector<std::size_t> frames;
};

// `accelerators` that share `slots` activation slots, one segment at a time each.
[[nodiscard]] CoreConfig serial_core(std::size_t accelerators = 1, unsigned ahead = 0, std::uint32_t slots = 16);

struct WorldOptions {
  CoreConfig core = serial_core();
  std::string policy = "edf";
  Policy* custom = nullptr;  // instead of a composed one
  Hops hops;
  bool history = true;  // keep launches and trace
};

// Not thread-safe. Any broken invariant (a segment out of order, an accelerator oversubscribed, a slot used twice, an
// answer too many, an allocation in the hot path) fails the running test.
class VirtualWorld final : private Port, private TraceSink {
 public:
  explicit VirtualWorld(const Catalog& catalog, WorldOptions options = {});
  ~VirtualWorld() override;

  [[nodiscard]] Scheduler& core() noexcept { return *core_; }
  [[nodiscard]] VirtualExecutors& executors() noexcept { return executors_; }
  [[nodiscard]] Instant now() const noexcept { return clock_.now(); }

  // Opens a stream that must be accepted; `name` is its task in the trace.
  StreamId open(const StreamSpec& spec, std::string name = "");
  [[nodiscard]] Admission ask(const StreamSpec& spec, std::string name = "");

  // Now; the caller runs on afterwards. Returns the place in frames(), none if it was not accepted.
  std::optional<std::size_t> release(StreamId stream, Instant deadline = kNever);
  void cancel(std::size_t frame);
  void close(StreamId stream);
  void down(std::size_t accelerator);  // its executor dies
  void up(std::size_t accelerator);
  void refuse_children() { refuse_children_ = true; }
  // How many segments of a stream's jobs are left out when they come to one; the first is never asked for.
  void skip(std::function<std::size_t(StreamId, std::size_t)> how_many) { skip_ = std::move(how_many); }

  // `action` at that time, after the completions of the instant and before the decision.
  void at(Instant time, std::function<void()> action);
  void release_at(Instant time, StreamId stream, Instant deadline = kNever);

  void decide();
  bool step(Instant limit = kNever -
                            Duration{1});  // the next instant at which something happens; false: none up to limit
  void run_until(Instant time);
  void run();  // until nothing is left to happen

  [[nodiscard]] std::vector<Frame>& frames() noexcept { return frames_; }
  [[nodiscard]] Frame& frame(StreamId stream, std::uint32_t number);  // the newest with that number
  [[nodiscard]] Answer answer_of(StreamId stream, std::uint32_t number);
  [[nodiscard]] Verdict verdict_of(StreamId stream, std::uint32_t number) { return answer_of(stream, number).verdict; }
  [[nodiscard]] const std::vector<Ran>& ran() const noexcept { return ran_; }
  [[nodiscard]] std::vector<Ran> ran_of(StreamId stream, std::uint32_t number);
  [[nodiscard]] std::vector<Instant> starts_of(StreamId stream, std::uint32_t number);
  struct Move {
    StreamId stream;
    AcceleratorId accelerator;
  };
  [[nodiscard]] const std::vector<Move>& moves() const noexcept { return moves_; }
  [[nodiscard]] const std::vector<StreamId>& ended_streams() const noexcept { return ended_streams_; }
  // One event a line: time_ns,kind,task,frame,segment,accelerator,subnet.
  [[nodiscard]] const std::string& trace() const noexcept { return trace_; }
  [[nodiscard]] std::size_t count(const std::string& kind) const;  // lines of that kind

  // Nothing is in flight: every frame has one answer, every slot is free, the counters agree.
  void expect_settled();

 private:
  struct Action {
    Instant time;
    std::uint64_t sequence;
    std::function<void()> run;
    bool operator>(const Action& o) const { return time != o.time ? time > o.time : sequence > o.sequence; }
  };
  void post(const LaunchOrder& order) noexcept override;
  [[nodiscard]] bool recall(AcceleratorId accelerator, Lane lane, std::uint64_t sequence) noexcept override;
  void answer(JobId job, const Answer& answer) noexcept override;
  void notice(JobId job) noexcept override;
  [[nodiscard]] bool child_released(JobId parent, JobId child) noexcept override;
  [[nodiscard]] std::size_t skipped(JobId job, std::size_t segment) noexcept override;
  void stream_moved(StreamId stream, AcceleratorId accelerator, RouteId route) noexcept override;
  void stream_ended(StreamId stream) noexcept override;
  void record(const TraceEvent& event) noexcept override;

  template <class Call>
  auto watched(const char* what, Call call);
  void broken(const std::string& what);
  void began(AcceleratorId a, Lane lane, const Entry& entry);
  void ended(const Report& report);
  void take_slots(AcceleratorId a, const Entry& entry, const Placement& placement, std::size_t frame);
  void leave_slots(std::size_t frame);
  void deliver(const Report& report);
  std::size_t add_frame(JobId job);
  [[nodiscard]] std::size_t frame_of(JobId job);
  [[nodiscard]] std::string subnet_name(const TraceEvent& event) const;

  VirtualClock clock_;
  std::vector<Model> models_;
  CostTable costs_;
  CoreConfig config_;
  std::unique_ptr<Policy> policy_;
  VirtualExecutors executors_;
  std::unique_ptr<Scheduler> core_;
  bool history_;
  std::priority_queue<Action, std::vector<Action>, std::greater<>> actions_;
  std::uint64_t action_sequence_ = 0;
  bool changed_ = false;  // since the last decision
  bool refuse_children_ = false;
  std::function<std::size_t(StreamId, std::size_t)> skip_;
  std::vector<std::string> names_;      // of streams
  std::vector<std::uint32_t> numbers_;  // frames of each stream
  std::vector<Frame> frames_;
  std::vector<std::size_t> frame_of_job_;             // kNobody: the id is free
  std::vector<std::vector<std::size_t>> slot_owner_;  // by pool and slot: a frame or kNobody
  static constexpr std::size_t kNobody = static_cast<std::size_t>(-1);
  std::vector<std::array<std::uint64_t, kLanes>> last_sequence_;
  std::vector<Ran> ran_;
  std::vector<Move> moves_;
  std::vector<StreamId> ended_streams_;
  std::string trace_;
  std::uint32_t broken_ = 0;
};

}  // namespace takt::test
