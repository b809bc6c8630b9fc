// Operators of segments; preprocessing as matrix products (pictures.hpp).
#include "cuda/segments.hpp"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <array>

namespace takt::cuda {
namespace {

// BT.601, limited range, as in models/picture: rows are red, green, blue of Y' - 16, Cb - 128, Cr - 128.
constexpr std::array<float, 9> kColour{
    1.16438356F, 0, 1.59602679F, 1.16438356F, -0.39176229F, -0.81296765F, 1.16438356F, 2.01723214F, 0};
constexpr std::array<float, 3> kColourOffset{16, 128, 128};

at::Tensor floats(std::span<const float> values, at::IntArrayRef shape, at::Device device) {
  return at::tensor(at::ArrayRef<float>(values.data(), values.size())).view(shape).to(device);
}

at::Tensor over(const void* memory, at::IntArrayRef shape, at::ScalarType type, at::Device device) {
  return at::from_blob(const_cast<void*>(memory), shape, at::TensorOptions().dtype(type).device(device));
}

// [outputs, samples] matrices one behind the other.
class Matrices {
 public:
  Matrices(const void* memory, at::Device device) : at_(static_cast<const float*>(memory)), device_(device) {}
  at::Tensor next(std::int64_t outputs, std::int64_t samples) {
    at::Tensor matrix = over(at_, {outputs, samples}, at::kFloat, device_);
    at_ += outputs * samples;
    return matrix;
  }

 private:
  const float* at_;
  at::Device device_;
};

}  // namespace

TorchModel::TorchModel(const models::BoundModel& bound, at::Device device, Precision precision)
    : bound_(bound),
      device_(device),
      type_(precision == Precision::half ? at::kHalf : at::kFloat),
      module_(bound.module().to(device, type_)) {
  colour_ = floats(kColour, {3, 3}, device).t().contiguous();
  colour_offset_ = floats(kColourOffset, {3}, device);
  const Normalise& to = bound.model().normalise;
  std::array<float, 3> scale{}, shift{};
  for (std::size_t c = 0; c < 3; ++c) {
    scale[c] = to.deviation[c] > 0 ? 1.0F / (255.0F * to.deviation[c]) : 0;
    shift[c] = to.deviation[c] > 0 ? -to.mean[c] / to.deviation[c] : 0;
  }
  scale_ = floats(scale, {3}, device);
  shift_ = floats(shift, {3}, device);
}

PicturePlan TorchModel::plan_of(const models::Step& step) const noexcept {
  const Model& model = bound_.model();
  return PicturePlan::of(model.forms[static_cast<std::size_t>(step.variant->form)], model.normalise);
}

std::size_t TorchModel::bytes_in(const models::Step& step) const noexcept {
  if (step.preprocess) return plan_of(step).bytes();
  return step.in.values() * (step.first ? sizeof(float) : c10::elementSize(type_));
}

std::size_t TorchModel::bytes_out(const models::Step& step) const noexcept {
  return step.out.values() * (step.last ? sizeof(float) : c10::elementSize(type_));
}

at::Tensor TorchModel::forward(const models::Step& step, std::size_t batch, void* in, const void* taps) const {
  if (step.preprocess) {
    TAKT_CHECK(batch == 1);
    return preprocess(step, in, taps);
  }
  const auto n = static_cast<std::int64_t>(batch);
  const models::FrameShape& shape = step.in;
  const at::ScalarType given = step.first ? at::kFloat : type_;
  const at::Tensor input =
      over(in, {n, shape.height, shape.width, shape.channels}, given, device_).permute({0, 3, 1, 2}).to(type_);
  const at::Tensor output = module_->run(step.piece, input);
  if (step.last) return output.to(at::kFloat).contiguous();
  return output.contiguous(at::MemoryFormat::ChannelsLast);
}

// Rows first, over all bytes of a plane at once; then each channel's columns.
at::Tensor TorchModel::preprocess(const models::Step& step, void* in, const void* taps) const {
  const PicturePlan plan = plan_of(step);
  const std::int64_t height = plan.height, width = plan.width, rows = plan.out_height, columns = plan.out_width;
  const std::int64_t row_bytes = static_cast<std::int64_t>(plan.row_bytes());
  Matrices next(taps, device_);
  const at::Tensor down = next.next(rows, height), down_chroma = next.next(rows, plan.chroma_height);
  const at::Tensor across = next.next(columns, width).t(), across_chroma = next.next(columns, plan.chroma_width).t();
  const at::Tensor picture =
      over(in, {static_cast<std::int64_t>(plan.rows()), row_bytes}, at::kByte, device_).to(at::kFloat);
  const at::Tensor first = at::mm(down, picture.narrow(0, 0, height));
  // Channel c of `size` interleaved ones, one sample for `pixels` pixels.
  const auto channel = [&](const at::Tensor& plane, std::int64_t c, std::int64_t size, bool chroma) {
    return at::mm(plane.view({rows, -1, size}).select(2, c), chroma ? across_chroma : across);
  };
  switch (plan.format) {
    case PictureFormat::rgb:
      return normalise(
          plan, at::stack({channel(first, 0, 3, false), channel(first, 1, 3, false), channel(first, 2, 3, false)}, 2));
    case PictureFormat::gray: {
      const at::Tensor light = channel(first, 0, 1, false);
      return normalise(plan, at::stack({light, light, light}, 2));
    }
    case PictureFormat::yuyv:
      return normalise(
          plan, at::stack({channel(first, 0, 2, false), channel(first, 1, 4, true), channel(first, 3, 4, true)}, 2));
    case PictureFormat::nv12:
    case PictureFormat::none: break;
  }
  const at::Tensor second = at::mm(down_chroma, picture.narrow(0, height, plan.chroma_height));
  return normalise(
      plan, at::stack({channel(first, 0, 1, false), channel(second, 0, 2, true), channel(second, 1, 2, true)}, 2));
}

// [rows, columns, 3] means of bytes, to the network's input.
at::Tensor TorchModel::normalise(const PicturePlan& plan, const at::Tensor& channels) const {
  at::Tensor values = channels.reshape({-1, 3});
  if (plan.format == PictureFormat::nv12 || plan.format == PictureFormat::yuyv)
    values = at::mm(values.sub(colour_offset_), colour_).clamp_(0, 255);
  return values.mul(scale_).add_(shift_).to(type_);
}

}  // namespace takt::cuda
