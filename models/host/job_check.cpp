// Clients' inputs may lie anywhere and say anything.
#include "host/job_check.hpp"

#include <algorithm>

#include "host/answer.hpp"

namespace takt::models {
namespace {

bool is_packed(const TensorDesc& desc) noexcept {
  if (std::all_of(desc.strides.begin(), desc.strides.end(), [](std::uint32_t s) { return s == 0; })) return true;
  std::uint64_t stride = bytes_of(desc.dtype);
  for (std::size_t i = desc.rank; i-- > 0; stride *= desc.dims[i])
    if (desc.strides[i] != stride) return false;
  return true;
}

// Exactly the shape that the network takes, since there is no other part of it to look at.
bool is_network_input(const TensorView& view, const FrameShape& shape) noexcept {
  if (view.desc == nullptr || view.data == nullptr) return false;
  const TensorDesc desc = *view.desc;
  return desc.dtype == DType::f32 && desc.format == PictureFormat::none && desc.rank == 3 &&
         desc.dims[0] == shape.height && desc.dims[1] == shape.width && desc.dims[2] == shape.channels &&
         desc.bytes >= shape.bytes() && is_packed(desc);
}

}  // namespace

Result<void> check_tensor_input(const Step& step, const JobIo& job) noexcept {
  if (job.inputs.size() != 1) return fail(Code::invalid_argument, "a job of this model has one input");
  if (!is_network_input(job.inputs[0], step.in))
    return fail(Code::invalid_argument, "the input is no packed f32 tensor of the network's height width channels");
  return {};
}

Result<Picture> picture_input(const BoundModel& bound, const Step& step, const JobIo& job) noexcept {
  if (job.inputs.size() != 1) return fail(Code::invalid_argument, "a job of this model has one input");
  const Result<Picture> picture = check_picture(job.inputs[0]);
  if (!picture) return picture;
  const Form& form = bound.model().forms[static_cast<std::size_t>(step.variant->form)];
  if (picture->format != form.format || picture->width > form.width || picture->height > form.height)
    return fail(Code::invalid_argument, "picture: the form it was sent as does not cover it");
  return picture;
}

Result<void> check_result_area(const BoundModel& bound, const JobIo& job) noexcept {
  if (job.result.size() < result_size(bound.model().outputs.front()))
    return fail(Code::invalid_argument, "a job's result area is too small");
  return {};
}

}  // namespace takt::models
