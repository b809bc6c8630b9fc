// What a model says of frames, without broker or executor: the same code as the cpu driver, so the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "host/bound_model.hpp"
#include "host/segment_runner.hpp"
#include "takt/driver.hpp"
#include "takt/result.hpp"

namespace takt::models {

// One thread.
class Offline {
 public:
  // Loads the weights, digest first; one thread of libtorch. `model` is borrowed for the object's life. Blocks.
  [[nodiscard]] static Result<std::unique_ptr<Offline>> open(const Model& model);

  // The output of each of 1 .. kMaxBatch frames, which go through `subnet` (position in Model::subnets) as one batch.
  // Frames of a model with forms are pictures, each taken as the smallest form that covers it; else they are tensors.
  // Code::invalid_argument with what is wrong with the frames, Code::not_found for another subnet.
  [[nodiscard]] Result<std::vector<std::vector<float>>> run(std::uint32_t subnet, std::span<const TensorView> frames);

 private:
  Offline(std::unique_ptr<NativeModule> module, BoundModel bound);
  [[nodiscard]] Result<const Step*> form_for(const TensorView& frame) const;
  [[nodiscard]] Result<void> preprocess(std::span<const TensorView> frames);
  [[nodiscard]] std::span<JobIo> jobs(const Step& step, std::span<const TensorView> frames);

  std::unique_ptr<NativeModule> module_;
  BoundModel bound_;
  SegmentRunner runner_;
  std::size_t slot_values_ = 0, result_bytes_ = 0;
  std::vector<float> slots_;        // one a job
  std::vector<std::byte> results_;  // one a job
  std::vector<JobIo> jobs_;
};

// Position of the largest of `values`, the first of equals; 0 if there are none.
[[nodiscard]] std::size_t top1(std::span<const float> values) noexcept;

}  // namespace takt::models
