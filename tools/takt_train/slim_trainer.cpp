// Training of SlimResNet; autograd works on plain tensors, so none of torch's module machinery is needed.
#include "takt_train/slim_trainer.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/zeros.h>
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
    : options_(options),
      set_(set),
      state_(std::move(state)),
      type_(options.precision == "bf16" ? at::kBFloat16 : at::kFloat),
      training_size_(set.size() - options.held_out),
      reported_step_(state_.step) {
  const at::Device device = set.device();
  state_.weights = models::slim::to_device(state_.weights, device);
  models::slim::visit(state_.weights,
                      [&](const std::string&, at::Tensor& tensor, const std::vector<int64_t>& shape, Role role) {
                        if (role == Role::statistic) {
                          return;
                        }
                        if (shape.size() == 4) {
                          tensor = tensor.contiguous(at::MemoryFormat::ChannelsLast);  // its slices get the gradients
                        } else {
                          tensor.requires_grad_(true);
                        }
                        trained_.push_back({tensor, role == Role::matrix});
                      });
  state_.momentum.resize(trained_.size());
  for (at::Tensor& momentum : state_.momentum) {
    if (momentum.defined()) {
      // Laid out as its tensor: calls over many tensors are fast only then.
      momentum = momentum.to(device).contiguous(momentum.dim() == 4 ? at::MemoryFormat::ChannelsLast
                                                                    : at::MemoryFormat::Contiguous);
    }
  }
  loss_sum_ = at::zeros({}, at::TensorOptions().dtype(at::kFloat).device(device));
  right_sum_ = at::zeros({}, at::TensorOptions().dtype(at::kLong).device(device));
}

at::Tensor SlimTrainer::forward(const Subnet& subnet, const at::Tensor& pictures) {
  const auto& weights = state_.weights;
  at::Tensor x = pictures;
  int in = 0;
  for (int segment = 1; segment <= kSegments; ++segment) {
    const int out = subnet[index_of(segment - 1)];
    x = models::slim::run_segment(segment, x, [&](int index, const at::Tensor& input) {
      const auto& convolution = weights.at(segment, index);
      const auto shape = models::slim::convolution_shape(weights.base_width, segment, index, in, out);
      const at::Tensor used = models::slim::slice(weights, segment, index, in, out)
                                  .to(type_, false, true, at::MemoryFormat::ChannelsLast)
                                  .requires_grad_(true);
      slices_.push_back({used, convolution.weight});
      const at::Tensor raw = at::conv2d(input, used, {}, shape.stride, shape.padding());
      // Statistics of the batch; those for inference are estimated when training is over.
      return at::batch_norm(raw, convolution.scale[index_of(out)], convolution.shift[index_of(out)], {}, {}, true, 0.0,
                            models::slim::kNormEpsilon, true);
    });
    in = out;
  }
  const int64_t features = models::slim::channels(weights.base_width, kSegments, in);
  return models::slim::classify(x.to(at::kFloat), weights.classifier_weight.narrow(1, 0, features),
                                weights.classifier_bias);
}

// Gradients of slices are summed by hand: autograd would fill a whole zero tensor for every one of them.
void SlimTrainer::backward(const at::Tensor& loss) {
  loss.backward();
  const at::NoGradGuard no_gradients;
  for (const Slice& slice : slices_) {
    const at::Tensor& gradient = slice.used.grad();
    at::Tensor& sum = slice.whole.mutable_grad();
    if (!sum.defined()) {
      sum = at::zeros_like(slice.whole);
    }
    sum.narrow(0, 0, gradient.size(0)).narrow(1, 0, gradient.size(1)).add_(gradient);
  }
  slices_.clear();
}

void SlimTrainer::step() {
  const Cifar100::Batch batch = next_batch();
  const at::Tensor pictures = batch.pictures.to(type_);
  const at::Tensor largest = forward({kFullWidth, kFullWidth, kFullWidth, kFullWidth}, pictures);
  const at::Tensor loss = at::cross_entropy_loss(largest, batch.labels);
  loss_sum_.add_(loss.detach());
  right_sum_.add_(largest.detach().argmax(1).eq(batch.labels).sum());
  // The teacher is the largest subnet as it stands before the step (Yu and Huang, arXiv 1903.05134).
  const at::Tensor teacher = largest.detach().softmax(1);
  backward(loss);

  std::vector<Subnet> students{models::slim::subnet_at(0)};
  Random random(options_.seed, Random::Purpose::subnets, static_cast<uint64_t>(state_.step));
  for (int64_t i = 0; i < options_.random_subnets; ++i) {
    students.push_back(models::slim::subnet_at(static_cast<int>(random.below(kSubnets))));
  }
  for (const Subnet& student : students) {
    backward(forward(student, pictures).log_softmax(1).mul(teacher).sum(1).mean().neg());
  }
  update();
  ++state_.step;
}

SlimTrainer::Report SlimTrainer::report() {
  const auto steps = static_cast<double>(state_.step - reported_step_);
  const Report report{loss_sum_.item<double>() / steps,
                      static_cast<double>(right_sum_.item<int64_t>()) / (steps * static_cast<double>(options_.batch))};
  loss_sum_.zero_();
  right_sum_.zero_();
  reported_step_ = state_.step;
  return report;
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
  if (epoch != chosen_epoch_) {
    choose_epoch(epoch);
  }
  return set_.augmented(choice_.part(state_.step % steps_per_epoch() * options_.batch, options_.batch));
}

// Drawn here and sent once an epoch. The crops of a step depend on its number alone.
void SlimTrainer::choose_epoch(int64_t epoch) {
  std::vector<int64_t> order(index_of(training_size_));
  std::iota(order.begin(), order.end(), int64_t{0});
  Random shuffle(options_.seed, Random::Purpose::order, static_cast<uint64_t>(epoch));
  for (int64_t i = training_size_ - 1; i > 0; --i) {
    std::swap(order[index_of(i)], order[index_of(shuffle.below(i + 1))]);
  }
  order.resize(index_of(steps_per_epoch() * options_.batch));
  std::vector<Crop> crops;
  crops.reserve(order.size());
  for (int64_t step = 0; step < steps_per_epoch(); ++step) {
    const auto number = static_cast<uint64_t>(epoch * steps_per_epoch() + step);
    Random random(options_.seed, Random::Purpose::augmentation, number);
    for (int64_t i = 0; i < options_.batch; ++i) {
      crops.push_back(Crop::draw(random));
    }
  }
  choice_ = set_.choose(order, crops);
  chosen_epoch_ = epoch;
}

// All tensors in a few calls: on CUDA each call is a few kernels however many tensors there are.
void SlimTrainer::update() {
  const at::NoGradGuard no_gradients;
  std::vector<at::Tensor> tensors, gradients, momenta, decaying, their_gradients;
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    const at::Tensor& tensor = trained_[i].tensor;
    at::Tensor& gradient = tensor.mutable_grad();
    if (!gradient.defined()) {
      continue;  // batch norm of a width that no subnet of this step used: it keeps its momentum
    }
    at::Tensor& momentum = state_.momentum[i];
    if (!momentum.defined()) {
      momentum = at::zeros_like(tensor);
    }
    tensors.push_back(tensor);
    gradients.push_back(gradient);
    momenta.push_back(momentum);
    if (trained_[i].decays) {
      decaying.push_back(tensor);
      their_gradients.push_back(gradient);
    }
    gradient = at::Tensor();
  }
  const double rate = learning_rate();
  at::_foreach_add_(their_gradients, decaying, options_.weight_decay);
  at::_foreach_mul_(momenta, kMomentum);
  at::_foreach_add_(momenta, gradients, 1);
  at::_foreach_add_(tensors, gradients, -rate);
  at::_foreach_add_(tensors, momenta, -rate * kMomentum);
}

}  // namespace takt::train
