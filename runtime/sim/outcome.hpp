// What came out of a run: per task, per accelerator, and the metrics over all. Doubles are sums in the order of events.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "takt/time.hpp"

namespace takt::sim {

struct Latencies {
  double mean = 0;
  std::int64_t p50 = 0, p95 = 0, p99 = 0, max = 0;  // nanoseconds
};

struct TaskOutcome {
  std::string name;
  std::uint64_t released = 0, on_time = 0, late = 0, dropped = 0, aborted = 0;
  double energy_nj = 0, worst_energy_nj = 0;
  Latencies latency;    // from the job's own release, of completed jobs
  double accuracy = 0;  // mean over completed jobs
  std::vector<std::pair<std::string, std::uint64_t>> subnets;  // completed jobs by subnet, as listed, none left out for 0

  [[nodiscard]] std::uint64_t violated() const noexcept { return late + dropped + aborted; }
};

struct AcceleratorOutcome {
  std::string name;
  std::int64_t busy_ns = 0;
  double energy_nj = 0;
  std::uint64_t switches = 0;
};

struct Outcome {
  std::string scenario, policy;
  std::uint64_t seed = 1;
  std::int64_t duration_ns = 0;
  double load = 0;
  std::vector<TaskOutcome> tasks;
  std::vector<AcceleratorOutcome> accelerators;
  double violation_rate = 0, sla = 1, uxcost = 0, energy_nj = 0, antt = 0, stp = 0, fairness = 1;
  std::uint64_t decisions = 0;  // segments started
};

// Collects one task's jobs as they end.
class TaskMeter {
 public:
  // isolated: sum of the executed layers' least times. Zero isolated or latency is possible for empty jobs.
  void completed(Duration latency, Duration isolated) {
    latencies_.push_back(latency.count());
    const double l = static_cast<double>(latency.count()), i = static_cast<double>(isolated.count());
    slowdowns_ += i > 0 ? l / i : 1;
    speeds_ += l > 0 ? i / l : 1;
  }
  [[nodiscard]] Latencies latencies();
  [[nodiscard]] std::size_t count() const noexcept { return latencies_.size(); }
  [[nodiscard]] double slowdowns() const noexcept { return slowdowns_; }
  [[nodiscard]] double mean_speed() const noexcept { return speeds_ / static_cast<double>(latencies_.size()); }

 private:
  std::vector<std::int64_t> latencies_;
  double slowdowns_ = 0, speeds_ = 0;
};

// Fills what is computed from the tasks: rates, UXCost (sum of violation rates times sum of relative energies; with no
// violation 1 / (2 frames)), ANTT, STP, fairness.
void summarise(Outcome& outcome, std::vector<TaskMeter>& meters);

// One JSON object, doubles as %.17g. `recorded`, JSON too, is added under that name unless it is empty.
[[nodiscard]] std::string to_json(const Outcome& outcome, std::string_view recorded = {});

}  // namespace takt::sim
