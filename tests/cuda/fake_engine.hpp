// libtorch on a fake CUDA: what the driver would record runs as kernels of FakeApi, computed on the CPU by the very
// code that the GPU runs. Answers are therefore real ones.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cuda/engine.hpp"
#include "cuda/fake_api.hpp"
#include "cuda/lane.hpp"
#include "cuda/segments.hpp"

namespace takt::test {

// Time is FakeApi's: whoever sleeps or looks moves it.
class FakeLaneClock final : public cuda::LaneClock {
 public:
  explicit FakeLaneClock(FakeApi& api) : api_(api) {}
  [[nodiscard]] Instant now() const noexcept override { return api_.now(); }
  void sleep_until(Instant t) noexcept override { api_.advance_to(t); }
  void relax() noexcept override { api_.advance(std::chrono::microseconds(1)); }

 private:
  FakeApi& api_;
};

class FakeEngine final : public cuda::Engine {
 public:
  explicit FakeEngine(FakeApi& api) : api_(api) {}

  [[nodiscard]] Result<std::unique_ptr<cuda::PlacedModel>> place(const models::BoundModel& bound, int device,
                                                                 Precision precision) override;
  [[nodiscard]] Result<std::unique_ptr<cuda::Recorder>> recorder(int device, cuda::Stream stream) override;
  [[nodiscard]] cuda::AllocatorCounts counts(int) noexcept override { return counts_; }

  // Names of variants whose recording allocates, as a library's might: such a graph must not be launched.
  std::set<std::string> allocating;
  cuda::AllocatorCounts counts_;
  std::size_t captured = 0, ran = 0;

 private:
  FakeApi& api_;
};

}  // namespace takt::test
