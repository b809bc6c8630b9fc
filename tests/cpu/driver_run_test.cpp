// What the cpu driver computes, and that a launch that does not fit is refused without harm.
#include "cpu/driver_run.hpp"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/small_model.hpp"
#include "offline.hpp"
#include "slim_resnet/network.hpp"
#include "support/allocation_counter.hpp"

namespace takt {
namespace {

using test::Frame;
using test::JobMemory;
using test::SmallModel;

std::vector<Frame> random_pictures(std::size_t count) {
  std::vector<Frame> frames;
  for (std::size_t i = 0; i < count; ++i) frames.push_back(test::random_picture(static_cast<std::uint32_t>(100 + i)));
  return frames;
}

std::vector<JobMemory> jobs_of(const Model& model, const std::vector<Frame>& frames) {
  std::vector<JobMemory> jobs;
  for (const Frame& frame : frames) jobs.emplace_back(model, frame.view());
  return jobs;
}

std::vector<std::vector<float>> logits_of(Driver& driver, const Model& model, std::uint32_t subnet,
                                          const std::vector<Frame>& frames) {
  std::vector<JobMemory> jobs = jobs_of(model, frames);
  const auto ran = test::run_subnet(driver, model, 0, subnet, jobs);
  EXPECT_TRUE(ran) << ran.error().text;
  std::vector<std::vector<float>> logits;
  for (const JobMemory& job : jobs) {
    EXPECT_TRUE(job.guards_untouched());
    logits.push_back(job.logits());
  }
  return logits;
}

// The network itself on tensors, with no code of the driver: normalised by hand, widths by position.
std::vector<float> network_says(const models::SlimResNet& network, const Model& model, std::uint32_t subnet,
                                const Frame& frame) {
  const c10::InferenceMode inference;
  std::vector<float> hwc(3072);
  for (std::size_t i = 0; i < hwc.size(); ++i) {
    const float scale = 1.0F / (255.0F * model.normalise.deviation[i % 3]);
    const float shift = -model.normalise.mean[i % 3] / model.normalise.deviation[i % 3];
    hwc[i] = static_cast<float>(frame.bytes[i]) * scale + shift;
  }
  at::Tensor x = at::from_blob(hwc.data(), {1, 32, 32, 3}, at::TensorOptions().dtype(at::kFloat)).permute({0, 3, 1, 2});
  int segment = 1;
  for (const VariantId id : model.subnets[subnet].path) {
    const Variant& variant = model.variant(id);
    x = network.run(segment++, std::max<int>(variant.width_in, 0), variant.width_out, x);
  }
  const auto* values = static_cast<const float*>(x.data_ptr());
  return {values, values + x.numel()};
}

TEST(CpuDriver, GivesTheNetworksOwnBitsForEverySubnet) {
  const SmallModel small;
  const auto driver = test::make_ready_driver(small.model());
  ASSERT_TRUE(driver);
  at::set_num_threads(1);
  const auto network = models::SlimResNet::load(small.weights());
  ASSERT_TRUE(network);
  for (std::uint32_t subnet = 0; subnet < small.model().subnets.size(); ++subnet)
    for (const Frame& frame : random_pictures(3))
      EXPECT_EQ(logits_of(*driver, small.model(), subnet, {frame})[0],
                network_says(**network, small.model(), subnet, frame));
}

TEST(CpuDriver, GivesTheOfflineBitsForEveryBatchSize) {
  const SmallModel small;
  const auto driver = test::make_ready_driver(small.model());
  const auto offline = models::Offline::open(small.model());
  ASSERT_TRUE(driver && offline);
  const std::vector<Frame> all = random_pictures(kMaxBatch);
  for (std::size_t batch = 1; batch <= kMaxBatch; ++batch) {
    const std::vector<Frame> frames(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(batch));
    std::vector<TensorView> views;
    for (const Frame& frame : frames) views.push_back(frame.view());
    const auto subnet = test::subnet(small.model(), "mixed");
    const auto says = (*offline)->run(subnet, views);
    ASSERT_TRUE(says) << says.error().text;
    EXPECT_EQ(logits_of(*driver, small.model(), subnet, frames), *says) << "batch " << batch;
  }
}

TEST(CpuDriver, AnswersABatchOfEightLikeEightBatchesOfOne) {
  const SmallModel small;
  const auto driver = test::make_ready_driver(small.model());
  ASSERT_TRUE(driver);
  const std::vector<Frame> frames = random_pictures(8);
  for (std::uint32_t subnet = 0; subnet < small.model().subnets.size(); ++subnet) {
    const auto together = logits_of(*driver, small.model(), subnet, frames);
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const auto alone = logits_of(*driver, small.model(), subnet, {frames[i]})[0];
      EXPECT_EQ(models::top1(together[i]), models::top1(alone)) << "frame " << i << " subnet " << subnet;
      for (std::size_t c = 0; c < alone.size(); ++c)
        EXPECT_NEAR(together[i][c], alone[c], 1e-4F * (1 + std::abs(alone[c])));
    }
  }
}

// Two subnets of one file: what only the wide one uses may change without the narrow one noticing.
TEST(CpuDriver, RunsNarrowSubnetsOnThePrefixOfTheSameWeights) {
  SmallModel small;
  const std::vector<Frame> frames = random_pictures(1);
  const auto narrow = test::subnet(small.model(), "0.25"), wide = test::subnet(small.model(), "1");
  const auto before = test::make_ready_driver(small.model());
  ASSERT_TRUE(before);
  const auto narrow_before = logits_of(*before, small.model(), narrow, frames);
  const auto wide_before = logits_of(*before, small.model(), wide, frames);
  auto weights = models::slim::read_weights(small.weights());
  ASSERT_TRUE(weights);
  for (int segment = 1; segment <= models::slim::kSegments; ++segment) {
    at::Tensor& weight = weights->at(segment, 1).weight;
    weight.narrow(0, weight.size(0) / 4, weight.size(0) - weight.size(0) / 4).mul_(-1);
  }
  ASSERT_TRUE(models::slim::write_weights(small.weights(), *weights));
  small.sign();
  const auto after = test::make_ready_driver(small.model());
  ASSERT_TRUE(after);
  EXPECT_EQ(logits_of(*after, small.model(), narrow, frames), narrow_before);
  EXPECT_NE(logits_of(*after, small.model(), wide, frames), wide_before);
}

TEST(CpuDriver, ComputesTheModelsMetrics) {
  const SmallModel small;
  const auto driver = test::make_ready_driver(small.model());
  ASSERT_TRUE(driver);
  const std::vector<Frame> frames = random_pictures(2);
  std::vector<JobMemory> jobs = jobs_of(small.model(), frames);
  ASSERT_TRUE(test::run_subnet(*driver, small.model(), 0, 3, jobs));
  for (const JobMemory& job : jobs) {
    const std::vector<float> logits = job.logits();
    const float most = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float value : logits) sum += std::exp(static_cast<double>(value) - static_cast<double>(most));
    EXPECT_NEAR(static_cast<double>(job.metrics[0]), 1 / sum, 1e-5);
    EXPECT_EQ(job.metrics[1], most);
    EXPECT_EQ(job.metrics[2], 0);
    EXPECT_EQ(job.metrics[3], 0);
  }
}

TEST(CpuDriver, LeavesTheActivationItReadAloneWhenItWritesToAnotherSlot) {
  const SmallModel small;
  const Model& model = small.model();
  const auto driver = test::make_ready_driver(model);
  ASSERT_TRUE(driver);
  const std::vector<Frame> frames = random_pictures(1);
  std::vector<JobMemory> jobs = jobs_of(model, frames), elsewhere = jobs_of(model, frames);
  ASSERT_TRUE(test::run_variant(*driver, model, model.variants[0], jobs));
  const std::vector<std::byte> before = jobs[0].slot;
  const Variant& stage1 = model.variant(model.subnets[3].path[0]);
  JobIo io = jobs[0].io(model, stage1);
  io.slot_out = elsewhere[0].slot.data();
  ASSERT_TRUE(driver->run({.model = &model, .variant = &stage1, .jobs = {&io, 1}}));
  EXPECT_EQ(jobs[0].slot, before);
  EXPECT_NE(elsewhere[0].slot, before);
  ASSERT_TRUE(test::run_variant(*driver, model, stage1, jobs));
  EXPECT_EQ(jobs[0].slot, elsewhere[0].slot);
}

TEST(CpuDriver, RunsOnSeveralWorkersAtOnceWithTheSameBits) {
  const SmallModel small;
  const Model& model = small.model();
  const auto driver = test::make_ready_driver(model);
  ASSERT_TRUE(driver);
  ASSERT_TRUE(driver->open(1, {.name = "cpu1", .cores = {}, .threads = 1}));
  const std::vector<Frame> frames = random_pictures(4);
  const auto want = logits_of(*driver, model, 4, frames);
  const auto work = [&](std::uint32_t accelerator, Criticality criticality) {
    ASSERT_TRUE(driver->enter(accelerator, criticality));
    for (int round = 0; round < 20; ++round) {
      std::vector<JobMemory> jobs = jobs_of(model, frames);
      const auto run = [&](const Variant& variant) {
        std::vector<JobIo> ios;
        for (JobMemory& job : jobs) ios.push_back(job.io(model, variant));
        return driver->run({.accelerator = accelerator, .model = &model, .variant = &variant, .jobs = ios});
      };
      ASSERT_TRUE(run(model.variants[0]));
      for (const VariantId id : model.subnets[4].path) ASSERT_TRUE(run(model.variant(id)));
      for (std::size_t i = 0; i < jobs.size(); ++i) ASSERT_EQ(jobs[i].logits(), want[i]);
    }
  };
  std::thread hard(work, 0, Criticality::hard), soft(work, 1, Criticality::soft), other(work, 1, Criticality::hard);
  hard.join();
  soft.join();
  other.join();
}

TEST(CpuDriver, TakesModelsAfterItsWorkersHaveEntered) {
  const SmallModel first(1), second(2);
  const auto driver = test::make_cpu_driver();
  ASSERT_TRUE(driver && driver->open(0, {.name = "cpu0", .cores = {}, .threads = 1}));
  ASSERT_TRUE(driver->enter(0, Criticality::soft));
  ASSERT_TRUE(driver->load(first.model()));
  ASSERT_TRUE(driver->load(second.model()));
  const std::vector<Frame> frames = random_pictures(kMaxBatch);
  EXPECT_NE(logits_of(*driver, first.model(), 3, frames), logits_of(*driver, second.model(), 3, frames));
}

TEST(CpuDriver, LetsANewThreadTakeOverAWorkersPlace) {
  const SmallModel small;
  const auto driver = test::make_ready_driver(small.model());
  ASSERT_TRUE(driver);
  for (int i = 0; i < 100; ++i) std::thread([&] { EXPECT_TRUE(driver->enter(0, Criticality::soft)); }).join();
  std::thread([&] {
    ASSERT_TRUE(driver->enter(0, Criticality::soft));
    logits_of(*driver, small.model(), 0, random_pictures(1));
  }).join();
}

TEST(CpuDriver, AnswersWithTwoThreadsLikeWithOne) {
  const SmallModel small;
  const auto one = test::make_ready_driver(small.model());
  ASSERT_TRUE(one);
  const std::vector<Frame> frames = random_pictures(2);
  const auto want = logits_of(*one, small.model(), 3, frames);
  const auto two = test::make_cpu_driver();
  const auto opened = two->open(0, {.name = "cpu", .cores = {0, 1}, .threads = 2});
  if (!opened) GTEST_SKIP() << opened.error().text;
  ASSERT_TRUE(two->load(small.model()));
  std::thread([&] {
    ASSERT_TRUE(two->enter(0, Criticality::soft));
    const auto got = logits_of(*two, small.model(), 3, frames);
    for (std::size_t i = 0; i < frames.size(); ++i) EXPECT_EQ(models::top1(got[i]), models::top1(want[i]));
  }).join();
}

// libtorch's operators allocate, nothing else does: a launch costs as many allocations as the operators alone.
TEST(CpuDriver, AllocatesNothingOfItsOwnWhileItRuns) {
  const SmallModel small;
  const Model& model = small.model();
  const auto driver = test::make_ready_driver(model);
  const auto network = models::SlimResNet::load(small.weights());
  ASSERT_TRUE(driver && network);
  const std::vector<Frame> frames = random_pictures(4);
  std::vector<JobMemory> jobs = jobs_of(model, frames);
  const auto count = [](auto&& work) {
    work();
    const std::uint64_t before = test::allocations_seen();
    const test::WatchAllocations watch;
    work();
    return test::allocations_seen() - before;
  };
  const auto of_driver = [&](const Variant& variant, std::size_t batch) {
    std::array<JobIo, kMaxBatch> ios;
    for (std::size_t i = 0; i < batch; ++i) ios[i] = jobs[i].io(model, variant);
    const Launch launch{.model = &model, .variant = &variant, .jobs = std::span(ios).first(batch)};
    return count([&] { EXPECT_TRUE(driver->run(launch)); });
  };
  const auto of_operators = [&](int segment, std::int64_t batch) {
    const auto [channels, height, width] = (*network)->activation_shape(segment - 1, 3);
    std::vector<float> values(static_cast<std::size_t>(batch * channels * height * width));
    return count([&] {
      const c10::InferenceMode inference;
      const at::Tensor x = at::from_blob(values.data(), {batch, channels, height, width},
                                         {channels * height * width, 1, width * channels, channels},
                                         at::TensorOptions().dtype(at::kFloat));
      const at::Tensor y = (*network)->run(segment, 3, 3, x);
      return y.dim() == 4 ? y.contiguous(at::MemoryFormat::ChannelsLast) : y.contiguous();
    });
  };
  EXPECT_EQ(of_driver(model.variants[0], 4), 0U);
  for (int segment = 1; segment <= 4; ++segment)
    for (const std::size_t batch : {1U, 4U}) {
      const Variant& variant = model.variant(model.subnets[3].path[static_cast<std::size_t>(segment - 1)]);
      const std::uint64_t operators = of_operators(segment, static_cast<std::int64_t>(batch));
      EXPECT_GT(operators, 0U);
      EXPECT_EQ(of_driver(variant, batch), operators) << "segment " << segment << " batch " << batch;
    }
}

class BadLaunch : public testing::Test {
 protected:
  BadLaunch() : frames_(random_pictures(17)), jobs_(jobs_of(model(), frames_)) {
    driver_ = test::make_ready_driver(model());
  }
  const Model& model() { return small_.model(); }
  const Variant& preprocess() { return model().variants[0]; }
  const Variant& stage(std::size_t s) { return model().variant(model().subnets[0].path[s]); }

  // Whether the driver refuses this launch with a reason and leaves the memory alone.
  testing::AssertionResult refused(const Launch& launch) {
    const std::vector<std::byte> slot = jobs_[0].slot, result = jobs_[0].result;
    const Result<void> ran = driver_->run(launch);
    if (ran) return testing::AssertionFailure() << "it ran";
    if (jobs_[0].slot != slot || jobs_[0].result != result) return testing::AssertionFailure() << "it wrote";
    if (std::strlen(ran.error().text) < 10) return testing::AssertionFailure() << "it gave no reason";
    return testing::AssertionSuccess();
  }
  testing::AssertionResult refused(const Variant& variant, void (*spoil)(JobIo&)) {
    std::vector<JobIo> ios{jobs_[0].io(model(), variant), jobs_[1].io(model(), variant)};
    EXPECT_TRUE(driver_->run({.model = &model(), .variant = &variant, .jobs = ios})) << "unspoilt";
    spoil(ios[1]);
    return refused({.model = &model(), .variant = &variant, .jobs = ios});
  }

  SmallModel small_;
  std::vector<Frame> frames_;
  std::vector<JobMemory> jobs_;
  std::unique_ptr<Driver> driver_;
};

TEST_F(BadLaunch, IsRefusedWithoutJobsOrWithTooMany) {
  std::vector<JobIo> ios;
  for (JobMemory& job : jobs_) ios.push_back(job.io(model(), preprocess()));
  EXPECT_TRUE(refused({.model = &model(), .variant = &preprocess(), .jobs = {}}));
  EXPECT_TRUE(refused({.model = &model(), .variant = &preprocess(), .jobs = ios}));
}

TEST_F(BadLaunch, IsRefusedWhenMemoryIsMissingOrTooSmall) {
  EXPECT_TRUE(refused(preprocess(), [](JobIo& io) { io.inputs = {}; }));
  EXPECT_TRUE(refused(preprocess(), [](JobIo& io) { io.slot_out = nullptr; }));
  EXPECT_TRUE(refused(stage(0), [](JobIo& io) { io.slot_in = nullptr; }));
  EXPECT_TRUE(refused(stage(1), [](JobIo& io) { io.slot_out = nullptr; }));
  EXPECT_TRUE(refused(stage(3), [](JobIo& io) { io.result = {}; }));
  EXPECT_TRUE(refused(stage(3), [](JobIo& io) { io.result = io.result.first(sizeof(ResultHeader) + 400 - 1); }));
}

TEST_F(BadLaunch, IsRefusedWhenAPictureIsNoneOrAnotherThanItsForm) {
  const auto refuses = [&](const Frame& frame) {
    jobs_[1].frame = frame.view();
    std::vector<JobIo> ios{jobs_[0].io(model(), preprocess()), jobs_[1].io(model(), preprocess())};
    return refused({.model = &model(), .variant = &preprocess(), .jobs = ios});
  };
  EXPECT_TRUE(refuses(Frame(PictureFormat::gray, 32, 32)));
  EXPECT_TRUE(refuses(Frame(PictureFormat::rgb, 33, 32)));
  Frame torn(PictureFormat::rgb, 32, 32);
  torn.desc.bytes -= 1;
  EXPECT_TRUE(refuses(torn));
}

TEST_F(BadLaunch, IsRefusedForWhatWasNeverLoadedOrEntered) {
  const SmallModel other(3);
  std::vector<JobIo> ios{jobs_[0].io(model(), stage(0))};
  const Variant foreign = stage(0);
  EXPECT_TRUE(refused({.model = &other.model(), .variant = &other.model().variants[0], .jobs = ios}));
  EXPECT_TRUE(refused({.model = nullptr, .variant = &stage(0), .jobs = ios}));
  EXPECT_TRUE(refused({.model = &model(), .variant = &foreign, .jobs = ios}));
  EXPECT_TRUE(refused({.model = &model(), .variant = nullptr, .jobs = ios}));
  EXPECT_TRUE(refused({.accelerator = 1, .model = &model(), .variant = &stage(0), .jobs = ios}));
  EXPECT_TRUE(refused({.accelerator = 99, .model = &model(), .variant = &stage(0), .jobs = ios}));
  std::thread([&] { EXPECT_TRUE(refused({.model = &model(), .variant = &stage(0), .jobs = ios})); }).join();
}

TEST_F(BadLaunch, DoesNotSpoilTheNextOne) {
  std::vector<JobIo> ios{jobs_[0].io(model(), preprocess())};
  ios[0].slot_out = nullptr;
  ASSERT_FALSE(driver_->run({.model = &model(), .variant = &preprocess(), .jobs = ios}));
  EXPECT_EQ(logits_of(*driver_, model(), 0, {frames_[0]}), logits_of(*driver_, model(), 0, {frames_[0]}));
}

}  // namespace
}  // namespace takt
