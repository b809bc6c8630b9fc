// Training of SlimResNet on a GPU: it learns in every precision, and what it leaves behind is the same on the CPU.
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/slim_training_builders.hpp"
#include "models/temporary_folder.hpp"
#include "slim_resnet/network.hpp"
#include "takt_train/cifar100.hpp"
#include "takt_train/device.hpp"
#include "takt_train/slim_calibrate.hpp"
#include "takt_train/slim_checkpoint.hpp"

namespace takt::train {
namespace {

using test::TemporaryFolder;

class SlimOnCuda : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto device = open_device("cuda");
    if (!device) {
      GTEST_SKIP() << device.error();
    }
    test::write_data(folder_);
    options_ = test::small_run(folder_);
    options_.base_width = 16;
    options_.epochs = 6;
    options_.precision = GetParam();
    options_.device = "cuda";
    allow_tf32(options_.precision == "tf32");
    on_cpu_ = *Cifar100::read_training(folder_.path());
    on_cuda_ = on_cpu_->to(*device);
  }

  TemporaryFolder folder_;
  SlimOptions options_;
  std::optional<Cifar100> on_cpu_, on_cuda_;
};
INSTANTIATE_TEST_SUITE_P(Precision, SlimOnCuda, testing::Values("single", "tf32", "bf16"),
                         [](const auto& made) { return std::string(made.param); });

at::Tensor logits(const models::SlimResNet& network, at::Tensor x) {
  for (int segment = 1; segment <= models::slim::kSegments; ++segment) {
    x = network.run(segment, 2, 2, x);
  }
  return x;
}

TEST_P(SlimOnCuda, LearnsWhatIsEasy) {
  SlimTrainer trainer(options_, *on_cuda_, test::fresh(options_));
  const double first = test::step(trainer).loss;
  double last = first;
  while (!trainer.done()) {
    last = test::step(trainer).loss;
    ASSERT_TRUE(std::isfinite(last));
  }
  EXPECT_LT(last, 0.6 * first);
}

TEST_P(SlimOnCuda, TakesTheFirstStepOfTheCpu) {
  SlimTrainer cuda(options_, *on_cuda_, test::fresh(options_));
  SlimTrainer cpu(options_, *on_cpu_, test::fresh(options_));
  const auto wanted = test::step(cpu);
  const auto got = test::step(cuda);
  EXPECT_NEAR(got.loss, wanted.loss, (options_.precision == "single" ? 1e-3 : 2e-2) * wanted.loss);
}

TEST_P(SlimOnCuda, GoesOnFromItsCheckpoint) {
  SlimTrainer before(options_, *on_cuda_, test::fresh(options_));
  before.step();
  before.step();
  ASSERT_TRUE(write_checkpoint(options_, before.state()).has_value());
  SlimOptions read;
  read.out = options_.out;
  auto state = read_checkpoint(read);
  ASSERT_TRUE(state.has_value()) << state.error().text;
  EXPECT_EQ(read.precision, options_.precision);
  SlimTrainer after(read, *on_cuda_, std::move(*state));
  EXPECT_EQ(after.state().step, 2);
  EXPECT_TRUE(after.state().weights.at(3, 2).weight.equal(before.state().weights.at(3, 2).weight));
  const auto wanted = test::step(before);
  const auto got = test::step(after);
  EXPECT_GT(wanted.loss, 0);
  EXPECT_TRUE(std::isfinite(got.loss));
}

TEST_P(SlimOnCuda, CalibratesAndMeasuresAsTheCpuDoes) {
  allow_tf32(false);
  std::vector<int64_t> indices(static_cast<std::size_t>(on_cpu_->size()));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  models::slim::Weights cpu = test::fresh(options_).weights;
  models::slim::Weights cuda = models::slim::to_device(cpu, on_cuda_->device());
  calibrate(cpu, *on_cpu_, indices, 1, {2, 32});
  calibrate(cuda, *on_cuda_, indices, 1, {2, 32});
  const c10::InferenceMode inference;
  const at::Tensor& wanted = cpu.at(3, 2).variance[1][2];
  const at::Tensor got = cuda.at(3, 2).variance[1][2].to(at::kCPU);
  EXPECT_LT(got.sub(wanted).abs().max().item<double>(), 1e-2 * wanted.abs().max().item<double>());
  const models::SlimResNet network(cuda);
  const at::Tensor answers = logits(network, on_cuda_->batch(indices).pictures);
  const at::Tensor expected = logits(models::SlimResNet(cpu), on_cpu_->batch(indices).pictures);
  EXPECT_LT(answers.to(at::kCPU).sub(expected).abs().max().item<double>(), 1e-2 * expected.abs().max().item<double>());
  const double right = answers.argmax(1).eq(on_cuda_->batch(indices).labels).to(at::kFloat).mean().item<double>();
  EXPECT_NEAR(measure_uniform(network, *on_cuda_, indices)[2], right, 1e-6);
}

}  // namespace
}  // namespace takt::train
