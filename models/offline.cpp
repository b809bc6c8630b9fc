// Jobs made by hand for the segment runner: one slot and one result area each.
#include "offline.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "host/answer.hpp"

namespace takt::models {

Result<std::unique_ptr<Offline>> Offline::open(const Model& model) {
  auto module = load_module(model);
  if (!module) return tl::unexpected(module.error());
  auto bound = BoundModel::bind(model, **module);
  if (!bound) return tl::unexpected(bound.error());
  use_threads(1);
  return std::unique_ptr<Offline>(new Offline(std::move(*module), std::move(*bound)));
}

Offline::Offline(std::unique_ptr<NativeModule> module, BoundModel bound)
    : module_(std::move(module)), bound_(std::move(bound)) {
  for (const Step& step : bound_.steps())
    if (!step.last) slot_values_ = std::max(slot_values_, step.out.values());
  result_bytes_ = align_result(result_size(bound_.model().outputs.front()));
  slots_.resize(slot_values_ * kMaxBatch);
  results_.resize(result_bytes_ * kMaxBatch);
  jobs_.resize(kMaxBatch);
  runner_.reserve(bound_);
}

std::span<JobIo> Offline::jobs(const Step& step, std::span<const TensorView> frames) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    auto* slot = reinterpret_cast<std::byte*>(slots_.data() + i * slot_values_);
    JobIo& job = jobs_[i];
    job = {};
    if (step.first) {
      job.inputs = frames.subspan(i, 1);
    } else {
      job.slot_in = slot;
    }
    if (step.last) {
      job.result = std::span(results_).subspan(i * result_bytes_, result_bytes_);
    } else {
      job.slot_out = slot;
    }
  }
  return std::span(jobs_).first(frames.size());
}

Result<const Step*> Offline::form_for(const TensorView& frame) const {
  const Result<Picture> picture = check_picture(frame);
  if (!picture) return tl::unexpected(picture.error());
  const Step* best = nullptr;
  std::uint64_t least = 0;
  for (const Step& step : bound_.steps()) {
    if (!step.preprocess) continue;
    const Form& form = bound_.model().forms[static_cast<std::size_t>(step.variant->form)];
    const std::uint64_t area = std::uint64_t{form.width} * form.height;
    const bool covers =
        form.format == picture->format && form.width >= picture->width && form.height >= picture->height;
    if (!covers || (best != nullptr && least <= area)) continue;
    best = &step;
    least = area;
  }
  if (best == nullptr) return fail(Code::invalid_argument, "the model has no form that covers the picture");
  return best;
}

// Frames may have different forms, so each is a batch of its own.
Result<void> Offline::preprocess(std::span<const TensorView> frames) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const Result<const Step*> step = form_for(frames[i]);
    if (!step) return tl::unexpected(step.error());
    const std::span<JobIo> all = jobs(**step, frames);
    if (const auto ran = runner_.run(bound_, **step, all.subspan(i, 1)); !ran) return ran;
  }
  return {};
}

Result<std::vector<std::vector<float>>> Offline::run(std::uint32_t subnet, std::span<const TensorView> frames) {
  const Model& model = bound_.model();
  if (subnet >= model.subnets.size()) return fail(Code::not_found, "the model has no such subnet");
  if (frames.empty() || frames.size() > kMaxBatch) return fail(Code::invalid_argument, "a batch has 1 to 16 frames");
  if (model.has_preprocessing())
    if (const auto done = preprocess(frames); !done) return tl::unexpected(done.error());
  for (const VariantId id : model.subnets[subnet].path) {
    const Step* step = bound_.step(&model.variant(id));
    if (const auto ran = runner_.run(bound_, *step, jobs(*step, frames)); !ran) return tl::unexpected(ran.error());
  }
  std::vector<std::vector<float>> outputs(frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    ResultHeader header;
    std::memcpy(&header, jobs_[i].result.data(), sizeof(header));
    outputs[i].resize(header.tensors[0].bytes / sizeof(float));
    std::memcpy(outputs[i].data(), jobs_[i].result.data() + header.tensors[0].offset, header.tensors[0].bytes);
  }
  return outputs;
}

std::size_t top1(std::span<const float> values) noexcept {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

}  // namespace takt::models
