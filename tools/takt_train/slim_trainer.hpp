// Training of SlimResNet: sandwich rule, in-place distillation, SGD with Nesterov momentum.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "slim_resnet/weights.hpp"
#include "takt_train/cifar100.hpp"
#include "takt_train/slim.hpp"

namespace takt::train {

// Where a run stands. With the options this is all a run depends on: the random numbers are a function of the step.
struct TrainingState {
  models::slim::Weights weights;
  std::vector<at::Tensor> momentum;  // one per trained tensor, in the order of visit(); undefined until first used
  int64_t step = 0;
};

class SlimTrainer {
 public:
  // `set` outlives the trainer, which computes on the set's device and moves the state's tensors there.
  SlimTrainer(const SlimOptions& options, const Cifar100& set, TrainingState state);

  // One step over one batch; the step number says which. On CUDA it is only queued.
  void step();

  struct Report {
    double loss = 0;      // of the largest subnet, over the batches
    double accuracy = 0;  // of the largest subnet, over the augmented pictures
  };
  // Means over the steps since the last report, of which there was at least one. Waits for the device.
  [[nodiscard]] Report report();

  [[nodiscard]] int64_t steps_per_epoch() const { return training_size_ / options_.batch; }
  [[nodiscard]] int64_t total_steps() const { return steps_per_epoch() * options_.epochs; }
  [[nodiscard]] bool done() const { return state_.step >= total_steps(); }
  [[nodiscard]] const TrainingState& state() const { return state_; }

 private:
  struct Trained {
    at::Tensor tensor;
    bool decays;
  };
  // A convolution's weights as one subnet uses them: cut to its widths, in the precision of the step.
  struct Slice {
    at::Tensor used;
    at::Tensor whole;
  };
  [[nodiscard]] at::Tensor forward(const models::slim::Subnet& subnet, const at::Tensor& pictures);
  void backward(const at::Tensor& loss);
  [[nodiscard]] double learning_rate() const;
  [[nodiscard]] Cifar100::Batch next_batch();
  void choose_epoch(int64_t epoch);
  void update();

  SlimOptions options_;
  const Cifar100& set_;
  TrainingState state_;
  at::ScalarType type_;
  std::vector<Trained> trained_;
  std::vector<Slice> slices_;  // of the pass under way
  int64_t training_size_;
  int64_t chosen_epoch_ = -1;
  Cifar100::Choice choice_;  // the whole epoch's pictures and crops
  at::Tensor loss_sum_, right_sum_;
  int64_t reported_step_;
};

}  // namespace takt::train
