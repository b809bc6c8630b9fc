// Training of SlimResNet on a made-up data set: steps, resuming, calibration, and the written model.
#include <ATen/Parallel.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "models/slim_training_builders.hpp"
#include "models/temporary_folder.hpp"
#include "slim_resnet/forward.hpp"
#include "slim_resnet/network.hpp"
#include "support/digest.hpp"
#include "support/files.hpp"
#include "takt_train/cifar100.hpp"
#include "takt_train/device.hpp"
#include "takt_train/slim_calibrate.hpp"
#include "takt_train/slim_checkpoint.hpp"
#include "takt_train/slim_report.hpp"
#include "takt_train/slim_trainer.hpp"

namespace takt::train {
namespace {

using models::slim::Role;
using test::fresh;
using test::small_run;
using test::step;
using test::TemporaryFolder;
using test::write_data;

double greatest_difference(const models::slim::Weights& a, const models::slim::Weights& b) {
  models::slim::Weights left = a;
  models::slim::Weights right = b;
  std::vector<at::Tensor> tensors;
  models::slim::visit(left, [&](const auto&, at::Tensor& tensor, const auto&, Role) { tensors.push_back(tensor); });
  double greatest = 0;
  std::size_t place = 0;
  models::slim::visit(right, [&](const auto&, at::Tensor& tensor, const auto&, Role) {
    greatest = std::max(greatest, tensor.detach().sub(tensors[place++].detach()).abs().max().item<double>());
  });
  return greatest;
}

class SlimTrainerIn : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Precision, SlimTrainerIn, testing::Values("single", "bf16"),
                         [](const auto& made) { return std::string(made.param); });

TEST_P(SlimTrainerIn, LearnsWhatIsEasy) {
  at::set_num_threads(1);
  const TemporaryFolder folder;
  write_data(folder);
  SlimOptions options = small_run(folder);
  options.precision = GetParam();
  options.epochs = 6;
  const auto set = Cifar100::read_training(folder.path());
  SlimTrainer trainer(options, *set, fresh(options));
  const double first = step(trainer).loss;
  double last = first;
  while (!trainer.done()) {
    last = step(trainer).loss;
    ASSERT_TRUE(std::isfinite(last));
  }
  EXPECT_LT(last, 0.6 * first);
  // Whatever a step computes in, what is kept between steps is float.
  EXPECT_EQ(trainer.state().weights.at(3, 2).weight.scalar_type(), at::kFloat);
  for (const at::Tensor& momentum : trainer.state().momentum) {
    EXPECT_TRUE(!momentum.defined() || momentum.scalar_type() == at::kFloat);
  }
}

TEST(SlimTrainer, StepsInBf16AreNearThoseInSingle) {
  const TemporaryFolder folder;
  write_data(folder);
  SlimOptions options = small_run(folder);
  const auto set = Cifar100::read_training(folder.path());
  SlimTrainer single(options, *set, fresh(options));
  options.precision = "bf16";
  SlimTrainer rounded(options, *set, fresh(options));
  const auto wanted = step(single);
  const auto got = step(rounded);
  EXPECT_NE(got.loss, wanted.loss);
  EXPECT_NEAR(got.loss, wanted.loss, 0.02 * wanted.loss);
}

TEST(SlimTrainer, ReportsTheMeanSinceTheLastReport) {
  const TemporaryFolder folder;
  write_data(folder);
  const SlimOptions options = small_run(folder);
  const auto set = Cifar100::read_training(folder.path());
  SlimTrainer every(options, *set, fresh(options));
  SlimTrainer seldom(options, *set, fresh(options));
  const auto first = step(every);
  const auto second = step(every);
  seldom.step();
  const auto both = step(seldom);
  EXPECT_NEAR(both.loss, (first.loss + second.loss) / 2, 1e-3);
  EXPECT_NEAR(both.accuracy, (first.accuracy + second.accuracy) / 2, 1e-6);
}

// The logits by autograd through slices of whole weights.
at::Tensor forward(const models::slim::Weights& weights, const models::slim::Subnet& subnet, at::Tensor x) {
  int in = 0;
  for (int segment = 1; segment <= models::slim::kSegments; ++segment) {
    const int out = subnet[static_cast<std::size_t>(segment - 1)];
    x = models::slim::run_segment(segment, x, [&](int index, const at::Tensor& input) {
      const auto& convolution = weights.at(segment, index);
      const auto shape = models::slim::convolution_shape(weights.base_width, segment, index, in, out);
      const auto width = static_cast<std::size_t>(out);
      return at::batch_norm(
          at::conv2d(input, models::slim::slice(weights, segment, index, in, out), {}, shape.stride, shape.padding()),
          convolution.scale[width], convolution.shift[width], {}, {}, true, 0.0, models::slim::kNormEpsilon, true);
    });
    in = out;
  }
  return models::slim::classify(x, weights.classifier_weight.narrow(1, 0, x.size(1)), weights.classifier_bias);
}

// The batch of the first step, of all the pictures that are not held out.
Cifar100::Batch first_batch(const SlimOptions& options, const Cifar100& set) {
  std::vector<int64_t> order(static_cast<std::size_t>(options.batch));
  std::iota(order.begin(), order.end(), int64_t{0});
  Random shuffle(options.seed, Random::Purpose::order, 0);
  for (std::size_t i = order.size() - 1; i > 0; --i) {
    std::swap(order[i], order[static_cast<std::size_t>(shuffle.below(static_cast<int64_t>(i) + 1))]);
  }
  Random random(options.seed, Random::Purpose::augmentation, 0);
  std::vector<Crop> crops;
  std::generate_n(std::back_inserter(crops), order.size(), [&] { return Crop::draw(random); });
  return set.augmented(set.choose(order, crops));
}

// Sums of slices' gradients are made by hand; here autograd makes them. After one step from rest the momentum is the
// gradient, and the weights moved by 1.9 times it.
TEST(SlimTrainer, AStepFollowsTheGradientOfLargestAndSmallestSubnet) {
  at::set_num_threads(1);
  const TemporaryFolder folder;
  write_data(folder);
  SlimOptions options = small_run(folder);
  options.weight_decay = 0;
  options.learning_rate = 1e-3;
  options.warm_up_epochs = 0;
  options.random_subnets = 0;
  options.held_out = 72;  // one batch an epoch
  options.epochs = 1;
  const auto set = Cifar100::read_training(folder.path());
  SlimTrainer trainer(options, *set, fresh(options));
  trainer.step();

  models::slim::Weights weights = fresh(options).weights;
  std::vector<at::Tensor> trained, moved;
  models::slim::visit(weights, [&](const auto&, at::Tensor& tensor, const auto&, Role role) {
    if (role != Role::statistic) {
      trained.push_back(tensor.requires_grad_(true));
    }
  });
  auto after = models::slim::to_device(trainer.state().weights, at::kCPU);
  models::slim::visit(after, [&](const auto&, at::Tensor& tensor, const auto&, Role role) {
    if (role != Role::statistic) {
      moved.push_back(tensor.sub(trained[moved.size()].detach()));
    }
  });
  const auto batch = first_batch(options, *set);
  const at::Tensor largest = forward(weights, {3, 3, 3, 3}, batch.pictures);
  at::cross_entropy_loss(largest, batch.labels).backward();
  const at::Tensor teacher = largest.detach().softmax(1);
  forward(weights, {0, 0, 0, 0}, batch.pictures).log_softmax(1).mul(teacher).sum(1).mean().neg().backward();

  const double rate = options.learning_rate * 0.5;  // the middle of the only step of the cosine
  for (std::size_t i = 0; i < trained.size(); ++i) {
    const at::Tensor gradient = trained[i].grad();
    const at::Tensor& momentum = trainer.state().momentum[i];
    ASSERT_EQ(gradient.defined(), momentum.defined()) << i;
    if (gradient.defined()) {
      const double size = gradient.abs().max().item<double>();
      EXPECT_LE(momentum.sub(gradient).abs().max().item<double>(), 1e-3 * size + 1e-6) << i;
      EXPECT_LE(moved[i].add(gradient, 1.9 * rate).abs().max().item<double>(), 1e-3 * rate * size + 1e-6) << i;
    }
  }
}

TEST(SlimTrainer, AResumedRunIsTheUninterruptedOne) {
  at::set_num_threads(1);  // sums in one order
  const TemporaryFolder folder;
  write_data(folder);
  const SlimOptions options = small_run(folder);
  const auto set = Cifar100::read_training(folder.path());
  SlimTrainer whole(options, *set, fresh(options));
  SlimTrainer half(options, *set, fresh(options));
  for (int i = 0; i < 10; ++i) {  // across the end of an epoch of 8 steps
    whole.step();
  }
  for (int i = 0; i < 5; ++i) {
    half.step();
  }
  ASSERT_TRUE(write_checkpoint(options, half.state()).has_value());
  SlimOptions read_options;
  read_options.out = options.out;
  auto state = read_checkpoint(read_options);
  ASSERT_TRUE(state.has_value()) << state.error().text;
  EXPECT_EQ(state->step, 5);
  EXPECT_EQ(read_options.batch, options.batch);
  SlimTrainer rest(read_options, *set, std::move(*state));
  for (int i = 0; i < 5; ++i) {
    rest.step();
  }
  EXPECT_EQ(greatest_difference(whole.state().weights, rest.state().weights), 0.0);
}

// Every call ends after its first step, as a clock would end it anywhere.
TEST(SlimRun, CallsEndedByTheClockAddUpToTheUninterruptedRun) {
  const TemporaryFolder folder;
  const TemporaryFolder pieces;
  write_data(folder);
  SlimOptions options = small_run(folder);
  options.threads = 1;
  options.epochs = 1;
  options.random_subnets = 0;
  ASSERT_EQ(run_slim(options), 0);
  SlimOptions piece = options;
  piece.out = pieces.path();
  piece.resume = true;  // also where there is nothing yet: one command for all calls
  piece.stop_after_s = 1e-9;
  for (int call = 0; call < 8; ++call) {
    EXPECT_EQ(run_slim(piece), 0);
    SlimOptions read;
    read.out = piece.out;
    ASSERT_EQ(read_checkpoint(read)->step, call + 1);
  }
  EXPECT_EQ(*models::sha256_of_file(checkpoint_path(options)), *models::sha256_of_file(checkpoint_path(piece)));
}

TEST(SlimRun, RefusesToStartOverACheckpoint) {
  const TemporaryFolder folder;
  write_data(folder);
  SlimOptions options = small_run(folder);
  options.stop_after_s = 1e-9;
  EXPECT_EQ(run_slim(options), 0);
  EXPECT_EQ(run_slim(options), 1);
}

TEST(Device, SaysInOneLineWhyCudaCannotBeUsed) {
  const auto device = open_device("cuda");
  if (device) {
    GTEST_SKIP() << "it can";
  }
  EXPECT_EQ(device.error().find('\n'), std::string::npos);
  EXPECT_TRUE(device.error().starts_with("--device cuda: ")) << device.error();
  const TemporaryFolder folder;
  SlimOptions options = small_run(folder);
  options.device = "cuda";
  EXPECT_EQ(run_slim(options), 1);
}

TEST(Device, ChoosesThePrecisionThatItIsGoodAt) {
  const at::Device cuda(at::kCUDA, 0);
  EXPECT_EQ(*choose_precision("", cuda), "bf16");
  EXPECT_EQ(*choose_precision("", at::kCPU), "single");
  EXPECT_EQ(*choose_precision("bf16", at::kCPU), "bf16");
  EXPECT_EQ(*choose_precision("tf32", cuda), "tf32");
  EXPECT_FALSE(choose_precision("tf32", at::kCPU).has_value());
}

TEST(SlimCheckpoint, RefusesWhatIsNoCheckpoint) {
  const TemporaryFolder folder;
  SlimOptions options = small_run(folder);
  EXPECT_EQ(read_checkpoint(options).error().code, Code::not_found);
  ASSERT_TRUE(models::slim::write_weights(checkpoint_path(options), fresh(options).weights).has_value());
  EXPECT_EQ(read_checkpoint(options).error().code, Code::corrupt);
}

TEST(SlimCalibration, MakesInferenceAgreeWithTheStatisticsOfThePictures) {
  const TemporaryFolder folder;
  write_data(folder);
  const SlimOptions options = small_run(folder);
  const auto set = Cifar100::read_training(folder.path());
  std::vector<int64_t> indices(static_cast<std::size_t>(set->size()));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  models::slim::Weights weights = fresh(options).weights;
  calibrate(weights, *set, indices, 1, {2, 32});
  EXPECT_TRUE(weights.calibrated);

  const c10::InferenceMode inference;
  const models::SlimResNet network(weights);
  const auto batch = set->batch(indices);
  const auto measured = measure_subnets(network, *set, indices);
  for (const int number : {0, 27, 141, 255}) {  // the tree finds what a straight walk finds
    at::Tensor x = batch.pictures;
    int in = 0;
    int segment = 1;
    for (const int out : models::slim::subnet_at(number)) {
      x = network.run(segment++, in, out, x);
      in = out;
    }
    const double right = x.argmax(1).eq(batch.labels).to(at::kFloat).mean().item<double>();
    EXPECT_NEAR(measured[static_cast<std::size_t>(number)], right, 1e-6) << number;
    // Without statistics that fit, activations would grow or fade from segment to segment.
    EXPECT_LT(x.abs().max().item<double>(), 100.0);
  }
  const auto uniform = measure_uniform(network, *set, indices);
  EXPECT_DOUBLE_EQ(uniform[3], measured[255]);
}

// ResNet-18 as everybody trains it: 11 million weights, more than one file may hold.
TEST(SlimReport, WritesAFullWidthNetworkInHalfPrecisionInFilesOfAtMost16Megabytes) {
  const TemporaryFolder folder;
  SlimOptions options = small_run(folder);
  options.base_width = 64;
  options.write_model = folder / "model";
  std::filesystem::create_directory(options.write_model);
  for (const char* old : {"weights.safetensors", "weights-3-of-3.safetensors", "weights.txt"}) {
    std::ofstream(options.write_model / old) << "x";
  }
  ASSERT_TRUE(write_model(options, fresh(options).weights, {}).has_value());
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(options.write_model)) {
    EXPECT_LE(entry.file_size(), 16'000'000U) << entry.path();
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"accuracy.txt", "model.xml", "weights-1-of-2.safetensors",
                                             "weights-2-of-2.safetensors", "weights.txt"}));
  const auto first = options.write_model / "weights-1-of-2.safetensors";
  const auto xml = models::read_file(options.write_model / "model.xml");
  const std::string text(reinterpret_cast<const char*>(xml->data()), xml->size());
  EXPECT_NE(
      text.find("weights=\"weights-1-of-2.safetensors\" digest=\"sha256:" + *models::sha256_of_file(first) + "\""),
      std::string::npos);
  EXPECT_EQ(models::slim::read_weights(first)->base_width, 64);
}

TEST(SlimReport, WritesTheModelThatTheDaemonReads) {
  const TemporaryFolder folder;
  SlimOptions options = small_run(folder);
  options.write_model = folder / "model";
  Measured measured;
  measured.held_out[255] = 0.51237;
  ASSERT_TRUE(write_model(options, fresh(options).weights, measured).has_value());
  const auto file = models::read_file(folder / "model/model.xml");
  ASSERT_TRUE(file.has_value());
  const std::string xml(reinterpret_cast<const char*>(file->data()), file->size());
  for (const char* wanted : {R"(<form name="nv12-3840x2160" format="nv12" width="3840" height="2160"/>)",
                             R"(<segment name="preprocess" activation_bytes="12288"/>)",
                             R"(<segment name="stage1" widths="0.25 0.5 0.75 1" activation_bytes="16384"/>)",
                             R"(<segment name="stage4" widths="0.25 0.5 0.75 1" activation_bytes="0"/>)",
                             R"(<subnet name="0.25-0.25-0.25-0.5" widths="0.25 0.25 0.25 0.5" accuracy="0.0000"/>)",
                             R"(<subnet name="1.0-1.0-1.0-1.0" widths="1 1 1 1" accuracy="0.5124"/>)"}) {
    EXPECT_NE(xml.find(wanted), std::string::npos) << wanted;
  }
  EXPECT_TRUE(models::SlimResNet::load(folder / "model/weights.safetensors").has_value());
}

}  // namespace
}  // namespace takt::train
