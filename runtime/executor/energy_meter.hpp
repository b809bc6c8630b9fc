// Energy of one repetition of a loop, from a device's energy counter.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

#include "takt/driver.hpp"

namespace takt::executor {

// The counter after so many repetitions.
struct EnergySample {
  double repetitions = 0, energy_nj = 0;
};

// The least-squares slope: energy of one repetition. Sensors follow the power by 20 to 100 ms and count in coarse
// steps, so that differences of two readings say little; 0 if the samples say nothing.
[[nodiscard]] double energy_per_repetition(std::span<const EnergySample> samples) noexcept;

// Samples a driver's health() on a thread of its own while the caller runs the loop, which must take seconds.
class EnergyMeter {
 public:
  EnergyMeter(Driver& driver, std::uint32_t accelerator);
  ~EnergyMeter();
  EnergyMeter(const EnergyMeter&) = delete;
  EnergyMeter& operator=(const EnergyMeter&) = delete;

  // After each repetition; one relaxed addition.
  void count() noexcept { repetitions_.fetch_add(1, std::memory_order_relaxed); }
  // Ends the sampling: nanojoules of one repetition, 0 if they could not be had.
  [[nodiscard]] double stop();

 private:
  void sample();

  Driver& driver_;
  const std::uint32_t accelerator_;
  std::atomic<std::uint64_t> repetitions_{0};
  std::atomic<bool> stopping_{false};
  std::vector<EnergySample> samples_;
  std::thread thread_;
};

}  // namespace takt::executor
