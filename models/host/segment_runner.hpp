// Runs segments of native models on the calling thread, from job memory to job memory. No tensor library in this
// header.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "host/bound_model.hpp"
#include "picture/picture.hpp"
#include "takt/driver.hpp"

namespace takt::models {

// One a thread. Memory of its own is taken in reserve(); run() adds none, libtorch's operators take theirs from the
// process's allocator.
class SegmentRunner {
 public:
  // Room for batches of any of the model's segments. May throw std::bad_alloc.
  void reserve(const BoundModel& bound);

  // Runs `step` of `bound` for 1 .. kMaxBatch jobs as one batch. Frames of a batch do not influence each other beyond
  // the last bits. Equal jobs in a batch of equal size give equal bits, in whatever program. A batch of one is read
  // where it lies. Everything in `jobs` is checked first: Code::invalid_argument with what is wrong, nothing written.
  // If libtorch throws, Code::internal or Code::no_memory; slots and results then hold what they held.
  [[nodiscard]] Result<void> run(const BoundModel& bound, const Step& step, std::span<const JobIo> jobs) noexcept;

 private:
  [[nodiscard]] Result<void> preprocess(const BoundModel& bound, const Step& step,
                                        std::span<const JobIo> jobs) noexcept;
  void forward(const BoundModel& bound, const Step& step, std::span<const JobIo> jobs);
  [[nodiscard]] const float* gather(const Step& step, std::span<const JobIo> jobs);

  Preprocessor preprocessor_;
  std::vector<float> batch_;  // frames of a batch side by side
  bool told_ = false;         // why libtorch refused
};

// Operators on the calling thread use `threads` threads from now on; with more than one its team is made now, under the
// thread's present CPU mask and scheduling class. May throw c10::Error.
void use_threads(int threads);

// Once a process, before any operator runs: libtorch's own pool for independent operators, which takt never uses, shall
// not grow. Does nothing if it is too late.
void limit_libtorch_pools() noexcept;

}  // namespace takt::models
