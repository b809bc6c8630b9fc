// Pictures into network inputs: what the bytes of each format mean, and the arithmetic on colours.
#include "picture/picture.hpp"

#include <algorithm>
#include <array>

#include "picture/sums.hpp"

namespace takt::models {
namespace {

// Where one channel's samples lie in a row of bytes of its plane.
struct Channel {
  std::size_t offset, step;
  bool chroma_columns;  // one sample for two columns
};

struct Plane {
  bool chroma_rows;  // one row for two of the picture, after the rows of the first plane
  std::size_t first_channel, channels;
};

struct Layout {
  std::size_t bytes, pixels;  // `bytes` of a row hold `pixels`, in each plane
  std::size_t planes;
  std::array<Plane, 2> plane;
  std::array<Channel, 3> channel;
};

// In the order of PictureFormat, from rgb on.
constexpr std::array<Layout, 4> kLayouts{{
    {3, 1, 1, {{{false, 0, 3}, {}}}, {{{0, 3, false}, {1, 3, false}, {2, 3, false}}}},
    {2, 2, 2, {{{false, 0, 1}, {true, 1, 2}}}, {{{0, 1, false}, {0, 2, true}, {1, 2, true}}}},
    {4, 2, 1, {{{false, 0, 3}, {}}}, {{{0, 2, false}, {1, 4, true}, {3, 4, true}}}},
    {1, 1, 1, {{{false, 0, 1}, {}}}, {{{0, 1, false}, {}, {}}}},
}};

const Layout& layout_of(PictureFormat format) noexcept {
  return kLayouts[static_cast<std::size_t>(format) - 1];
}

Result<void> place_crop(const std::array<std::uint32_t, 4>& crop, Picture& picture) noexcept {
  if (crop == std::array<std::uint32_t, 4>{}) {
    const std::uint32_t side = std::min(picture.width, picture.height);
    picture.crop_x = (picture.width - side) / 2;
    picture.crop_y = (picture.height - side) / 2;
    picture.crop_width = picture.crop_height = side;
    return {};
  }
  const auto [x, y, width, height] = crop;
  if (width == 0 || height == 0) return fail(Code::invalid_argument, "picture: the crop is empty");
  if (x > picture.width || width > picture.width - x || y > picture.height || height > picture.height - y)
    return fail(Code::invalid_argument, "picture: the crop leaves the picture");
  picture.crop_x = x;
  picture.crop_y = y;
  picture.crop_width = width;
  picture.crop_height = height;
  return {};
}

struct Rgb {
  float red, green, blue;
};

float clamp_to_byte(float value) noexcept {
  return std::min(std::max(value, 0.0F), 255.0F);
}

// BT.601, limited range; channels are means of bytes.
Rgb from_ycbcr(float y, float cb, float cr) noexcept {
  const float luma = 1.16438356F * (y - 16.0F);
  const float u = cb - 128.0F, v = cr - 128.0F;
  return {clamp_to_byte(luma + 1.59602679F * v), clamp_to_byte(luma - 0.39176229F * u - 0.81296765F * v),
          clamp_to_byte(luma + 2.01723214F * u)};
}

Rgb colour_of(PictureFormat format, float first, float second, float third) noexcept {
  switch (format) {
    case PictureFormat::nv12:
    case PictureFormat::yuyv: return from_ycbcr(first, second, third);
    case PictureFormat::gray: return {first, first, first};
    case PictureFormat::rgb:
    case PictureFormat::none: break;
  }
  return {first, second, third};
}

}  // namespace

Result<Picture> check_picture(const TensorView& view) noexcept {
  if (view.desc == nullptr || view.data == nullptr) return fail(Code::invalid_argument, "picture: there is none");
  const TensorDesc desc = *view.desc;
  if (desc.format < PictureFormat::rgb || desc.format > PictureFormat::gray || desc.dtype != DType::u8 ||
      desc.rank != 2)
    return fail(Code::invalid_argument, "picture: not u8 of rank 2 in RGB, NV12, YUYV or GRAY");
  Picture picture{.format = desc.format, .width = desc.dims[1], .height = desc.dims[0]};
  if (picture.width == 0 || picture.width > kMaxPictureWidth || picture.height == 0 ||
      picture.height > kMaxPictureHeight)
    return fail(Code::invalid_argument, "picture: width and height go from 1 to 4096");
  if (picture_bytes(picture.format, picture.width, picture.height) == 0)
    return fail(Code::invalid_argument, "picture: NV12 and YUYV need an even width, NV12 an even height");
  const Layout& layout = layout_of(picture.format);
  const std::size_t row = picture.width / layout.pixels * layout.bytes;
  const std::size_t rows = picture.height + (layout.planes == 2 ? picture.height / 2 : 0);
  picture.stride = desc.strides[0] == 0 ? row : desc.strides[0];
  if (picture.stride < row) return fail(Code::invalid_argument, "picture: the stride is shorter than a row");
  if (picture.stride * (rows - 1) + row > desc.bytes)
    return fail(Code::invalid_argument, "picture: its rows go beyond its memory");
  picture.pixels = reinterpret_cast<const std::uint8_t*>(view.data);
  if (const auto placed = place_crop(desc.crop, picture); !placed) return tl::unexpected(placed.error());
  return picture;
}

Preprocessor::Preprocessor()
    : taps_(std::size_t{4} * kMaxInputSide),
      rows_(std::size_t{3} * kMaxPictureWidth),
      scratch_(rows_.size()),
      channels_(std::size_t{3} * kMaxInputSide) {}

Preprocessor::Axes Preprocessor::plan(const Picture& picture, const Normalise& to) noexcept {
  const std::span<Tap> all(taps_);
  Axes axes;
  for (std::uint32_t chroma = 0; chroma < 2; ++chroma) {
    axes.x[chroma] = make_taps(picture.crop_x, picture.crop_width, 1 + chroma,
                               all.subspan(std::size_t{chroma} * kMaxInputSide, to.width));
    axes.y[chroma] = make_taps(picture.crop_y, picture.crop_height, 1 + chroma,
                               all.subspan(std::size_t{2 + chroma} * kMaxInputSide, to.height));
  }
  return axes;
}

// One output row of every channel: first down the columns, over all bytes that any channel needs, then along the row.
void Preprocessor::sum_row(const Picture& picture, const Axes& axes, std::size_t row) noexcept {
  const Layout& layout = layout_of(picture.format);
  const std::size_t left = picture.crop_x / layout.pixels;
  const std::size_t right = (picture.crop_x + picture.crop_width - 1) / layout.pixels + 1;
  const std::size_t begin = left * layout.bytes, size = (right - left) * layout.bytes;
  const std::uint8_t* plane_start = picture.pixels;
  for (std::size_t p = 0; p < layout.planes; ++p, plane_start += picture.stride * picture.height) {
    const Plane& plane = layout.plane[p];
    const AxisTaps& y = axes.y[plane.chroma_rows ? 1 : 0];
    sum_rows(plane_start + begin, picture.stride, y.taps[row], y.inner, std::span(rows_).subspan(begin, size),
             std::span(scratch_).first(size));
    for (std::size_t c = plane.first_channel; c < plane.first_channel + plane.channels; ++c) {
      const Channel& channel = layout.channel[c];
      const AxisTaps& x = axes.x[channel.chroma_columns ? 1 : 0];
      const auto total = static_cast<float>(x.total * y.total);
      float* out = channels_.data() + c * kMaxInputSide;
      for (const Tap& tap : x.taps)
        *out++ = static_cast<float>(sum_columns(rows_.data() + channel.offset, channel.step, tap, x.inner)) / total;
    }
  }
}

Result<void> Preprocessor::run(const Picture& picture, const Normalise& to, std::span<float> out) noexcept {
  if (to.width == 0 || to.width > kMaxInputSide || to.height == 0 || to.height > kMaxInputSide)
    return fail(Code::invalid_argument, "preprocessing: width and height of the input go from 1 to 1024");
  if (out.size() != std::size_t{3} * to.width * to.height)
    return fail(Code::invalid_argument, "preprocessing: the place for the input has the wrong size");
  std::array<float, 3> scale{}, shift{};
  for (std::size_t c = 0; c < 3; ++c) {
    scale[c] = 1.0F / (255.0F * to.deviation[c]);
    shift[c] = -to.mean[c] / to.deviation[c];
  }
  const Axes axes = plan(picture, to);
  const float* first = channels_.data();
  const float* second = first + kMaxInputSide;
  const float* third = second + kMaxInputSide;
  float* value = out.data();
  for (std::size_t row = 0; row < to.height; ++row) {
    sum_row(picture, axes, row);
    for (std::size_t x = 0; x < to.width; ++x) {
      const Rgb rgb = colour_of(picture.format, first[x], second[x], third[x]);
      *value++ = rgb.red * scale[0] + shift[0];
      *value++ = rgb.green * scale[1] + shift[1];
      *value++ = rgb.blue * scale[2] + shift[2];
    }
  }
  return {};
}

}  // namespace takt::models
