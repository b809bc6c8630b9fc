// What the CUDA driver records, run on the CPU: preprocessing as matrix products, segments over raw memory.
#include "cuda/segments.hpp"

#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

#include "cpu/frames.hpp"
#include "cpu/small_model.hpp"
#include "cuda/pictures.hpp"
#include "host/bound_model.hpp"
#include "offline.hpp"

namespace takt::cuda {
namespace {

struct World {
  test::SmallModel small;
  std::unique_ptr<models::NativeModule> module;
  std::unique_ptr<models::BoundModel> bound;
  std::unique_ptr<TorchModel> torch;

  explicit World(const Form& form = {"nv12-64x48", PictureFormat::nv12, 64, 48, {}}) {
    const VariantId variant = small.model().forms[0].variant;
    small.model().forms[0] = form;
    small.model().forms[0].variant = variant;
    module = *models::load_module(small.model());
    bound = std::make_unique<models::BoundModel>(*models::BoundModel::bind(small.model(), *module));
    torch = std::make_unique<TorchModel>(*bound, at::kCPU, Precision::single);
  }

  std::vector<float> forward(const models::Step& step, std::size_t batch, void* in, const void* taps = nullptr) const {
    const c10::InferenceMode inference;
    const at::Tensor out = torch->forward(step, batch, in, taps);
    EXPECT_EQ(out.nbytes(), batch * torch->bytes_out(step));
    const auto* values = static_cast<const float*>(out.data_ptr());
    return {values, values + out.numel()};
  }
};

struct Case {
  Form form;
  std::uint32_t width, height;
  std::array<std::uint32_t, 4> crop;
};

class Preprocessing : public testing::TestWithParam<Case> {};

// The lane copies rows of planes; here the same by hand.
std::vector<std::uint8_t> laid_out(const PicturePlan& plan, const models::Picture& picture) {
  std::vector<std::uint8_t> bytes(plan.bytes(), 170);
  const std::size_t row = plan.row_bytes() / plan.width * picture.width;
  const auto copy = [&](std::size_t to, std::size_t from, std::size_t rows) {
    for (std::size_t r = 0; r < rows; ++r)
      std::copy_n(picture.pixels + (from + r) * picture.stride, row, bytes.data() + (to + r) * plan.row_bytes());
  };
  copy(0, 0, picture.height);
  if (plan.chroma_height > 0) copy(plan.height, picture.height, picture.height / 2);
  return bytes;
}

TEST_P(Preprocessing, GivesWhatTheCpuGivesForAnyPictureThatTheFormCovers) {
  const Case& c = GetParam();
  World world(c.form);
  std::mt19937 random(3);
  test::Frame frame(c.form.format, c.width, c.height, 6);
  frame.fill_random(random);
  frame.desc.crop = c.crop;
  const models::Picture picture = *models::check_picture(frame.view());
  const models::Step& step = world.bound->steps()[0];
  const PicturePlan plan = PicturePlan::of(world.small.model().forms[0], world.small.model().normalise);
  ASSERT_EQ(world.torch->bytes_in(step), plan.bytes());
  std::vector<float> taps(plan.taps());
  fill_taps(plan, geometry_of(picture), taps);
  std::vector<std::uint8_t> bytes = laid_out(plan, picture);

  const std::vector<float> got = world.forward(step, 1, bytes.data(), taps.data());

  std::vector<float> want(got.size());
  models::Preprocessor cpu;
  ASSERT_TRUE(cpu.run(picture, world.small.model().normalise, want));
  for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 2e-5) << i;
}

INSTANTIATE_TEST_SUITE_P(Pictures, Preprocessing,
                         testing::Values(Case{{"f", PictureFormat::rgb, 80, 60, {}}, 80, 60, {}},
                                         Case{{"f", PictureFormat::rgb, 80, 60, {}}, 44, 38, {3, 5, 33, 32}},
                                         Case{{"f", PictureFormat::rgb, 80, 60, {}}, 20, 10, {1, 1, 7, 9}},  // grows
                                         Case{{"f", PictureFormat::gray, 70, 50, {}}, 70, 50, {}},
                                         Case{{"f", PictureFormat::gray, 70, 50, {}}, 33, 47, {}},
                                         Case{{"f", PictureFormat::yuyv, 96, 64, {}}, 96, 64, {}},
                                         Case{{"f", PictureFormat::yuyv, 96, 64, {}}, 50, 61, {5, 2, 41, 40}},
                                         Case{{"f", PictureFormat::nv12, 96, 64, {}}, 96, 64, {}},
                                         Case{{"f", PictureFormat::nv12, 96, 64, {}}, 90, 62, {7, 3, 81, 57}},
                                         Case{{"f", PictureFormat::nv12, 96, 64, {}}, 24, 18, {}},
                                         Case{{"f", PictureFormat::nv12, 1280, 720, {}}, 1280, 720, {}}));

TEST(Segments, GiveWhatTheNetworkGivesForEveryVariantAndBatch) {
  const World world;
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (const models::Step& step : world.bound->steps()) {
    if (step.preprocess) continue;
    for (const std::size_t batch : {std::size_t{1}, std::size_t{3}}) {
      std::vector<float> in(step.in.values() * batch);
      for (float& value : in) value = normal(random);
      ASSERT_EQ(world.torch->bytes_in(step), step.in.bytes());
      const std::vector<float> all = world.forward(step, batch, in.data());
      for (std::size_t f = 0; f < batch; ++f) {
        const std::vector<float> one = world.forward(step, 1, in.data() + f * step.in.values());
        for (std::size_t i = 0; i < one.size(); ++i)
          ASSERT_NEAR(all[f * one.size() + i], one[i], 1e-4F * (1 + std::abs(one[i]))) << step.variant->name;
      }
    }
  }
}

// Slots in half precision are half as large, but answers are floats.
TEST(Segments, InHalfPrecisionTakeHalfTheMemoryBetweenSegments) {
  const World world;
  const auto half = std::make_unique<TorchModel>(*world.bound, at::kCPU, Precision::half);
  for (const models::Step& step : world.bound->steps()) {
    EXPECT_EQ(half->bytes_out(step), step.out.values() * (step.last ? 4 : 2));
    if (!step.first) {
      EXPECT_EQ(half->bytes_in(step), step.in.values() * 2);
    }
  }
}

}  // namespace
}  // namespace takt::cuda
