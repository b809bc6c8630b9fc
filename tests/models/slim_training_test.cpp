// Training of SlimResNet on a made-up data set: reading, order, resuming, calibration, and the written model.
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "models/temporary_folder.hpp"
#include "slim_resnet/network.hpp"
#include "support/files.hpp"
#include "takt_train/cifar100.hpp"
#include "takt_train/slim_calibrate.hpp"
#include "takt_train/slim_checkpoint.hpp"
#include "takt_train/slim_report.hpp"
#include "takt_train/slim_trainer.hpp"

namespace takt::train {
namespace {

using models::slim::Role;
using test::TemporaryFolder;

constexpr std::size_t kRecord = 3074;

// `count` records whose picture says its label: class k is a grey of its own with a little noise.
void write_records(const std::filesystem::path& path, int count, uint64_t seed) {
  Random random(seed, Random::Purpose::order, 0);
  std::string text;
  for (int i = 0; i < count; ++i) {
    const auto label = static_cast<char>(i % 4);
    text += std::string{'\0', label};
    for (std::size_t p = 0; p < kRecord - 2; ++p) {
      text += static_cast<char>(20 + 60 * (i % 4) + static_cast<int>(random.below(20)));
    }
  }
  std::ofstream(path, std::ios::binary) << text;
}

void write_data(const TemporaryFolder& folder) {
  uint64_t seed = 1;
  for (const char* name : {"train-0.bin", "train-1.bin", "train-2.bin", "train-3.bin", "train-4.bin", "test.bin"}) {
    write_records(folder / name, 16, seed++);
  }
}

SlimOptions small_run(const TemporaryFolder& folder) {
  SlimOptions options;
  options.data = folder.path();
  options.out = folder.path();
  options.base_width = 4;
  options.batch = 8;
  options.held_out = 16;
  options.epochs = 2;
  return options;
}

TrainingState fresh(const SlimOptions& options) {
  return {models::slim::make_weights(options.base_width, options.seed), {}, 0};
}

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

TEST(Cifar100, ReadsRecordsAndNormalisesThem) {
  const TemporaryFolder folder;
  std::string record(kRecord, '\0');
  record[1] = 42;
  record[2] = static_cast<char>(255);            // red of the first pixel
  record[2 + 1024 + 1] = static_cast<char>(51);  // green of the second
  std::ofstream(folder / "test.bin", std::ios::binary) << record;
  const auto set = Cifar100::read_test(folder.path());
  ASSERT_TRUE(set.has_value());
  const std::vector<int64_t> first{0};
  const auto batch = set->batch(first);
  EXPECT_EQ(batch.labels.item<int64_t>(), 42);
  EXPECT_TRUE(batch.pictures.is_contiguous(at::MemoryFormat::ChannelsLast));
  const auto pixel = [&](int64_t c, int64_t y, int64_t x) { return batch.pictures[0][c][y][x].item<float>(); };
  EXPECT_FLOAT_EQ(pixel(0, 0, 0), (1.0F - kMean[0]) / kDeviation[0]);
  EXPECT_FLOAT_EQ(pixel(1, 0, 1), (0.2F - kMean[1]) / kDeviation[1]);
  EXPECT_FLOAT_EQ(pixel(2, 31, 31), -kMean[2] / kDeviation[2]);
}

TEST(Cifar100, SaysWhatIsWrongWithTheFile) {
  const TemporaryFolder folder;
  const auto complaint = [&] { return Cifar100::read_test(folder.path()).error().text; };
  std::ofstream(folder / "test.bin.xz") << "x";
  EXPECT_NE(complaint().find("xz -dk"), std::string::npos);
  std::ofstream(folder / "test.bin", std::ios::binary) << std::string(kRecord - 1, '\0');
  EXPECT_NE(complaint().find("whole number"), std::string::npos);
  std::ofstream(folder / "test.bin", std::ios::binary) << std::string(kRecord, 'd');
  EXPECT_NE(complaint().find("label"), std::string::npos);
}

TEST(SlimTrainer, LearnsWhatIsEasy) {
  const TemporaryFolder folder;
  write_data(folder);
  SlimOptions options = small_run(folder);
  options.epochs = 6;
  const auto set = Cifar100::read_training(folder.path());
  SlimTrainer trainer(options, *set, fresh(options));
  const double first = trainer.step().loss;
  double last = first;
  while (!trainer.done()) {
    last = trainer.step().loss;
    ASSERT_TRUE(std::isfinite(last));
  }
  EXPECT_LT(last, 0.6 * first);
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
  const auto measured = measure_subnets(network, at::kCPU, *set, indices);
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
  const auto uniform = measure_uniform(network, at::kCPU, *set, indices);
  EXPECT_DOUBLE_EQ(uniform[3], measured[255]);
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
