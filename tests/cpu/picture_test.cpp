// Preprocessing against the formulas written down plainly, in double precision and pixel by pixel.
#include "picture/picture.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "cpu/frames.hpp"

namespace takt::models {
namespace {

using test::Frame;

const Normalise kPlain{4, 4, {0, 0, 0}, {1.0F / 255, 1.0F / 255, 1.0F / 255}};  // gives 0..255

Normalise to_size(std::uint32_t width, std::uint32_t height) {
  Normalise to = kPlain;
  to.width = width;
  to.height = height;
  return to;
}

// One channel's samples as a function of (column, row), and how many pixels a sample covers in each direction.
struct Samples {
  std::function<double(std::int64_t, std::int64_t)> at;
  std::int64_t block_x = 1, block_y = 1;
};

std::vector<Samples> samples_of(const Frame& frame) {
  const auto byte = [&frame](std::int64_t at) {
    return static_cast<double>(frame.bytes[static_cast<std::size_t>(at)]);
  };
  const auto stride = static_cast<std::int64_t>(frame.stride);
  const auto height = static_cast<std::int64_t>(frame.height);
  const auto interleaved = [=](std::int64_t offset, std::int64_t step, std::int64_t base = 0) {
    return [=](std::int64_t x, std::int64_t y) { return byte(base + y * stride + x * step + offset); };
  };
  switch (frame.format) {
    case PictureFormat::rgb: return {{interleaved(0, 3)}, {interleaved(1, 3)}, {interleaved(2, 3)}};
    case PictureFormat::gray: return {{interleaved(0, 1)}};
    case PictureFormat::yuyv: return {{interleaved(0, 2)}, {interleaved(1, 4), 2, 1}, {interleaved(3, 4), 2, 1}};
    case PictureFormat::nv12:
      return {
          {interleaved(0, 1)}, {interleaved(0, 2, stride * height), 2, 2}, {interleaved(1, 2, stride * height), 2, 2}};
    case PictureFormat::none: break;
  }
  return {};
}

// Weight of each sample of one axis for one output.
std::vector<std::pair<std::int64_t, double>> weights(std::int64_t begin, std::int64_t length, std::int64_t block,
                                                     std::int64_t outputs, std::int64_t output) {
  const double scale = static_cast<double>(length) / static_cast<double>(outputs);
  std::vector<std::pair<std::int64_t, double>> result;
  if (length >= outputs) {
    const double low = static_cast<double>(begin) + static_cast<double>(output) * scale, high = low + scale;
    for (std::int64_t pixel = begin; pixel < begin + length; ++pixel) {
      const double covered = std::min(high, static_cast<double>(pixel + 1)) - std::max(low, static_cast<double>(pixel));
      if (covered > 0) result.emplace_back(pixel / block, covered / scale);
    }
    return result;
  }
  const double centre = static_cast<double>(begin) + (static_cast<double>(output) + 0.5) * scale;
  const double position = std::clamp(centre / static_cast<double>(block) - 0.5, static_cast<double>(begin / block),
                                     static_cast<double>((begin + length - 1) / block));
  const double floor = std::floor(position);
  result.emplace_back(static_cast<std::int64_t>(floor), 1 - (position - floor));
  if (position > floor) result.emplace_back(static_cast<std::int64_t>(floor) + 1, position - floor);
  return result;
}

std::array<double, 3> colour(PictureFormat format, const std::array<double, 3>& v) {
  if (format == PictureFormat::rgb) return v;
  if (format == PictureFormat::gray) return {v[0], v[0], v[0]};
  // ITU-R BT.601: Kr 0.299, Kb 0.114; Y in 16..235, Cb and Cr in 16..240.
  const double y = (v[0] - 16) / 219, cb = (v[1] - 128) / 224, cr = (v[2] - 128) / 224;
  const double red = y + 2 * (1 - 0.299) * cr, blue = y + 2 * (1 - 0.114) * cb;
  const double green = (y - 0.299 * red - 0.114 * blue) / 0.587;
  return {std::clamp(red, 0.0, 1.0) * 255, std::clamp(green, 0.0, 1.0) * 255, std::clamp(blue, 0.0, 1.0) * 255};
}

std::vector<double> reference(const Frame& frame, const Picture& picture, const Normalise& to) {
  const std::vector<Samples> channels = samples_of(frame);
  std::vector<double> out;
  for (std::uint32_t row = 0; row < to.height; ++row)
    for (std::uint32_t column = 0; column < to.width; ++column) {
      std::array<double, 3> mean{};
      for (std::size_t c = 0; c < channels.size(); ++c)
        for (const auto& [y, wy] : weights(picture.crop_y, picture.crop_height, channels[c].block_y, to.height, row))
          for (const auto& [x, wx] : weights(picture.crop_x, picture.crop_width, channels[c].block_x, to.width, column))
            mean[c] += wx * wy * channels[c].at(x, y);
      const auto rgb = colour(frame.format, mean);
      for (std::size_t c = 0; c < 3; ++c)
        out.push_back((rgb[c] / 255 - static_cast<double>(to.mean[c])) / static_cast<double>(to.deviation[c]));
    }
  return out;
}

std::vector<float> preprocess(const Frame& frame, const Normalise& to) {
  Preprocessor preprocessor;
  const auto picture = check_picture(frame.view());
  EXPECT_TRUE(picture) << picture.error().text;
  std::vector<float> out(std::size_t{3} * to.width * to.height, -1);
  if (picture) {
    const auto done = preprocessor.run(*picture, to, out);
    EXPECT_TRUE(done) << done.error().text;
  }
  return out;
}

void expect_like_reference(const Frame& frame, const Normalise& to) {
  const auto picture = check_picture(frame.view());
  ASSERT_TRUE(picture) << picture.error().text;
  const std::vector<float> got = preprocess(frame, to);
  const std::vector<double> want = reference(frame, *picture, to);
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(static_cast<double>(got[i]), want[i], 2e-5 / static_cast<double>(to.deviation[i % 3]))
        << "value " << i << " of " << frame.width << "x" << frame.height << " format "
        << static_cast<int>(frame.format);
}

constexpr std::array kFormats{PictureFormat::rgb, PictureFormat::nv12, PictureFormat::yuyv, PictureFormat::gray};

TEST(Preprocessing, EqualsThePlainFormulasForEveryFormatSizeAndCrop) {
  std::mt19937 random(1);
  const auto up_to = [&random](std::uint32_t most) { return 1 + static_cast<std::uint32_t>(random() % most); };
  for (const PictureFormat format : kFormats)
    for (int round = 0; round < 60; ++round) {
      Frame frame(format, 2 * up_to(40), 2 * up_to(40), random() % 3 == 0 ? up_to(17) : 0);
      frame.fill_random(random);
      if (round % 2 == 0) {
        const std::uint32_t x = up_to(frame.width) - 1, y = up_to(frame.height) - 1;
        frame.desc.crop = {x, y, up_to(frame.width - x), up_to(frame.height - y)};
      }
      Normalise to = to_size(up_to(48), up_to(48));
      to.mean = {0.5F, 0.25F, 0.1F};
      to.deviation = {0.25F, 0.5F, 1.0F};
      expect_like_reference(frame, to);
      if (HasFatalFailure()) return;
    }
}

TEST(Preprocessing, LeavesAPictureOfTheRightSizeAsItIs) {
  std::mt19937 random(2);
  Frame frame(PictureFormat::rgb, 32, 32);
  frame.fill_random(random);
  const std::vector<float> got = preprocess(frame, to_size(32, 32));
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_FLOAT_EQ(got[i], static_cast<float>(frame.bytes[i]));
}

TEST(Preprocessing, GivesTheSamePictureWhateverTheStride) {
  std::mt19937 random(3);
  for (const PictureFormat format : kFormats) {
    Frame packed(format, 38, 26), padded(format, 38, 26, 29);
    packed.fill_random(random);
    padded.fill_random(random);
    const std::size_t rows = packed.bytes.size() / packed.stride;
    for (std::size_t row = 0; row < rows; ++row)
      std::memcpy(padded.bytes.data() + row * padded.stride, packed.bytes.data() + row * packed.stride, packed.stride);
    EXPECT_EQ(preprocess(packed, to_size(7, 9)), preprocess(padded, to_size(7, 9)));
  }
}

TEST(Preprocessing, ClampsColoursThatNoScreenCanShow) {
  for (const auto& [y, cb, cr] : {std::array<int, 3>{0, 0, 0},
                                  {255, 255, 255},
                                  {0, 255, 255},
                                  {255, 0, 0},
                                  {16, 128, 128},
                                  {235, 128, 128},
                                  {235, 240, 16},
                                  {255, 128, 255},
                                  {0, 128, 0}}) {
    Frame frame(PictureFormat::nv12, 8, 8);
    std::fill_n(frame.bytes.begin(), 64, static_cast<std::uint8_t>(y));
    for (std::size_t i = 64; i < frame.bytes.size(); i += 2) {
      frame.bytes[i] = static_cast<std::uint8_t>(cb);
      frame.bytes[i + 1] = static_cast<std::uint8_t>(cr);
    }
    expect_like_reference(frame, kPlain);
    for (const float value : preprocess(frame, kPlain)) EXPECT_TRUE(value >= 0 && value <= 255.001F);
  }
}

TEST(Preprocessing, MapsVideoBlackAndWhiteToTheEnds) {
  Frame frame(PictureFormat::yuyv, 4, 4);
  for (const auto& [luma, want] : {std::pair{16, 0.0F}, std::pair{235, 255.0F}}) {
    for (std::size_t i = 0; i < frame.bytes.size(); i += 2) {
      frame.bytes[i] = static_cast<std::uint8_t>(luma);
      frame.bytes[i + 1] = 128;
    }
    for (const float value : preprocess(frame, kPlain)) EXPECT_NEAR(value, want, 1e-3F);
  }
}

TEST(Preprocessing, ReducesTheLargestPictureWithoutOverflow) {
  for (const PictureFormat format : kFormats) {
    Frame frame(format, 4096, 4096);
    std::fill(frame.bytes.begin(), frame.bytes.end(), std::uint8_t{255});
    if (format == PictureFormat::rgb || format == PictureFormat::gray) {
      for (const float value : preprocess(frame, to_size(1, 1))) EXPECT_FLOAT_EQ(value, 255);
      for (const float value : preprocess(frame, to_size(33, 31))) EXPECT_FLOAT_EQ(value, 255);
    } else {
      const auto white = colour(format, {255, 255, 255});
      const auto got = preprocess(frame, to_size(3, 2));
      for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(static_cast<double>(got[i]), white[i % 3], 1e-3);
    }
  }
}

TEST(Preprocessing, HandlesA4KCameraFrame) {
  std::mt19937 random(4);
  Frame frame(PictureFormat::nv12, 3840, 2160, 256);
  frame.fill_random(random);
  expect_like_reference(frame, to_size(32, 32));
}

TEST(Preprocessing, ReadsASinglePixel) {
  Frame frame(PictureFormat::rgb, 1, 1);
  frame.bytes = {10, 20, 30};
  const std::vector<float> got = preprocess(frame, to_size(5, 3));
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_FLOAT_EQ(got[i], static_cast<float>(10 * (i % 3 + 1)));
  Frame video(PictureFormat::nv12, 2, 2);
  video.desc.crop = {1, 1, 1, 1};
  video.bytes = {50, 60, 70, 200, 128, 128};
  for (const float value : preprocess(video, to_size(4, 4))) EXPECT_NEAR(value, 255 * (200 - 16) / 219.0F, 1e-3F);
}

TEST(Preprocessing, TakesTheLargestCentredSquareWhenNoCropIsNamed) {
  Frame frame(PictureFormat::gray, 11, 4);
  for (std::size_t i = 0; i < frame.bytes.size(); ++i) frame.bytes[i] = static_cast<std::uint8_t>(i % 11);
  const std::vector<float> got = preprocess(frame, to_size(4, 4));
  for (std::size_t x = 0; x < 4; ++x) EXPECT_FLOAT_EQ(got[3 * x], static_cast<float>(x + 3));
}

TEST(Preprocessing, RefusesSizesItHasNoRoomFor) {
  Frame frame(PictureFormat::gray, 8, 8);
  const auto picture = check_picture(frame.view());
  ASSERT_TRUE(picture);
  Preprocessor preprocessor;
  std::vector<float> out(48);
  EXPECT_TRUE(preprocessor.run(*picture, to_size(4, 4), out));
  for (const Normalise& to : {to_size(0, 4), to_size(4, 0), to_size(1025, 4), to_size(4, 1025), to_size(4, 5)})
    EXPECT_FALSE(preprocessor.run(*picture, to, out));
}

TEST(PictureDescription, IsBelievedOnlyWhereItFitsItsMemory) {
  const auto refused = [](const std::function<void(TensorDesc&)>& spoil, PictureFormat format = PictureFormat::nv12) {
    Frame frame(format, 16, 8);
    EXPECT_TRUE(check_picture(frame.view()));
    spoil(frame.desc);
    const auto picture = check_picture(frame.view());
    EXPECT_TRUE(picture || std::strlen(picture.error().text) > 10);
    return !picture && picture.error().code == Code::invalid_argument;
  };
  EXPECT_TRUE(refused([](TensorDesc& d) { d.format = PictureFormat::none; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.format = static_cast<PictureFormat>(9); }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.dtype = DType::f32; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.rank = 3; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.dims[0] = 0; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.dims[1] = 0; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.dims[1] = 15; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.dims[0] = 7; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.dims[0] = 10; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.dims[0] = 0xfffffffe; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.dims[1] = 4098; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.strides[0] = 15; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.strides[0] = 17; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.strides[0] = 0xffffffff; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.bytes -= 1; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.crop = {0, 0, 0, 8}; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.crop = {1, 0, 16, 8}; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.crop = {0, 1, 16, 8}; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.crop = {0xffffffff, 0, 2, 2}; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.crop = {2, 0, 0xffffffff, 2}; }));
  EXPECT_TRUE(refused([](TensorDesc& d) { d.dims[1] = 17; }, PictureFormat::yuyv));
  EXPECT_FALSE(refused([](TensorDesc& d) { d.dims[0] = 7; }, PictureFormat::yuyv));
}

TEST(PictureDescription, NeedsNoPaddingAfterTheLastRow) {
  Frame frame(PictureFormat::rgb, 5, 4, 7);
  frame.desc.bytes = 3 * frame.stride + 15;
  EXPECT_TRUE(check_picture(frame.view()));
  frame.desc.bytes -= 1;
  EXPECT_FALSE(check_picture(frame.view()));
}

}  // namespace
}  // namespace takt::models
