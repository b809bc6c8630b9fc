// Models that take tensors, and the numbers that the executor computes from outputs.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "cpu/driver_run.hpp"
#include "cpu/small_model.hpp"
#include "host/answer.hpp"
#include "host/bound_model.hpp"
#include "offline.hpp"

namespace takt::models {
namespace {

// The small model without its preprocessing: the same network on float input.
Model without_preprocessing(Model model) {
  const auto forms = static_cast<std::ptrdiff_t>(model.forms.size());
  model.forms.clear();
  model.inputs[0].dtype = DType::f32;
  model.inputs[0].dims = {32, 32, 3};
  model.segments.erase(model.segments.begin());
  model.variants.erase(model.variants.begin(), model.variants.begin() + forms);
  for (Variant& variant : model.variants) --variant.segment;
  for (Subnet& subnet : model.subnets)
    for (VariantId& id : subnet.path) id.value -= static_cast<std::uint32_t>(forms);
  return model;
}

struct FloatInput {
  // One float of padding, so that the values can also lie where no float may.
  std::vector<std::byte> memory = std::vector<std::byte>(3073 * sizeof(float));
  std::size_t shift;
  TensorDesc desc;

  explicit FloatInput(const std::vector<float>& values, std::size_t at = 0) : shift(at) {
    std::memcpy(memory.data() + shift, values.data(), values.size() * sizeof(float));
    desc.dtype = DType::f32;
    desc.rank = 3;
    desc.dims = {32, 32, 3};
    desc.bytes = values.size() * sizeof(float);
  }
  [[nodiscard]] TensorView view() const { return {&desc, memory.data() + shift}; }
};

TEST(TensorModel, GivesTheBitsThatThePictureGaveWhenItIsFedTheSamePixels) {
  const test::SmallModel small;
  const Model bare = without_preprocessing(small.model());
  const auto pictures = Offline::open(small.model());
  const auto tensors = Offline::open(bare);
  ASSERT_TRUE(pictures && tensors);
  const test::Frame frame = test::random_picture(7);
  std::vector<float> pixels(3072);
  Preprocessor preprocessor;
  ASSERT_TRUE(preprocessor.run(*check_picture(frame.view()), small.model().normalise, pixels));
  const std::array views{frame.view()};
  const auto want = (*pictures)->run(4, views);
  ASSERT_TRUE(want);
  for (const std::size_t shift : {0, 1, 2}) {
    const FloatInput input(pixels, shift);
    const std::array inputs{input.view()};
    const auto got = (*tensors)->run(4, inputs);
    ASSERT_TRUE(got) << got.error().text;
    EXPECT_EQ(*got, *want);
  }
}

TEST(TensorModel, RefusesTensorsOfAnotherShapeOrLayout) {
  const test::SmallModel small;
  const Model bare = without_preprocessing(small.model());
  const auto offline = Offline::open(bare);
  ASSERT_TRUE(offline);
  const auto accepted = [&](void (*spoil)(TensorDesc&)) {
    FloatInput input(std::vector<float>(3072, 0.5F));
    spoil(input.desc);
    const std::array inputs{input.view()};
    return (*offline)->run(0, inputs).has_value();
  };
  EXPECT_TRUE(accepted([](TensorDesc&) {}));
  EXPECT_TRUE(accepted([](TensorDesc& d) { d.strides = {384, 12, 4}; }));
  EXPECT_FALSE(accepted([](TensorDesc& d) { d.strides = {384, 12, 8}; }));
  EXPECT_FALSE(accepted([](TensorDesc& d) { d.dims = {3, 32, 32}; }));
  EXPECT_FALSE(accepted([](TensorDesc& d) { d.bytes -= 1; }));
  EXPECT_FALSE(accepted([](TensorDesc& d) { d.dtype = DType::i32; }));
  EXPECT_FALSE(accepted([](TensorDesc& d) { d.rank = 2; }));
  EXPECT_FALSE(accepted([](TensorDesc& d) { d.format = PictureFormat::rgb; }));
}

TEST(Metrics, SurviveLargeAndBrokenOutputs) {
  const std::array kinds{Metric{"a", 0, Metric::Kind::softmax_max}, Metric{"b", 0, Metric::Kind::max}};
  std::array<float, kMaxMetrics> metrics{};
  write_metrics(kinds, std::array{1e30F, -1e30F}, metrics);
  EXPECT_EQ(metrics[0], 1);
  EXPECT_EQ(metrics[1], 1e30F);
  write_metrics(kinds, std::array{2.0F, 2.0F, 2.0F, 2.0F}, metrics);
  EXPECT_FLOAT_EQ(metrics[0], 0.25F);
  write_metrics(kinds, std::array{1.0F, std::numeric_limits<float>::quiet_NaN()}, metrics);
  EXPECT_TRUE(std::isnan(metrics[0]) && std::isnan(metrics[1]));
}

}  // namespace
}  // namespace takt::models
