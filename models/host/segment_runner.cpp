// The only place where job memory and tensors meet.
#include "host/segment_runner.hpp"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <utility>

#include "host/answer.hpp"
#include "host/job_check.hpp"

namespace takt::models {
namespace {

const std::byte* frame_of(const Step& step, const JobIo& job) noexcept {
  return step.first ? job.inputs[0].data : job.slot_in;
}

// Slots always are, a client's tensor may lie anywhere.
bool is_aligned(const std::byte* values) noexcept {
  return reinterpret_cast<std::uintptr_t>(values) % alignof(float) == 0;
}

Result<void> check_job(const BoundModel& bound, const Step& step, const JobIo& job) noexcept {
  if (step.first && !step.preprocess)
    if (const auto fits = check_tensor_input(step, job); !fits) return fits;
  if (!step.first && job.slot_in == nullptr) return fail(Code::invalid_argument, "a job has no activation to read");
  if (!step.last && job.slot_out == nullptr)
    return fail(Code::invalid_argument, "a job has no slot for its activation");
  return step.last ? check_result_area(bound, job) : Result<void>{};
}

// Channels-last over memory in HWC order. Not const: libtorch knows no tensors over constant memory.
at::Tensor as_batch(const float* values, const FrameShape& shape, std::size_t count) {
  return at::from_blob(const_cast<float*>(values),
                       {static_cast<std::int64_t>(count), shape.channels, shape.height, shape.width},
                       {shape.channels * shape.height * shape.width, 1, shape.width * shape.channels, shape.channels},
                       at::TensorOptions().dtype(at::kFloat));
}

void scatter(const BoundModel& bound, const Step& step, const at::Tensor& output, std::span<const JobIo> jobs) {
  const at::Tensor values = output.dim() == 4 ? output.contiguous(at::MemoryFormat::ChannelsLast) : output.contiguous();
  TAKT_CHECK(values.scalar_type() == at::kFloat &&
             static_cast<std::size_t>(values.numel()) == jobs.size() * step.out.values());
  const auto* frame = static_cast<const float*>(values.data_ptr());
  for (const JobIo& job : jobs) {
    const std::span<const float> mine(frame, step.out.values());
    if (step.last) {
      write_result(bound.model().outputs.front(), mine, job.result);
      if (job.metrics != nullptr) write_metrics(bound.model().metrics, mine, {job.metrics, kMaxMetrics});
    } else {
      std::memcpy(job.slot_out, mine.data(), mine.size_bytes());
    }
    frame += step.out.values();
  }
}

}  // namespace

void SegmentRunner::reserve(const BoundModel& bound) {
  if (const std::size_t values = bound.largest_input() * kMaxBatch; batch_.size() < values) batch_.resize(values);
}

Result<void> SegmentRunner::run(const BoundModel& bound, const Step& step, std::span<const JobIo> jobs) noexcept {
  if (jobs.empty() || jobs.size() > kMaxBatch) return fail(Code::invalid_argument, "a batch has 1 to 16 jobs");
  for (const JobIo& job : jobs)
    if (const auto fits = check_job(bound, step, job); !fits) return fits;
  if (step.preprocess) return preprocess(bound, step, jobs);
  try {
    forward(bound, step, jobs);
    return {};
  } catch (const std::bad_alloc&) {
    return fail(Code::no_memory, "no memory for a segment");
  } catch (const std::exception& error) {
    // Once: a segment that always fails must not fill the log.
    if (!std::exchange(told_, true)) std::fprintf(stderr, "%s: %s\n", step.variant->name.c_str(), error.what());
    return fail(Code::internal, "libtorch refused a segment; its reason is on standard error");
  }
}

Result<void> SegmentRunner::preprocess(const BoundModel& bound, const Step& step,
                                       std::span<const JobIo> jobs) noexcept {
  std::array<Picture, kMaxBatch> pictures;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const Result<Picture> picture = picture_input(bound, step, jobs[i]);
    if (!picture) return tl::unexpected(picture.error());
    pictures[i] = *picture;
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const std::span<float> out(reinterpret_cast<float*>(jobs[i].slot_out), step.out.values());
    if (const auto done = preprocessor_.run(pictures[i], bound.model().normalise, out); !done) return done;
  }
  return {};
}

void SegmentRunner::forward(const BoundModel& bound, const Step& step, std::span<const JobIo> jobs) {
  const c10::InferenceMode inference;
  const at::Tensor input = as_batch(gather(step, jobs), step.in, jobs.size());
  scatter(bound, step, bound.module().run(step.piece, input), jobs);
}

const float* SegmentRunner::gather(const Step& step, std::span<const JobIo> jobs) {
  if (jobs.size() == 1 && is_aligned(frame_of(step, jobs[0])))
    return reinterpret_cast<const float*>(frame_of(step, jobs[0]));
  const std::size_t values = step.in.values();
  if (batch_.size() < values * jobs.size()) batch_.resize(values * jobs.size());  // a model that came after reserve()
  float* place = batch_.data();
  for (const JobIo& job : jobs) {
    std::memcpy(place, frame_of(step, job), step.in.bytes());
    place += values;
  }
  return batch_.data();
}

void use_threads(int threads) {
  at::set_num_threads(threads);
  if (threads > 1) at::parallel_for(0, threads, 1, [](std::int64_t, std::int64_t) {});
}

void limit_libtorch_pools() noexcept {
  try {
    at::set_num_interop_threads(1);
  } catch (const std::exception&) {
    // It was set before, or the pool runs already; nobody is the worse for it.
  }
}

}  // namespace takt::models
