// The driver module as an executor holds it, and jobs with memory of their own to run on it.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "cpu/frames.hpp"
#include "takt/driver.hpp"

namespace takt::test {

// A new driver from takt-driver-cpu.so in the build tree; fails the test and gives null if there is none.
[[nodiscard]] std::unique_ptr<Driver> make_cpu_driver();

// A driver with one open accelerator that this thread has entered.
[[nodiscard]] std::unique_ptr<Driver> make_ready_driver(const Model& model);

// Memory of one job: an activation slot and a result area, with room to see who writes too far.
struct JobMemory {
  static constexpr std::byte kGuard{0xA5};
  static constexpr std::size_t kGuardBytes = 64;

  TensorView frame;
  std::uint32_t slot_number = kNoSlotNumber;  // for drivers that keep activations themselves
  std::vector<std::byte> slot, result;
  std::array<float, kMaxMetrics> metrics{};

  JobMemory(const Model& model, const TensorView& input);
  // As the executor would hand it over for a segment.
  [[nodiscard]] JobIo io(const Model& model, const Variant& variant);
  [[nodiscard]] bool guards_untouched() const;
  [[nodiscard]] std::vector<float> logits() const;
};

// Runs the jobs through preprocessing (as form `form`) and all segments of the subnet, all in one batch.
[[nodiscard]] Result<void> run_subnet(Driver& driver, const Model& model, std::size_t form, std::uint32_t subnet,
                                      std::span<JobMemory> jobs);
[[nodiscard]] Result<void> run_variant(Driver& driver, const Model& model, const Variant& variant,
                                       std::span<JobMemory> jobs);

// A 32 x 32 RGB picture; another seed, another picture.
[[nodiscard]] Frame random_picture(std::uint32_t seed);

}  // namespace takt::test
