// The demo's pictures: what was drawn can be read back where a camera's picture would show it.
#include "pictures.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace demo {
namespace {

std::vector<std::uint8_t> plain(std::uint8_t red, std::uint8_t green, std::uint8_t blue) {
  std::vector<std::uint8_t> pixels(3 * kSide * kSide, red);
  std::fill_n(pixels.begin() + kSide * kSide, kSide * kSide, green);
  std::fill_n(pixels.begin() + 2 * kSide * kSide, kSide * kSide, blue);
  return pixels;
}

TEST(DrawNv12, PutsThePictureInTheCentreOfAGreyFrame) {
  std::vector<std::uint8_t> out(picture_bytes(TAKT_NV12, 128, 64));
  draw(plain(255, 255, 255), TAKT_NV12, 128, 64, out);
  for (const std::size_t row : {0, 31, 63}) {
    EXPECT_EQ(out[row * 128 + 31], 128) << "left of the square";
    EXPECT_EQ(out[row * 128 + 32], 235) << "its first column, BT.601 white";
    EXPECT_EQ(out[row * 128 + 95], 235);
    EXPECT_EQ(out[row * 128 + 96], 128) << "right of it";
  }
}

TEST(DrawNv12, HasTheChromaOfTheColour) {
  std::vector<std::uint8_t> out(picture_bytes(TAKT_NV12, 64, 64));
  draw(plain(255, 0, 0), TAKT_NV12, 64, 64, out);
  EXPECT_NEAR(out[0], 82, 1);  // red in BT.601, limited range: 81.5, 90, 240
  EXPECT_NEAR(out[64 * 64 + 20], 90, 1);
  EXPECT_NEAR(out[64 * 64 + 21], 240, 1);
}

TEST(DrawNv12, RepeatsEachPixelOverItsShareOfTheHeight) {
  std::vector<std::uint8_t> pixels = plain(0, 0, 0);
  for (std::size_t plane = 0; plane < 3; ++plane) pixels[plane * kSide * kSide + 5 * kSide + 7] = 255;
  std::vector<std::uint8_t> out(picture_bytes(TAKT_NV12, 1280, 720));
  draw(pixels, TAKT_NV12, 1280, 720, out);
  const std::size_t middle = (720 * 11 / 64) * 1280 + 280 + 720 * 15 / 64;  // centre of row 5, column 7 of the square
  EXPECT_EQ(out[middle], 235);
  EXPECT_EQ(out[middle - 23], 16);
  EXPECT_EQ(out[middle + 23 * 1280], 16);
}

TEST(DrawRgb, InterleavesThePlanes) {
  std::vector<std::uint8_t> out(picture_bytes(TAKT_RGB, kSide, kSide));
  draw(plain(1, 2, 3), TAKT_RGB, kSide, kSide, out);
  EXPECT_EQ(std::vector<std::uint8_t>(out.begin(), out.begin() + 6), (std::vector<std::uint8_t>{1, 2, 3, 1, 2, 3}));
}

TEST(CanDraw, RefusesWhatItHasNoPictureFor) {
  EXPECT_TRUE(can_draw(TAKT_NV12, 1280, 720));
  EXPECT_TRUE(can_draw(TAKT_RGB, 32, 32));
  EXPECT_FALSE(can_draw(TAKT_RGB, 64, 64));
  EXPECT_FALSE(can_draw(TAKT_NV12, 720, 1280));
  EXPECT_FALSE(can_draw(TAKT_NV12, 1281, 720));
  EXPECT_FALSE(can_draw(TAKT_GRAY, 32, 32));
}

TEST(SampleFile, OfTheRepositoryHasFiveHundredLabelledPictures) {
  std::string error;
  const SampleFile sample = SampleFile::read(TAKT_SOURCE_DIR "/tools/sample/cifar100-test-500.bin", error);
  EXPECT_EQ(error, "");
  ASSERT_EQ(sample.size(), 500U);
  for (std::size_t i = 0; i < sample.size(); ++i) EXPECT_LT(sample.label(i), 100);
}

TEST(SampleFile, ThatIsMissingOrCutSaysSo) {
  std::string error;
  EXPECT_EQ(SampleFile::read(TAKT_SOURCE_DIR "/no/such/file", error).size(), 0U);
  EXPECT_NE(error, "");
}

}  // namespace
}  // namespace demo
