// Energy of one repetition: the slope of what a coarse and late counter says.
#include "executor/energy_meter.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "live/monotonic_clock.hpp"

namespace takt::executor {
namespace {

TEST(EnergyMeter, FindsTheSlopeThroughCoarseSteps) {
  std::vector<EnergySample> samples;
  for (int i = 0; i <= 100; ++i) {
    const double repetitions = 40.0 * i;
    samples.push_back({repetitions, 1e9 + std::floor(repetitions * 2'500 / 1e6) * 1e6});  // 2.5 uJ each, counted in mJ
  }
  EXPECT_NEAR(energy_per_repetition(samples), 2'500, 50);
}

TEST(EnergyMeter, SaysNothingWithoutRepetitionsOrEnergy) {
  EXPECT_EQ(energy_per_repetition({}), 0);
  const std::vector<EnergySample> still{{5, 100}, {5, 200}, {5, 300}}, flat{{1, 100}, {2, 100}},
      falling{{1, 300}, {2, 100}};
  EXPECT_EQ(energy_per_repetition(still), 0);
  EXPECT_EQ(energy_per_repetition(flat), 0);
  EXPECT_EQ(energy_per_repetition(falling), 0);
}

// Three millijoules a run, and now and then a reading that takes longer than a run.
class BurningDriver final : public Driver {
 public:
  [[nodiscard]] DriverCaps caps() const noexcept override { return {}; }
  [[nodiscard]] Result<Opened> open(std::uint32_t, const AcceleratorConfig&) override { return Opened{}; }
  [[nodiscard]] Result<void> load(const Model&) override { return {}; }
  [[nodiscard]] Result<void> enter(std::uint32_t, Criticality) override { return {}; }
  [[nodiscard]] Result<void> run(const Launch&) noexcept override {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    energy_mj += 3;
    return {};
  }
  [[nodiscard]] Result<DeviceHealth> health(std::uint32_t) override {
    if (!measures) return fail(Code::unsupported, "nothing");
    DeviceHealth h;
    h.energy_mj = energy_mj;
    return h;
  }
  std::atomic<std::int64_t> energy_mj{1000};
  bool measures = true;
};

TEST(EnergyMeter, MeasuresALoop) {
  for (const bool measures : {true, false}) {
    BurningDriver driver;
    driver.measures = measures;
    EnergyMeter meter(driver, 0);
    const Instant end = live::monotonic_now() + std::chrono::milliseconds(900);
    while (live::monotonic_now() < end) {
      ASSERT_TRUE(driver.run({}));
      meter.count();
    }
    const double energy_nj = meter.stop();
    if (measures)
      EXPECT_NEAR(energy_nj, 3e6, 0.3e6);
    else
      EXPECT_EQ(energy_nj, 0);
  }
}

}  // namespace
}  // namespace takt::executor
