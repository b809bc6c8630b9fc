// Everything that could be wrong between model.xml and the weights is found here, at load.
#include "host/bound_model.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "picture/picture.hpp"

namespace takt::models {

Result<BoundModel> BoundModel::bind(const Model& model, const NativeModule& module) {
  const std::size_t preprocessing = model.has_preprocessing() ? 1 : 0;
  if (model.inputs.size() != 1 || model.outputs.size() != 1)
    return fail(Code::invalid_argument, "a native model has one input and one output");
  if (model.segments.size() != preprocessing + static_cast<std::size_t>(module.segments()))
    return fail(Code::invalid_argument, "model.xml has not as many segments as the network");
  BoundModel bound(model, module);
  for (const Variant& variant : model.variants) {
    Result<Step> step = bound.make_step(variant);
    if (!step) return tl::unexpected(step.error());
    bound.steps_.push_back(*step);
  }
  return bound;
}

Result<Step> BoundModel::make_step(const Variant& variant) const {
  Step step{.variant = &variant, .first = variant.segment == 0};
  step.last = variant.segment + std::size_t{1} == model_->segments.size();
  step.preprocess = model_->has_preprocessing() && step.first;
  if (step.preprocess) {
    if (variant.form < 0 || static_cast<std::size_t>(variant.form) >= model_->forms.size())
      return fail(Code::invalid_argument, "a preprocessing variant has no form");
    step.out = {3, model_->normalise.height, model_->normalise.width};
  } else {
    const Result<Piece> piece = module_->find(*model_, variant);
    if (!piece) return tl::unexpected(piece.error());
    step.piece = *piece;
    step.in = module_->shape_in(*piece);
    step.out = module_->shape_out(*piece);
  }
  if (step.piece.segment == 0 && !step.preprocess)
    if (const auto fits = check_input(step.in); !fits) return tl::unexpected(fits.error());
  if (step.last)
    if (const auto fits = check_output(step.out); !fits) return tl::unexpected(fits.error());
  if (!step.last && step.out.bytes() > variant.activation_bytes)
    return fail(Code::invalid_argument, "activation_bytes in model.xml is less than a segment's activation needs");
  return step;
}

Result<void> BoundModel::check_input(const FrameShape& shape) const {
  if (!model_->has_preprocessing()) {
    const TensorSpec& input = model_->inputs.front();
    const std::vector<std::uint32_t> hwc{static_cast<std::uint32_t>(shape.height),
                                         static_cast<std::uint32_t>(shape.width),
                                         static_cast<std::uint32_t>(shape.channels)};
    if (input.dtype != DType::f32 || input.dims != hwc)
      return fail(Code::invalid_argument, "the input in model.xml is not f32 with the network's height width channels");
    return {};
  }
  const Normalise& to = model_->normalise;
  if (to.width > kMaxInputSide || to.height > kMaxInputSide || FrameShape{3, to.height, to.width} != shape)
    return fail(Code::invalid_argument, "<normalise> makes another size than the network takes");
  for (std::size_t c = 0; c < 3; ++c)
    if (!std::isfinite(to.mean[c]) || !std::isfinite(to.deviation[c]) || to.deviation[c] <= 0)
      return fail(Code::invalid_argument, "<normalise> needs finite means and deviations over 0");
  return {};
}

Result<void> BoundModel::check_output(const FrameShape& shape) const {
  const TensorSpec& output = model_->outputs.front();
  std::size_t values = 1;
  for (const std::uint32_t d : output.dims) values *= d;
  if (output.dtype != DType::f32 || output.dims.empty() || output.dims.size() > kMaxRank || values != shape.values())
    return fail(Code::invalid_argument, "the output in model.xml is not f32 with as many values as the network's");
  return {};
}

const Step* BoundModel::step(const Variant* variant) const noexcept {
  const Variant* begin = model_->variants.data();
  // std::less orders any two pointers; plain < only those into one array.
  if (std::less<>{}(variant, begin) || !std::less<>{}(variant, begin + steps_.size())) return nullptr;
  return &steps_[static_cast<std::size_t>(variant - begin)];
}

std::size_t BoundModel::largest_input() const noexcept {
  std::size_t largest = 0;
  for (const Step& step : steps_) largest = std::max(largest, step.in.values());
  return largest;
}

}  // namespace takt::models
