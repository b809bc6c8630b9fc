// The CUDA driver on a fake GPU, with a small model loaded and one lane entered by the test's thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "cpu/driver_run.hpp"
#include "cpu/small_model.hpp"
#include "cuda/driver.hpp"
#include "cuda/fake_api.hpp"
#include "cuda/fake_engine.hpp"

namespace takt::test {

// The status that ended the process, or would have.
inline thread_local cuda::Status ended_by = cuda::kOk;

struct GpuOptions {
  FakeMachine machine;
  cuda::KeyLimits keys;
  Precision precision = Precision::single;
};

struct Gpu {
  static constexpr std::uint32_t kSlots = 8;

  SmallModel small;
  FakeApi* api = nullptr;        // the driver's
  FakeEngine* engine = nullptr;  // the driver's
  std::unique_ptr<cuda::CudaDriver> driver;

  explicit Gpu(const GpuOptions& options = {}) {
    ended_by = cuda::kOk;
    auto fake = std::make_unique<FakeApi>(options.machine);
    api = fake.get();
    auto torch = std::make_unique<FakeEngine>(*api);
    engine = torch.get();
    driver = std::make_unique<cuda::CudaDriver>(
        cuda::CudaDriver::Parts{.api = std::move(fake),
                                .engine = std::move(torch),
                                .clock = std::make_unique<FakeLaneClock>(*api),
                                .nvml = nullptr,
                                .fatal = [](const char*, cuda::Status status) { ended_by = status; },
                                .keys = options.keys});
    config.precision = options.precision;
  }
  AcceleratorConfig config{.name = "gpu0"};

  [[nodiscard]] Result<void> start() {
    if (const auto opened = driver->open(0, config); !opened) return tl::unexpected(opened.error());
    if (const auto loaded = driver->load(model()); !loaded) return loaded;
    if (const auto made = driver->make_slots(32768, kSlots); !made) return made;
    if (const auto entered = driver->enter(0, Criticality::soft); !entered) return entered;
    if (const auto ready = driver->prepare(0, Criticality::soft); !ready) return ready;
    while (record_all && driver->prepare_more(0, Criticality::soft)) {
    }
    return {};
  }
  bool record_all = true;  // not only what makes a lane ready
  [[nodiscard]] const Model& model() const { return small.model(); }

  [[nodiscard]] const Variant& variant(const std::string& name) const {
    for (const Variant& v : model().variants)
      if (v.name == name) return v;
    ADD_FAILURE() << "no variant " << name;
    return model().variants.front();
  }
  [[nodiscard]] Launch launch(const Variant& v, std::span<JobIo> jobs,
                              Duration expected = std::chrono::microseconds(30)) const {
    return {.accelerator = 0, .model = &model(), .variant = &v, .expected = expected, .jobs = jobs};
  }
};

}  // namespace takt::test
