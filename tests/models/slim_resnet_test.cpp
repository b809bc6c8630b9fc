// SlimResNet: shapes, folding, slicing, batches and threads.
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "models/slim_builders.hpp"
#include "slim_resnet/forward.hpp"
#include "slim_resnet/network.hpp"

namespace takt::models {
namespace {

using slim::kFullWidth;
using slim::kSegments;
using slim::kWidths;
using test::frames;
using test::make_trained_weights;

constexpr int64_t kBase = 8;

at::Tensor input_of(const SlimResNet& network, int segment, int width_in, int64_t count) {
  const auto shape = network.activation_shape(segment - 1, width_in);
  return frames(count, shape[0], shape[1], static_cast<uint64_t>(segment * kWidths + width_in));
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return a.sub(b).abs().max().item<double>();
}

// One segment with batch norm as it is, not folded.
at::Tensor run_unfolded(const slim::Weights& weights, int segment, int in, int out, const at::Tensor& x) {
  const auto i = static_cast<std::size_t>(segment == 1 ? 0 : in);
  const auto o = static_cast<std::size_t>(out);
  const at::Tensor y = slim::run_segment(segment, x, [&](int index, const at::Tensor& input) {
    const auto shape = slim::convolution_shape(weights.base_width, segment, index, in, out);
    const slim::Convolution& c = weights.at(segment, index);
    const at::Tensor raw =
        at::conv2d(input, slim::slice(weights, segment, index, in, out), {}, shape.stride, shape.padding());
    return at::batch_norm(raw, c.scale[o], c.shift[o], c.mean[i][o], c.variance[i][o], false, 0.0, slim::kNormEpsilon,
                          false);
  });
  return segment == kSegments
             ? slim::classify(y, weights.classifier_weight.narrow(1, 0, y.size(1)), weights.classifier_bias)
             : y;
}

template <class Check>
void for_every_variant(Check&& check) {
  for (int segment = 1; segment <= kSegments; ++segment) {
    for (int in = 0; in < slim::widths_in(segment); ++in) {
      for (int out = 0; out < kWidths; ++out) {
        SCOPED_TRACE("segment " + std::to_string(segment) + ", " + std::to_string(in) + " > " + std::to_string(out));
        check(segment, in, out);
      }
    }
  }
}

TEST(SlimResNet, GivesTheShapeOfEveryPairOfWidths) {
  const c10::InferenceMode inference;
  const SlimResNet network(make_trained_weights(kBase));
  for_every_variant([&](int segment, int in, int out) {
    const at::Tensor y = network.run(segment, in, out, input_of(network, segment, in, 2));
    const auto shape = network.activation_shape(segment, out);
    if (segment == kSegments) {
      EXPECT_EQ(y.sizes().vec(), (std::vector<int64_t>{2, 100}));
    } else {
      EXPECT_EQ(y.sizes().vec(), (std::vector<int64_t>{2, shape[0], shape[1], shape[2]}));
      EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast));
    }
  });
}

TEST(SlimResNet, FoldedEqualsUnfolded) {
  const c10::InferenceMode inference;
  const slim::Weights weights = make_trained_weights(kBase);
  const SlimResNet network(weights);
  for_every_variant([&](int segment, int in, int out) {
    const at::Tensor x = input_of(network, segment, in, 2);
    const at::Tensor wanted = run_unfolded(weights, segment, in, out, x);
    EXPECT_GT(wanted.abs().max().item<double>(), 0.1);
    EXPECT_LT(distance(network.run(segment, in, out, x), wanted), 1e-4);
  });
}

TEST(SlimResNet, ABatchGivesWhatItsFramesGiveAlone) {
  const c10::InferenceMode inference;
  const SlimResNet network(make_trained_weights(kBase));
  for_every_variant([&](int segment, int in, int out) {
    const at::Tensor batch = input_of(network, segment, in, 8);
    std::vector<at::Tensor> alone;
    for (int64_t i = 0; i < 8; ++i) {
      alone.push_back(network.run(segment, in, out, batch.narrow(0, i, 1)));
    }
    EXPECT_LT(distance(network.run(segment, in, out, batch), at::cat(alone)), 1e-4);
  });
}

TEST(SlimResNet, SegmentOneTakesThePictureWhateverTheWidthIn) {
  const c10::InferenceMode inference;
  const SlimResNet network(make_trained_weights(kBase));
  const at::Tensor x = input_of(network, 1, 0, 1);
  EXPECT_EQ(distance(network.run(1, 0, 2, x), network.run(1, 3, 2, x)), 0.0);
}

TEST(SlimResNet, NarrowSubnetsUseAPrefixOfTheChannels) {
  const c10::InferenceMode inference;
  slim::Weights weights = make_trained_weights(kBase);
  const SlimResNet before(weights);
  for (int segment = 1; segment <= kSegments; ++segment) {
    for (int index = 0; index < slim::kConvolutions; ++index) {
      // All output channels above the half are spoilt.
      const int64_t half = slim::channels(kBase, segment, 1);
      weights.at(segment, index).weight.narrow(0, half, half).fill_(1e6);
    }
  }
  const SlimResNet after(weights);
  for (int segment = 1; segment <= kSegments; ++segment) {
    const at::Tensor x = input_of(before, segment, 1, 1);
    EXPECT_EQ(distance(before.run(segment, 1, 1, x), after.run(segment, 1, 1, x)), 0.0);
    EXPECT_GT(distance(before.run(segment, 1, kFullWidth, x), after.run(segment, 1, kFullWidth, x)), 1.0);
  }
}

TEST(SlimResNet, ThreadsMayShareOneNetwork) {
  const SlimResNet network(make_trained_weights(kBase));
  const auto classify = [&] {
    const c10::InferenceMode inference;
    at::Tensor x = frames(1, 3, 32, 5);
    for (int segment = 1; segment <= kSegments; ++segment) {
      x = network.run(segment, 1, 1, x);
    }
    return x;
  };
  const at::Tensor wanted = classify();
  std::vector<at::Tensor> results(4);
  std::vector<std::thread> threads;
  for (at::Tensor& result : results) {
    threads.emplace_back([&] { result = classify(); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const at::Tensor& result : results) {
    EXPECT_LT(distance(result, wanted), 1e-4);
  }
}

TEST(SlimResNet, ACopyForADeviceComputesTheSame) {
  const c10::InferenceMode inference;
  const SlimResNet network(make_trained_weights(kBase));
  const auto copy = network.to(at::kCPU, at::kFloat);
  const at::Tensor x = input_of(network, 3, 1, 1);
  EXPECT_EQ(distance(network.run(3, 1, 2, x), copy->run(3, 1, 2, x)), 0.0);
  EXPECT_EQ(copy->base_width(), kBase);
}

}  // namespace
}  // namespace takt::models
