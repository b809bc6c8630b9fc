// Warm-up runs on zeros, through the same path as frames.
#include "host/warm_up.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "host/answer.hpp"

namespace takt::models {
namespace {

// Enough for a dozen models; a kernel takes about 20 KiB.
constexpr const char* kKernels = "16384";

// Memory that stands in for jobs: all read the same zeros and write over each other.
class FakeJobs {
 public:
  explicit FakeJobs(const BoundModel& bound) : result_(result_size(bound.model().outputs.front())) {
    std::size_t largest = 0;
    for (const Step& step : bound.steps()) largest = std::max({largest, step.in.values(), step.out.values()});
    in_.resize(largest);
    out_.resize(largest);
  }

  [[nodiscard]] std::span<const JobIo> jobs(const Step& step, std::size_t batch) {
    input_.dims = {static_cast<std::uint32_t>(step.in.height), static_cast<std::uint32_t>(step.in.width),
                   static_cast<std::uint32_t>(step.in.channels)};
    input_.dtype = DType::f32;
    input_.rank = 3;
    input_.bytes = step.in.bytes();
    const auto* in = reinterpret_cast<const std::byte*>(in_.data());
    view_ = {&input_, in};
    for (JobIo& job : jobs_)
      job = {{&view_, 1}, in, reinterpret_cast<std::byte*>(out_.data()), result_, metrics_.data()};
    return std::span(jobs_).first(batch);
  }

 private:
  std::vector<float> in_, out_;
  std::vector<std::byte> result_;
  std::array<float, kMaxMetrics> metrics_{};
  TensorDesc input_;
  TensorView view_;
  std::array<JobIo, kMaxBatch> jobs_;
};

}  // namespace

Result<void> warm_process(const BoundModel& bound) {
  SegmentRunner runner;
  runner.reserve(bound);
  FakeJobs fake(bound);
  for (const Step& step : bound.steps()) {
    if (step.preprocess) continue;
    for (const std::size_t batch : kProfiledBatches)
      if (const auto ran = runner.run(bound, step, fake.jobs(step, batch)); !ran) return ran;
  }
  return {};
}

Result<void> warm_thread(const BoundModel& bound, SegmentRunner& runner) {
  FakeJobs fake(bound);
  const std::vector<Step>& steps = bound.steps();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    // The last variant of a segment has its greatest widths.
    const bool widest = i + 1 == steps.size() || steps[i + 1].variant->segment != steps[i].variant->segment;
    if (steps[i].preprocess || !widest) continue;
    for (const std::size_t batch : {std::size_t{1}, kMaxBatch})
      if (const auto ran = runner.run(bound, steps[i], fake.jobs(steps[i], batch)); !ran) return ran;
  }
  return {};
}

void enlarge_kernel_cache() noexcept {
  (void)::setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", kKernels, 0);
}

}  // namespace takt::models
