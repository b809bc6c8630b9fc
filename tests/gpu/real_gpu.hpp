// The CUDA driver on this machine's GPU, without an executor around it.
#pragma once

#include <gtest/gtest.h>
#include <time.h>

#include <cstdlib>
#include <memory>

#include "cpu/driver_run.hpp"
#include "cuda/driver.hpp"
#include "cuda/errors.hpp"
#include "cuda/real_clock.hpp"

namespace takt::test {

inline std::unique_ptr<cuda::CudaDriver> make_gpu_driver() {
  return std::make_unique<cuda::CudaDriver>(
      cuda::CudaDriver::Parts{.api = cuda::make_real_api(),
                              .engine = cuda::make_torch_engine(),
                              .clock = std::make_unique<cuda::RealClock>(),
                              .nvml = cuda::load_nvml(),
                              .fatal =
                                  [](const char* what, cuda::Status status) {
                                    std::fprintf(stderr, "%s: %s (%d)\n", what, cuda::meaning_of(status).text, status);
                                    std::_Exit(1);
                                  },
                              .keys = {}});
}

// Null, and the test says why it is skipped, where there is no GPU.
inline std::unique_ptr<cuda::CudaDriver> ready_gpu_driver(const Model& model, Precision precision) {
  auto driver = make_gpu_driver();
  const auto opened = driver->open(0, {.name = "gpu0", .precision = precision});
  if (!opened) {
    std::fprintf(stderr, "skipped: %s (%ld)\n", opened.error().text, opened.error().vendor);
    return nullptr;
  }
  std::uint64_t slot = 0;
  for (const Segment& segment : model.segments) slot = std::max(slot, segment.activation_bytes);
  for (const Result<void>& done : {driver->load(model), driver->make_slots(slot, 16),
                                   driver->enter(0, Criticality::soft), driver->prepare(0, Criticality::soft)})
    if (!done) {
      ADD_FAILURE() << done.error().text << " (" << done.error().vendor << ")";
      return nullptr;
    }
  while (driver->prepare_more(0, Criticality::soft)) {
  }
  return driver;
}

}  // namespace takt::test
