// On a GPU: the answers are the CPU's, in single and in half precision, for uniform subnets and for any other.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "files/model_file.hpp"
#include "gpu/real_gpu.hpp"
#include "offline.hpp"

namespace takt {
namespace {

constexpr std::size_t kPictures = 4;
constexpr std::size_t kRandomSubnets = 20;

// The shipped model with `kRandomSubnets` more subnets of any widths.
Model model_with_random_subnets() {
  auto parsed = files::read_model(TAKT_SOURCE_DIR "/models/slim_resnet", VariantId{0U});
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().to_string());
  Model model = std::move(*parsed);
  std::erase_if(model.subnets, [&](const Subnet& s) {
    return std::any_of(s.path.begin(), s.path.end(), [&](VariantId v) {
      return model.variant(v).width_in >= 0 && model.variant(v).width_in != model.variant(v).width_out;
    });
  });
  std::mt19937 random(1);
  for (std::size_t n = 0; n < kRandomSubnets; ++n) {
    Subnet subnet{.name = "random" + std::to_string(n)};
    int width = -1;
    for (std::size_t s = 1; s < model.segments.size(); ++s) {
      std::vector<std::size_t> fits;
      for (std::size_t v = 0; v < model.variants.size(); ++v)
        if (model.variants[v].segment == s && (width < 0 || model.variants[v].width_in == width)) fits.push_back(v);
      const std::size_t chosen = fits[random() % fits.size()];
      width = model.variants[chosen].width_out;
      subnet.path.emplace_back(model.first_variant.value + chosen);
    }
    model.subnets.push_back(std::move(subnet));
  }
  return model;
}

class Agreement : public testing::TestWithParam<std::pair<Precision, float>> {};

TEST_P(Agreement, HoldsForUniformAndRandomSubnets) {
  const auto [precision, bound] = GetParam();
  const Model model = model_with_random_subnets();
  const auto driver = test::ready_gpu_driver(model, precision);
  if (!driver) GTEST_SKIP();
  const auto offline = models::Offline::open(model);
  ASSERT_TRUE(offline);
  std::vector<test::Frame> frames;
  for (std::uint32_t i = 0; i < kPictures; ++i) frames.push_back(test::random_picture(i));
  std::size_t form = 0;
  while (model.forms[form].format != PictureFormat::rgb || model.forms[form].width != 32) ++form;
  float worst = 0;
  for (std::uint32_t subnet = 0; subnet < model.subnets.size(); ++subnet) {
    std::vector<TensorView> views;
    std::vector<test::JobMemory> jobs;
    for (const test::Frame& frame : frames) {
      views.push_back(frame.view());
      jobs.emplace_back(model, frame.view());
      jobs.back().slot_number = static_cast<std::uint32_t>(jobs.size() - 1);
    }
    const auto want = (*offline)->run(subnet, views);
    ASSERT_TRUE(want);
    const auto ran = test::run_subnet(*driver, model, form, subnet, jobs);
    ASSERT_TRUE(ran) << ran.error().text << " (" << ran.error().vendor << ")";
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const std::vector<float> got = jobs[i].logits();
      float largest = 0, apart = 0;
      for (std::size_t k = 0; k < got.size(); ++k) {
        largest = std::max(largest, std::abs((*want)[i][k]));
        apart = std::max(apart, std::abs(got[k] - (*want)[i][k]));
      }
      worst = std::max(worst, apart / largest);
      EXPECT_LE(apart, bound * largest) << model.subnets[subnet].name;
    }
  }
  RecordProperty("worst_relative_difference", std::to_string(worst));
  std::printf("worst difference, relative to the largest output: %.2e of %.0e allowed\n", static_cast<double>(worst),
              static_cast<double>(bound));
}

INSTANTIATE_TEST_SUITE_P(Precisions, Agreement,
                         testing::Values(std::pair{Precision::single, 1e-4F}, std::pair{Precision::half, 1e-2F}));

TEST(OnAGpu, NothingIsAllocatedWhileItServes) {
  const Model model = model_with_random_subnets();
  const auto driver = test::ready_gpu_driver(model, Precision::half);
  if (!driver) GTEST_SKIP();
  const test::Frame frame = test::random_picture(1);
  for (int i = 0; i < 200; ++i) {
    std::vector<test::JobMemory> jobs;
    jobs.emplace_back(model, frame.view());
    jobs.back().slot_number = 0;
    ASSERT_TRUE(test::run_subnet(*driver, model, 0, 0, jobs));
  }
  EXPECT_EQ(driver->health(0)->late_allocations, 0);
}

}  // namespace
}  // namespace takt
