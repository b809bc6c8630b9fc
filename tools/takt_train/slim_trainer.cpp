// Training of SlimResNet; autograd works on plain tensors, so none of torch's module machinery is needed.
#include "takt_train/slim_trainer.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "slim_resnet/forward.hpp"

namespace takt::train {

using models::slim::kFullWidth;
using models::slim::kSegments;
using models::slim::kSubnets;
using models::slim::Role;
using models::slim::Subnet;

namespace {

constexpr double kMomentum = 0.9;

std::size_t index_of(int64_t value) {
  return static_cast<std::size_t>(value);
}

}  // namespace

SlimTrainer::SlimTrainer(const SlimOptions& options, const Cifar100& set, TrainingState state)
    : options_(options), set_(set), state_(std::move(state)), training_size_(set.size() - options.held_out) {
  const at::Device device(options.device);
  state_.weights = models::slim::to_device(state_.weights, device);
  models::slim::visit(state_.weights,
                      [&](const std::string&, at::Tensor& tensor, const std::vector<int64_t>&, Role role) {
                        if (role != Role::statistic) {
                          tensor.requires_grad_(true);
                          trained_.push_back({tensor, role == Role::matrix});
                        }
                      });
  state_.momentum.resize(trained_.size());
  for (at::Tensor& momentum : state_.momentum) {
    if (momentum.defined()) {
      momentum = momentum.to(device);
    }
  }
}

at::Tensor SlimTrainer::forward(const Subnet& subnet, const at::Tensor& pictures) const {
  const auto& weights = state_.weights;
  at::Tensor x = pictures;
  int in = 0;
  for (int segment = 1; segment <= kSegments; ++segment) {
    const int out = subnet[index_of(segment - 1)];
    x = models::slim::run_segment(segment, x, [&](int index, const at::Tensor& input) {
      const auto& convolution = weights.at(segment, index);
      const auto shape = models::slim::convolution_shape(weights.base_width, segment, index, in, out);
      const at::Tensor raw =
          at::conv2d(input, models::slim::slice(weights, segment, index, in, out), {}, shape.stride, shape.padding());
      // Statistics of the batch; those for inference are estimated when training is over.
      return at::batch_norm(raw, convolution.scale[index_of(out)], convolution.shift[index_of(out)], {}, {}, true, 0.0,
                            models::slim::kNormEpsilon, true);
    });
    in = out;
  }
  const int64_t features = models::slim::channels(weights.base_width, kSegments, in);
  return models::slim::classify(x, weights.classifier_weight.narrow(1, 0, features), weights.classifier_bias);
}

SlimTrainer::Report SlimTrainer::step() {
  const Cifar100::Batch batch = next_batch();
  const at::Tensor largest = forward({kFullWidth, kFullWidth, kFullWidth, kFullWidth}, batch.pictures);
  const at::Tensor loss = at::cross_entropy_loss(largest, batch.labels);
  const double loss_value = loss.item<double>();
  const double right = largest.detach().argmax(1).eq(batch.labels).to(at::kFloat).mean().item<double>();
  // The teacher is the largest subnet as it stands before the step (Yu and Huang, arXiv 1903.05134).
  const at::Tensor teacher = largest.detach().softmax(1);
  loss.backward();

  std::vector<Subnet> students{models::slim::subnet_at(0)};
  Random random(options_.seed, Random::Purpose::subnets, static_cast<uint64_t>(state_.step));
  for (int64_t i = 0; i < options_.random_subnets; ++i) {
    students.push_back(models::slim::subnet_at(static_cast<int>(random.below(kSubnets))));
  }
  for (const Subnet& student : students) {
    forward(student, batch.pictures).log_softmax(1).mul(teacher).sum(1).mean().neg().backward();
  }
  update();
  ++state_.step;
  return {loss_value, right};
}

double SlimTrainer::learning_rate() const {
  const auto step = static_cast<double>(state_.step) + 0.5;
  const double warm = options_.warm_up_epochs * static_cast<double>(steps_per_epoch());
  if (step < warm) {
    return options_.learning_rate * step / warm;
  }
  const double left = std::max(1.0, static_cast<double>(total_steps()) - warm);
  return options_.learning_rate * 0.5 * (1.0 + std::cos(std::numbers::pi * std::min(1.0, (step - warm) / left)));
}

Cifar100::Batch SlimTrainer::next_batch() {
  const int64_t epoch = state_.step / steps_per_epoch();
  if (epoch != ordered_epoch_) {
    order_.resize(index_of(training_size_));
    std::iota(order_.begin(), order_.end(), int64_t{0});
    Random random(options_.seed, Random::Purpose::order, static_cast<uint64_t>(epoch));
    for (int64_t i = training_size_ - 1; i > 0; --i) {
      std::swap(order_[index_of(i)], order_[index_of(random.below(i + 1))]);
    }
    ordered_epoch_ = epoch;
  }
  const int64_t begin = state_.step % steps_per_epoch() * options_.batch;
  Random random(options_.seed, Random::Purpose::augmentation, static_cast<uint64_t>(state_.step));
  auto batch = set_.augmented(std::span(order_).subspan(index_of(begin), index_of(options_.batch)), random);
  const at::Device device(options_.device);
  return {batch.pictures.to(device), batch.labels.to(device)};
}

void SlimTrainer::update() {
  const at::NoGradGuard no_gradients;
  const double rate = learning_rate();
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    at::Tensor& tensor = trained_[i].tensor;
    at::Tensor& gradient = tensor.mutable_grad();
    if (!gradient.defined()) {
      continue;  // batch norm of a width that no subnet of this step used: it keeps its momentum
    }
    if (trained_[i].decays) {
      gradient.add_(tensor, options_.weight_decay);
    }
    at::Tensor& momentum = state_.momentum[i];
    if (!momentum.defined()) {
      momentum = at::zeros_like(tensor);
    }
    momentum.mul_(kMomentum).add_(gradient);
    tensor.add_(gradient, -rate).add_(momentum, -rate * kMomentum);
    gradient = at::Tensor();
  }
}

}  // namespace takt::train
