// Offline answers: forms, subnets, refusals.
#include "offline.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "cpu/driver_run.hpp"
#include "cpu/small_model.hpp"

namespace takt::models {
namespace {

using test::Frame;
using test::SmallModel;

TEST(Offline, TakesEachPictureAsTheSmallestFormThatCoversIt) {
  const SmallModel small;
  const auto offline = Offline::open(small.model());
  ASSERT_TRUE(offline);
  Frame camera(PictureFormat::nv12, 64, 48), little(PictureFormat::nv12, 32, 32), rgb(PictureFormat::rgb, 32, 32);
  for (Frame* frame : {&camera, &little, &rgb}) std::fill(frame->bytes.begin(), frame->bytes.end(), std::uint8_t{128});
  // All three are one grey area, so all three are the same picture up to video's range.
  const std::array views{camera.view(), little.view(), rgb.view()};
  const auto says = (*offline)->run(3, views);
  ASSERT_TRUE(says) << says.error().text;
  EXPECT_EQ(top1((*says)[0]), top1((*says)[1]));
  for (std::size_t i = 0; i < 100; ++i) EXPECT_NEAR((*says)[0][i], (*says)[1][i], 1e-4F);
}

TEST(Offline, RefusesWhatTheModelCannotTake) {
  const SmallModel small;
  const auto offline = Offline::open(small.model());
  ASSERT_TRUE(offline);
  const Frame good = test::random_picture(1), gray(PictureFormat::gray, 32, 32), large(PictureFormat::rgb, 64, 32);
  const auto code = [&](std::uint32_t subnet, std::vector<TensorView> frames) {
    const auto says = (*offline)->run(subnet, frames);
    return says ? Code{} : says.error().code;
  };
  EXPECT_EQ(code(0, {good.view()}), Code{});
  EXPECT_EQ(code(5, {good.view()}), Code::not_found);
  EXPECT_EQ(code(0, {}), Code::invalid_argument);
  EXPECT_EQ(code(0, std::vector<TensorView>(17, good.view())), Code::invalid_argument);
  EXPECT_EQ(code(0, {good.view(), gray.view()}), Code::invalid_argument);
  EXPECT_EQ(code(0, {large.view()}), Code::invalid_argument);
  EXPECT_EQ(code(0, {TensorView{}}), Code::invalid_argument);
}

TEST(Offline, RefusesDamagedWeights) {
  SmallModel small;
  small.model().digest.back() = small.model().digest.back() == '0' ? '1' : '0';
  const auto offline = Offline::open(small.model());
  ASSERT_FALSE(offline);
  EXPECT_EQ(offline.error().code, Code::corrupt);
}

TEST(Top1, IsTheFirstOfTheLargest) {
  EXPECT_EQ(top1(std::array{1.0F, 3.0F, 3.0F, 2.0F}), 1U);
  EXPECT_EQ(top1({}), 0U);
}

}  // namespace
}  // namespace takt::models
