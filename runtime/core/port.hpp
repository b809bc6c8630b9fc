// The core's one way out: launches, recalls, answers. The live engine, the tests and the simulator each implement it.
#pragma once

#include <cstdint>
#include <span>

#include "takt/ids.hpp"
#include "takt/job.hpp"
#include "takt/time.hpp"

namespace takt {

// One lane per worker thread of an accelerator: admitted hard jobs on the real-time worker, everything else on the
// other. Firm jobs are not admitted, so nothing would bound a real-time worker that ran them.
enum class Lane : std::uint8_t { realtime, normal };
inline constexpr std::size_t kLanes = 2;

struct Placement {
  JobId job;
  std::uint32_t slot_in = kNoSlot;  // activation slots in the accelerator's pool
  std::uint32_t slot_out = kNoSlot;
  static constexpr std::uint32_t kNoSlot = 0xffffffffu;
};

struct LaunchOrder {
  std::uint64_t sequence = 0;  // unique and rising per (accelerator, lane)
  AcceleratorId accelerator;
  Lane lane = Lane::normal;
  VariantId variant;
  bool first_segment = false, last_segment = false;
  Duration expected{};
  std::uint64_t switch_bytes = 0;  // activation to read and write because the accelerator changes jobs
  std::span<const Placement> jobs;
};

// All calls come on the scheduler thread from within an event; none may call back into the scheduler, block or
// allocate.
class Port {
 public:
  virtual ~Port() = default;
  virtual void post(const LaunchOrder& order) noexcept = 0;
  // Takes back the newest entry posted on the lane; false if it was claimed already (its completion will come).
  [[nodiscard]] virtual bool recall(AcceleratorId accelerator, Lane lane, std::uint64_t sequence) noexcept = 0;
  // The terminal answer; the job's id may be reused as soon as the call returns.
  virtual void answer(JobId job, const Answer& answer) noexcept = 0;
  // The deadline passed and the frame is still being worked on.
  virtual void notice(JobId job) noexcept = 0;
  // A cascade child of `parent`'s frame is to be released as `child`, before the parent's answer. False: there is no
  // place for its answer (the stream was opened after the frame came); it is forgotten and never answered.
  [[nodiscard]] virtual bool child_released(JobId parent, JobId child) noexcept = 0;
  // How many of the next segments of a job that has come to `segment` are left out, known only now (skipped blocks, early
  // exits). Asked once at the release and after each segment.
  [[nodiscard]] virtual std::size_t skipped(JobId job, std::size_t segment) noexcept {
    (void)job, (void)segment;
    return 0;
  }
  // A frame of the parent stream ended without a result. True: the child stream would have had the frame; it counts as
  // released and dropped.
  [[nodiscard]] virtual bool child_lost(StreamId child, std::uint32_t frame) noexcept {
    (void)child, (void)frame;
    return false;
  }
  // A hard stream was moved to another accelerator or, with an invalid accelerator, goes on as soft.
  virtual void stream_moved(StreamId stream, AcceleratorId accelerator, RouteId route) noexcept = 0;
  // The last job of a closed stream has ended; the id may be reused.
  virtual void stream_ended(StreamId stream) noexcept = 0;
};

}  // namespace takt
