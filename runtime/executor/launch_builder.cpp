// Every number in an entry and in a job's record is checked before it becomes a pointer.
#include "executor/launch_builder.hpp"

#include "wire/decode.hpp"

namespace takt::executor {
namespace {

// Null where activations are the driver's.
std::byte* slot_at(const SessionView& session, std::uint32_t slot) noexcept {
  return session.slots != nullptr ? session.slots + slot * session.slot_bytes : nullptr;
}

Result<std::span<std::byte>> result_area(const SessionView& session, const Place& place,
                                         const wire::JobRecord& record) noexcept {
  const Pool* const pool = session.pools.find(record.result_pool);
  if (pool == nullptr || pool->kind != wire::PoolKind::results)
    return fail(Code::not_found, "the job's result pool is not mapped", record.result_pool);
  const std::uint64_t size = pool->memory.size();
  if (record.result_offset > size || record.result_bytes > size - record.result_offset)
    return fail(Code::invalid_argument, "the job's result area is not in its pool");
  if (record.result_bytes < place.result_bytes || record.result_offset % alignof(ResultHeader) != 0)
    return fail(Code::invalid_argument, "the job's result area is too small or not aligned");
  return pool->memory.span().subspan(record.result_offset, record.result_bytes);
}

}  // namespace

Result<const Launch*> LaunchBuilder::build(const SessionView& session, const wire::StartEntry& entry,
                                           std::span<std::array<float, kMaxMetrics>, kMaxBatch> metrics) noexcept {
  if (entry.variant >= session.places.size() || session.places[entry.variant].model == nullptr)
    return fail(Code::not_found, "the entry's variant is of no loaded model", entry.variant);
  const Place& place = session.places[entry.variant];
  if (entry.count == 0 || entry.count > kMaxBatch)
    return fail(Code::invalid_argument, "the entry's batch is out of range");
  if ((entry.first_segment != 0) != place.first || (entry.last_segment != 0) != place.last)
    return fail(Code::invalid_argument, "the entry disagrees with the model on which segments are first and last");
  for (std::size_t i = 0; i < entry.count; ++i) {
    jobs_[i] = {};
    jobs_[i].metrics = place.last ? metrics[i].data() : nullptr;
    if (const Result<void> filled = fill(session, place, entry.jobs[i], i); !filled)
      return tl::unexpected(filled.error());
  }
  launch_.model = place.model;
  launch_.variant = place.variant;
  launch_.expected = Duration{entry.expected_ns};
  launch_.jobs = std::span(jobs_).first(entry.count);
  return &launch_;
}

Result<void> LaunchBuilder::fill(const SessionView& session, const Place& place, const wire::StartJob& job,
                                 std::size_t position) noexcept {
  JobIo& io = jobs_[position];
  if (job.job >= session.board.size())
    return fail(Code::invalid_argument, "the entry's job is not on the board", job.job);
  const wire::JobRecord& record = session.board[job.job];
  if (place.first) {
    if (const Result<void> filled = fill_inputs(session, place, record, position); !filled) return filled;
  } else {
    if (job.slot_in >= session.slot_count)
      return fail(Code::invalid_argument, "the entry's input slot is out of range", job.slot_in);
    io.slot_in = slot_at(session, job.slot_in);
    io.slot_in_number = job.slot_in;
  }
  if (place.last) {
    const Result<std::span<std::byte>> area = result_area(session, place, record);
    if (!area) return tl::unexpected(area.error());
    io.result = *area;
  } else {
    if (job.slot_out >= session.slot_count)
      return fail(Code::invalid_argument, "the entry's output slot is out of range", job.slot_out);
    io.slot_out = slot_at(session, job.slot_out);
    io.slot_out_number = job.slot_out;
  }
  return {};
}

Result<void> LaunchBuilder::fill_inputs(const SessionView& session, const Place& place, const wire::JobRecord& record,
                                        std::size_t position) noexcept {
  const std::size_t count = place.model->inputs.size();
  if (record.inputs != count || count > kMaxTensors)
    return fail(Code::invalid_argument, "the job has not as many inputs as its model", record.inputs);
  for (std::size_t i = 0; i < count; ++i) {
    const TensorDesc& desc = record.input[i];
    const Pool* const pool = session.pools.find(desc.pool);
    if (pool == nullptr || pool->kind != wire::PoolKind::frames)
      return fail(Code::not_found, "the job's frame pool is not mapped", desc.pool);
    if (const Result<void> fits = wire::check_tensor(desc, pool->memory.size()); !fits) return fits;
    inputs_[position][i] = {.desc = &desc, .data = pool->memory.data() + desc.offset};
  }
  jobs_[position].inputs = std::span(inputs_[position]).first(count);
  return {};
}

}  // namespace takt::executor
