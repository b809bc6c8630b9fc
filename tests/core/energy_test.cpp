// What policies hear of a job's energy: as measured, or its time at the mean power of the cost table.
#include <gtest/gtest.h>

#include <chrono>

#include "core/scheduler.hpp"

namespace takt {
namespace {

using namespace std::chrono_literals;

class Listening final : public Policy {
 public:
  void decide(const Snapshot& s, Plan& plan) noexcept override {
    if (s.waiting.size > 0 && s.can_start(0, 0)) plan.starts.push({s.waiting.job[0], AcceleratorId{0u}, 1});
  }
  void observe(const Ended& ended) noexcept override { heard = ended; }
  Ended heard;
};

class Posted final : public Port {
 public:
  void post(const LaunchOrder& order) noexcept override { sequence = order.sequence; }
  bool recall(AcceleratorId, Lane, std::uint64_t) noexcept override { return false; }
  void answer(JobId, const Answer&) noexcept override {}
  void notice(JobId) noexcept override {}
  bool child_released(JobId, JobId) noexcept override { return true; }
  void stream_moved(StreamId, AcceleratorId, RouteId) noexcept override {}
  void stream_ended(StreamId) noexcept override {}
  std::uint64_t sequence = 0;
};

// One segment, 2 ms and 6 mJ by the table: 3 W. It runs for 4 ms.
Ended ended(double measured_nj) {
  Model model;
  model.name = "m";
  model.variants.resize(1);
  model.subnets.push_back({.name = "full", .accuracy = 0.7F, .worst_energy_nj = 9e6, .path = {VariantId{0u}}});
  CostTable costs(1, 1);
  costs.set(AcceleratorId{0u}, VariantId{0u}, 1, {.expected = 2ms, .budget = 2ms});
  costs.set_effort(AcceleratorId{0u}, VariantId{0u}, {.energy_nj = 6e6, .dram_bytes = 0});
  CoreConfig config{
      .max_jobs = 4, .max_streams = 1, .max_batch = 1, .accelerators = {{.pool = SlotPoolId{0u}}}, .slot_pools = {1}};
  Listening policy;
  Posted port;
  Scheduler core(config, {&model, 1}, costs, policy, port, nullptr);
  core.accelerator_up(AcceleratorId{0u}, Instant{});
  StreamSpec spec;
  spec.model = ModelId{0u};
  spec.relative_deadline = 1s;
  const Admission stream = core.open_stream(spec, Instant{});
  EXPECT_TRUE(core.release(stream.stream, Instant{}));
  core.decide(Instant{});
  core.completed(AcceleratorId{0u}, Lane::normal,
                 {.sequence = port.sequence,
                  .started = Instant{1ms},
                  .ended = Instant{5ms},
                  .energy_nj = measured_nj,
                  .metrics = {}},
                 Instant{5ms});
  return policy.heard;
}

TEST(Energy, IsWhatTheDriverMeasured) {
  EXPECT_EQ(ended(5e6).energy_nj, 5e6);
  EXPECT_EQ(ended(0).energy_nj, 0);
}

TEST(Energy, IsTheMeasuredTimeAtTheTablesPowerWhereNobodyMeasuredIt) {
  EXPECT_DOUBLE_EQ(ended(-1).energy_nj, 12e6);
  EXPECT_EQ(ended(-1).worst_energy_nj, 9e6);
}

}  // namespace
}  // namespace takt
