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
  // `set` outlives the trainer. Moves the state's tensors to the device.
  SlimTrainer(const SlimOptions& options, const Cifar100& set, TrainingState state);

  struct Report {
    double loss = 0;      // of the largest subnet, over the batch
    double accuracy = 0;  // of the largest subnet, over the augmented batch
  };
  // One step over one batch; the step number says which.
  Report step();

  [[nodiscard]] int64_t steps_per_epoch() const { return training_size_ / options_.batch; }
  [[nodiscard]] int64_t total_steps() const { return steps_per_epoch() * options_.epochs; }
  [[nodiscard]] bool done() const { return state_.step >= total_steps(); }
  [[nodiscard]] const TrainingState& state() const { return state_; }

 private:
  struct Trained {
    at::Tensor tensor;
    bool decays;
  };
  [[nodiscard]] at::Tensor forward(const models::slim::Subnet& subnet, const at::Tensor& pictures) const;
  [[nodiscard]] double learning_rate() const;
  [[nodiscard]] Cifar100::Batch next_batch();
  void update();

  SlimOptions options_;
  const Cifar100& set_;
  TrainingState state_;
  std::vector<Trained> trained_;
  int64_t training_size_;
  int64_t ordered_epoch_ = -1;
  std::vector<int64_t> order_;
};

}  // namespace takt::train
