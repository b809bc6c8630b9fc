// Matrices of weights out of taps.
#include "cuda/pictures.hpp"

#include <algorithm>
#include <vector>

#include "picture/taps.hpp"

namespace takt::cuda {
namespace {

// One axis: `outputs` rows of `samples` weights each.
void fill_axis(std::uint32_t begin, std::uint32_t length, std::uint32_t block, std::uint32_t outputs,
               std::uint32_t samples, float* matrix) {
  std::vector<models::Tap> taps(outputs);
  const models::AxisTaps axis = models::make_taps(begin, length, block, taps);
  std::fill_n(matrix, std::size_t{outputs} * samples, 0.0F);
  const auto part = [&](std::uint32_t weight) { return static_cast<float>(weight) / static_cast<float>(axis.total); };
  for (const models::Tap& tap : axis.taps) {
    for (std::uint32_t i = 0; i < tap.count; ++i)
      matrix[tap.begin + i] = part(i == 0 ? tap.first : i + 1 == tap.count ? tap.last : axis.inner);
    matrix += samples;
  }
}

}  // namespace

PicturePlan PicturePlan::of(const Form& form, const Normalise& to) noexcept {
  PicturePlan plan{.format = form.format,
                   .width = form.width,
                   .height = form.height,
                   .out_width = to.width,
                   .out_height = to.height};
  if (form.format == PictureFormat::nv12 || form.format == PictureFormat::yuyv) plan.chroma_width = form.width / 2;
  if (form.format == PictureFormat::nv12) plan.chroma_height = form.height / 2;
  return plan;
}

std::size_t PicturePlan::row_bytes() const noexcept {
  switch (format) {
    case PictureFormat::rgb: return std::size_t{3} * width;
    case PictureFormat::yuyv: return std::size_t{2} * width;
    case PictureFormat::nv12:
    case PictureFormat::gray: return width;
    case PictureFormat::none: break;
  }
  return 0;
}

std::size_t PicturePlan::rows() const noexcept {
  return std::size_t{height} + chroma_height;
}

PictureGeometry geometry_of(const models::Picture& p) noexcept {
  return {p.width, p.height, p.crop_x, p.crop_y, p.crop_width, p.crop_height};
}

void fill_taps(const PicturePlan& plan, const PictureGeometry& g, std::span<float> taps) {
  float* at = taps.data();
  fill_axis(g.crop_y, g.crop_height, 1, plan.out_height, plan.height, at);
  at += std::size_t{plan.out_height} * plan.height;
  if (plan.chroma_height > 0) fill_axis(g.crop_y, g.crop_height, 2, plan.out_height, plan.chroma_height, at);
  at += std::size_t{plan.out_height} * plan.chroma_height;
  fill_axis(g.crop_x, g.crop_width, 1, plan.out_width, plan.width, at);
  at += std::size_t{plan.out_width} * plan.width;
  if (plan.chroma_width > 0) fill_axis(g.crop_x, g.crop_width, 2, plan.out_width, plan.chroma_width, at);
}

}  // namespace takt::cuda
