// Executors in virtual time: two workers an accelerator that claim posted entries, run them for a while and report.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "core/port.hpp"
#include "core/scheduler.hpp"

namespace takt::test {

struct Entry {
  std::uint64_t sequence = 0;
  VariantId variant;
  bool first_segment = false, last_segment = false;
  Duration expected{};
  std::vector<Placement> jobs;
  Instant posted{};
};

// A launch that has ended, or fails to.
struct Report {
  AcceleratorId accelerator;
  Lane lane{};
  Entry entry;
  Instant started{}, ended{};
  bool failed = false;
};

// What a message takes each way. With `to_worker` 0 an idle worker claims an entry as it is posted; in between it can
// be recalled. With `to_core` over 0 the core learns late that a segment ended and its successor was claimed.
struct Hops {
  Duration to_worker{}, to_core{};
};

class VirtualExecutors {
 public:
  using Began = std::function<void(AcceleratorId, Lane, const Entry&)>;
  using Ended = std::function<void(const Report&)>;
  using TimeOf = std::function<Duration(AcceleratorId, const Entry&)>;

  // `began` is told of every claim, `ended` of every end as it happens, which is before the core learns of it.
  VirtualExecutors(std::vector<AcceleratorSpec> accelerators, Hops hops, Began began, Ended ended);

  void post(const LaunchOrder& order, Instant now);
  // True if the newest entry of the lane is that one and nobody has claimed it.
  [[nodiscard]] bool recall(AcceleratorId accelerator, Lane lane, std::uint64_t sequence);
  // Both workers stop for good. What they ran and had not reported is lost and returned; what nobody claimed can still
  // be recalled.
  std::vector<Entry> kill(AcceleratorId accelerator);
  // After kill(), once the core knows: empty workers.
  void renew(AcceleratorId accelerator);

  [[nodiscard]] Instant next() const;
  // Ends, and claims that follow, up to now. Reports become due in order of time, accelerator, lane.
  void advance(Instant now);
  [[nodiscard]] std::optional<Report> take_report(Instant now);

  [[nodiscard]] bool running(AcceleratorId accelerator, Lane lane) const;
  [[nodiscard]] bool serial(AcceleratorId accelerator) const { return !specs_[accelerator.value].preempts; }
  void set_time_of(TimeOf time_of) { time_of_ = std::move(time_of); }
  void fail_next(AcceleratorId accelerator) { fail_next_[accelerator.value] = true; }

 private:
  struct Worker {
    std::deque<Entry> queue;
    std::optional<Report> running;  // `ended` is when it will
    bool dead = false;
  };
  [[nodiscard]] Worker& worker(AcceleratorId a, Lane lane);
  [[nodiscard]] Instant claimable(const Worker& w) const;
  void claim(AcceleratorId a, Lane lane, Instant now);

  std::vector<AcceleratorSpec> specs_;
  Hops hops_;
  Began began_;
  Ended ended_;
  TimeOf time_of_;
  std::vector<std::array<Worker, kLanes>> workers_;
  std::vector<bool> fail_next_;
  std::deque<Report> reports_;
};

}  // namespace takt::test
