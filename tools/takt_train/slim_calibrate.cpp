// Calibration of batch norm, and accuracy; both share what subnets have in common.
#include "takt_train/slim_calibrate.hpp"

#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/var_mean.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "slim_resnet/forward.hpp"

namespace takt::train {

using models::SlimResNet;
using models::slim::kConvolutions;
using models::slim::kSegments;
using models::slim::kSubnets;
using models::slim::kWidths;
using models::slim::Subnet;
using models::slim::Weights;

namespace {

constexpr std::size_t kMeasureBatch = 500;

std::size_t index_of(int64_t value) {
  return static_cast<std::size_t>(value);
}

// First and second moments of one convolution's output, per channel, summed over batches.
struct Moments {
  at::Tensor first;
  at::Tensor second;

  void add(const at::Tensor& raw) {
    const auto [variance, mean] = at::var_mean(raw, {0, 2, 3}, false);
    const at::Tensor wide = mean.to(at::kDouble);
    const at::Tensor square = variance.to(at::kDouble).add(wide.square());
    first = first.defined() ? first.add(wide) : wide;
    second = second.defined() ? second.add(square) : square;
  }
};
using SegmentMoments = std::array<Moments, kConvolutions>;

// Runs the segment as in training, by batch statistics, and notes them.
void observe(const Weights& weights, int segment, int in, int out, const at::Tensor& input, SegmentMoments& moments) {
  std::ignore = models::slim::run_segment(segment, input, [&](int index, const at::Tensor& x) {
    const auto& convolution = weights.at(segment, index);
    const auto shape = models::slim::convolution_shape(weights.base_width, segment, index, in, out);
    const at::Tensor raw =
        at::conv2d(x, models::slim::slice(weights, segment, index, in, out), {}, shape.stride, shape.padding());
    moments[index_of(index)].add(raw);
    return at::batch_norm(raw, convolution.scale[index_of(out)], convolution.shift[index_of(out)], {}, {}, true, 0.0,
                          models::slim::kNormEpsilon, true);
  });
}

void store(Weights& weights, int segment, int in, int out, int batches, const SegmentMoments& moments) {
  for (int index = 0; index < kConvolutions; ++index) {
    const Moments& moment = moments[index_of(index)];
    auto& convolution = weights.at(segment, index);
    const at::Tensor mean = moment.first.div(batches);
    const at::Tensor variance = moment.second.div(batches).sub(mean.square()).clamp_min(0.0);
    convolution.mean[index_of(in)][index_of(out)] = mean.to(at::kFloat);
    convolution.variance[index_of(in)][index_of(out)] = variance.to(at::kFloat);
  }
}

// The activation that enters `segment` at width `in`, behind random widths.
at::Tensor enter(const SlimResNet& network, int segment, int in, const at::Tensor& pictures, Random& random) {
  at::Tensor x = pictures;
  int previous = 0;
  for (int before = 1; before < segment; ++before) {
    const int width = before + 1 == segment ? in : static_cast<int>(random.below(kWidths));
    x = network.run(before, previous, width, x);
    previous = width;
  }
  return x;
}

void calibrate_entry(Weights& weights, const SlimResNet& network, int segment, int in, const Cifar100& set,
                     std::span<const int64_t> indices, CalibrationSize size, Random& random) {
  std::array<SegmentMoments, kWidths> moments;
  for (int batch = 0; batch < size.batches; ++batch) {
    std::vector<int64_t> chosen(index_of(size.batch));
    for (int64_t& index : chosen) {
      index = indices[index_of(random.below(static_cast<int64_t>(indices.size())))];
    }
    const at::Tensor x = enter(network, segment, in, set.batch(chosen).pictures, random);
    for (int out = 0; out < kWidths; ++out) {
      observe(weights, segment, in, out, x, moments[index_of(out)]);
    }
  }
  for (int out = 0; out < kWidths; ++out) {
    store(weights, segment, in, out, size.batches, moments[index_of(out)]);
  }
}

// Right answers of several subnets, counted on the device and read once.
class Count {
 public:
  Count(int64_t subnets, at::Device device)
      : right_(at::zeros({subnets}, at::TensorOptions().dtype(at::kLong).device(device))) {}

  void add(int64_t subnet, const at::Tensor& logits, const at::Tensor& labels) {
    right_.select(0, subnet).add_(logits.argmax(1).eq(labels).sum());
  }
  template <std::size_t kSize>
  [[nodiscard]] std::array<double, kSize> shares(std::size_t pictures) const {
    std::array<double, kSize> shares{};
    const at::Tensor right = right_.to(at::kCPU);
    const auto* counts = static_cast<const int64_t*>(right.data_ptr());
    for (std::size_t i = 0; i < kSize; ++i) {
      shares[i] = static_cast<double>(counts[i]) / static_cast<double>(pictures);
    }
    return shares;
  }

 private:
  at::Tensor right_;
};

template <class Visit>
void for_each_batch(const Cifar100& set, std::span<const int64_t> indices, Visit&& visit) {
  for (std::size_t at = 0; at < indices.size(); at += kMeasureBatch) {
    visit(set.batch(indices.subspan(at, std::min(kMeasureBatch, indices.size() - at))));
  }
}

// Depth first over the segments, so that subnets with equal beginnings run them once.
void descend(const SlimResNet& network, int segment, int in, const at::Tensor& x, const at::Tensor& labels,
             int64_t prefix, Count& right) {
  for (int out = 0; out < kWidths; ++out) {
    const at::Tensor y = network.run(segment, in, out, x);
    const int64_t place = prefix * kWidths + out;
    if (segment == kSegments) {
      right.add(place, y, labels);
    } else {
      descend(network, segment + 1, out, y, labels, place, right);
    }
  }
}

}  // namespace

void calibrate(Weights& weights, const Cifar100& set, std::span<const int64_t> indices, uint64_t seed,
               CalibrationSize size) {
  const c10::InferenceMode inference;
  weights = models::slim::to_device(weights, weights.classifier_weight.device());
  for (int segment = 1; segment <= kSegments; ++segment) {
    const SlimResNet network(weights);  // the segments before are calibrated by now
    for (int in = 0; in < models::slim::widths_in(segment); ++in) {
      Random random(seed, Random::Purpose::calibration, static_cast<uint64_t>(segment * kWidths + in));
      calibrate_entry(weights, network, segment, in, set, indices, size, random);
    }
  }
  weights.calibrated = true;
}

SubnetAccuracy measure_subnets(const SlimResNet& network, const Cifar100& set, std::span<const int64_t> indices) {
  const c10::InferenceMode inference;
  Count right(kSubnets, set.device());
  for_each_batch(set, indices,
                 [&](const Cifar100::Batch& batch) { descend(network, 1, 0, batch.pictures, batch.labels, 0, right); });
  return right.shares<kSubnets>(indices.size());
}

UniformAccuracy measure_uniform(const SlimResNet& network, const Cifar100& set, std::span<const int64_t> indices) {
  const c10::InferenceMode inference;
  Count right(kWidths, set.device());
  for_each_batch(set, indices, [&](const Cifar100::Batch& batch) {
    for (int width = 0; width < kWidths; ++width) {
      at::Tensor x = batch.pictures;
      for (int segment = 1; segment <= kSegments; ++segment) {
        x = network.run(segment, width, width, x);
      }
      right.add(width, x, batch.labels);
    }
  });
  return right.shares<kWidths>(indices.size());
}

}  // namespace takt::train
