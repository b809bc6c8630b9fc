// Launches and waits.
#include "cuda/lane.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "cuda/errors.hpp"
#include "host/answer.hpp"
#include "host/job_check.hpp"

namespace takt::cuda {
namespace {

// A thread that slept is back this late at worst, so it wakes so long before the predicted end and looks from then on.
constexpr Duration kEarly = std::chrono::microseconds(60);
// Looking costs a core: past this the prediction was wrong, and the rest is waited for in short sleeps.
constexpr Duration kLookAtMost = std::chrono::microseconds(300);
constexpr Duration kNap = std::chrono::microseconds(50);
// Errors of the device are asked for this often while a launch runs.
constexpr Duration kQueryEvery = std::chrono::milliseconds(1);

std::size_t index_of(const models::BoundModel& bound, const models::Step& step) noexcept {
  return static_cast<std::size_t>(&step - bound.steps().data());
}

bool is_told(const std::uint32_t* word) noexcept {
  // The device writes it; the acquire keeps what was copied before it from being read earlier.
  return std::atomic_ref(*const_cast<std::uint32_t*>(word)).load(std::memory_order_acquire) != 0;
}

}  // namespace

const Lane::Served* Lane::served(const Model* model) const noexcept {
  for (std::size_t i = served_.size(); i-- > 0;)
    if (&served_[i]->model->bound().model() == model) return served_[i].get();
  return nullptr;
}

Result<void> Lane::check(const Served& served, const models::Step& step, const Launch& launch) const noexcept {
  const models::BoundModel& bound = served.model->bound();
  if (launch.jobs.empty() || launch.jobs.size() > kMaxBatch)
    return fail(Code::invalid_argument, "a batch has 1 to 16 jobs");
  for (const JobIo& job : launch.jobs) {
    if (step.preprocess) {
      if (const auto picture = models::picture_input(bound, step, job); !picture)
        return tl::unexpected(picture.error());
    } else if (step.first) {
      if (const auto fits = models::check_tensor_input(step, job); !fits) return fits;
    } else if (slots_.at(job.slot_in_number) == nullptr) {
      return fail(Code::invalid_argument, "a job has no activation to read");
    }
    if (!step.last && slots_.at(job.slot_out_number) == nullptr)
      return fail(Code::invalid_argument, "a job has no slot for its activation");
    if (step.last)
      if (const auto fits = models::check_result_area(bound, job); !fits) return fits;
  }
  return {};
}

Result<void> Lane::launch(const Launch& launch) noexcept {
  if (begun_ - ended_ == kDepth) return fail(Code::no_capacity, "two launches are under way");
  const Served* const served = this->served(launch.model);
  if (served == nullptr) return fail(Code::not_found, "the launch's model is not loaded");
  const models::Step* const step = served->model->bound().step(launch.variant);
  if (step == nullptr) return fail(Code::invalid_argument, "the launch's variant is not its model's");
  if (const auto fits = check(*served, *step, launch); !fits) return fits;

  Flight& flight = flights_[begun_ % kDepth];
  flight = {.served = served, .step = step, .jobs = launch.jobs, .begun = c_.clock->now(), .expected = launch.expected};
  // Pictures go one by one: each has a graph's work of its own, and their weights may differ.
  const std::size_t at_once = step->preprocess ? 1 : launch.jobs.size();
  const std::uint32_t found = served->shelf.find(index_of(served->model->bound(), *step), at_once);
  Entry* const entry = found != Shelf::kNone ? served->entries[found].get() : nullptr;
  std::uint32_t* const word = entry != nullptr ? entry->word : eager_words_[begun_ % kDepth];
  if (const auto clear = finish_before(word); !clear) return clear;
  std::byte* const results = entry != nullptr ? entry->results : eager_results_[begun_ % kDepth];
  std::atomic_ref(*word).store(0, std::memory_order_relaxed);
  for (std::size_t f = 0; f < launch.jobs.size(); f += at_once) {
    for (std::size_t i = 0; step->first && i < at_once; ++i)
      if (const auto in = bring_in(*served, *step, launch.jobs[f + i], i); !in) return in;
    const std::span<const JobIo> jobs = launch.jobs.subspan(f, at_once);
    std::uint32_t* const told = f + at_once == launch.jobs.size() ? word : idle_word_;
    const Result<void> gone = entry != nullptr ? go(*entry, jobs, told) : go_eager(*served, *step, jobs, told, results);
    if (!gone) return gone;
  }
  flight.word = word;
  flight.results = results;
  ++begun_;
  ++counts_.launches;
  counts_.eager += entry == nullptr;
  return {};
}

// The same graph twice under way: word and results are still the earlier launch's, so that must end first.
Result<void> Lane::finish_before(const std::uint32_t* word) noexcept {
  for (std::size_t i = ended_; i < begun_; ++i) {
    Flight& earlier = flights_[i % kDepth];
    if (earlier.word != word || earlier.finished) continue;
    if (!done(earlier))
      if (const auto idle = settle(c_.api->synchronize(stream_)); !idle) return idle;
    finish(earlier);
  }
  return {};
}

// A client's input to the device, in the order of the stream.
Result<void> Lane::bring_in(const Served& served, const models::Step& step, const JobIo& job,
                            std::size_t frame) noexcept {
  const models::BoundModel& bound = served.model->bound();
  if (step.preprocess) {
    const Result<models::Picture> picture = models::picture_input(bound, step, job);
    if (!picture) return tl::unexpected(picture.error());
    return bring_picture(*served.pictures[index_of(bound, step)], *picture);
  }
  const std::size_t bytes = served.model->bytes_in(step);
  return settle(c_.api->copy(static_cast<std::byte*>(served.in) + frame * bytes, job.inputs[0].data, bytes, stream_));
}

Result<void> Lane::bring_picture(PicturePlace& place, const models::Picture& picture) noexcept {
  const PicturePlan& plan = place.plan;
  if (const PictureGeometry geometry = geometry_of(picture); !place.filled || geometry != place.geometry) {
    // Another size or crop than the last picture's: the stream must be through with the old weights.
    if (const auto idle = settle(c_.api->synchronize(stream_)); !idle) return idle;
    fill_taps(plan, geometry, {place.staging, plan.taps()});
    if (const auto copied = settle(c_.api->copy(place.taps, place.staging, plan.taps() * sizeof(float), stream_));
        !copied)
      return copied;
    place.geometry = geometry;
    place.filled = true;
  }
  const std::size_t row = plan.row_bytes() / plan.width * picture.width;
  auto* const to = static_cast<std::byte*>(place.bytes);
  const auto rows = [&](std::size_t to_row, std::size_t from_row, std::size_t count) {
    return settle(c_.api->copy_rows(to + to_row * plan.row_bytes(), plan.row_bytes(),
                                    picture.pixels + from_row * picture.stride, picture.stride, row, count, stream_));
  };
  if (const auto luma = rows(0, 0, picture.height); !luma || plan.chroma_height == 0) return luma;
  return rows(plan.height, picture.height, picture.height / 2);
}

Result<void> Lane::go(Entry& entry, std::span<const JobIo> jobs, std::uint32_t* word) noexcept {
  for (std::size_t f = 0; f < entry.in.size(); ++f)
    if (const auto bound = bind(entry, entry.in[f], entry.in[f].to, slots_.at(jobs[f].slot_in_number)); !bound)
      return bound;
  for (std::size_t f = 0; f < entry.out.size(); ++f)
    if (const auto bound = bind(entry, entry.out[f], slots_.at(jobs[f].slot_out_number), entry.out[f].from); !bound)
      return bound;
  if (const auto bound = bind(entry, entry.tell, word, entry.tell.from); !bound) return bound;
  return settle(c_.api->launch(entry.exec, stream_));
}

// Only what changes costs a call.
Result<void> Lane::bind(Entry& entry, CopyNode& node, void* to, const void* from) noexcept {
  if (node.to == to && node.from == from) return {};
  node.to = to, node.from = from;
  return settle(c_.api->set_copy(entry.exec, node));
}

Result<void> Lane::go_eager(const Served& served, const models::Step& step, std::span<const JobIo> jobs,
                            std::uint32_t* word, std::byte* results) noexcept {
  const PlacedModel& model = *served.model;
  const PicturePlace* const picture = served.pictures[index_of(model.bound(), step)].get();
  std::array<const void*, kMaxBatch> from{};
  std::array<void*, kMaxBatch> to{};
  const auto slot_or_nowhere = [&](std::uint32_t slot) -> std::byte* {
    std::byte* const at = slots_.at(slot);
    return at != nullptr ? at : static_cast<std::byte*>(nowhere_);
  };
  for (std::size_t f = 0; f < jobs.size(); ++f) {
    from[f] = slot_or_nowhere(jobs[f].slot_in_number);
    to[f] = step.last ? results + f * model.bytes_out(step) : slot_or_nowhere(jobs[f].slot_out_number);
  }
  const Ends ends{
      .in = picture != nullptr ? picture->bytes : served.in,
      .from = step.first ? std::span<const void* const>{} : std::span<const void* const>(from).first(jobs.size()),
      .taps = picture != nullptr ? picture->taps : nullptr,
      .to = std::span<void* const>(to).first(jobs.size()),
      .to_host = step.last,
      .one = c_.one,
      .word = word};
  const Result<void> ran = recorder_->run(model, step, jobs.size(), ends);
  if (!ran && ends_process(static_cast<Status>(ran.error().vendor)))
    c_.fatal("a segment", static_cast<Status>(ran.error().vendor));
  return ran;
}

// A call's status: what cannot be survived does not come back.
Result<void> Lane::settle(Status status) noexcept {
  if (status == kOk) return {};
  if (ends_process(status)) c_.fatal("a lane", status);
  return tl::unexpected(error_of(status));
}

// --- waiting ---

bool Lane::done(const Flight& flight) noexcept {
  return flight.finished || is_told(flight.word);
}

Result<bool> Lane::await(Instant until) noexcept {
  if (idle()) return fail(Code::invalid_argument, "await() with nothing under way");
  Flight& flight = flights_[ended_ % kDepth];
  const Instant begun = std::max(flight.begun, free_);
  const Instant due = begun + flight.expected;
  Instant look_at_device = begun + kQueryEvery;
  for (;;) {
    if (done(flight)) break;
    const Instant now = c_.clock->now();
    if (now >= look_at_device) {
      look_at_device = now + kQueryEvery;
      const Status status = c_.api->query(stream_);
      if (status != kOk && status != kNotReady) {
        ++ended_;
        const Result<void> failed = settle(status);
        return tl::unexpected(failed.error());
      }
    }
    if (now >= until) return false;
    if (now < due - kEarly)
      c_.clock->sleep_until(std::min({due - kEarly, until, look_at_device}));
    else if (now > due + kLookAtMost)
      c_.clock->sleep_until(std::min({now + kNap, until, look_at_device}));
    else
      c_.clock->relax();
  }
  free_ = c_.clock->now();
  finish(flight);
  ++ended_;
  return true;
}

void Lane::finish(Flight& flight) noexcept {
  if (flight.finished) return;
  flight.finished = true;
  if (!flight.step->last) return;
  const Model& model = flight.served->model->bound().model();
  const std::size_t values = flight.step->out.values();
  const auto* frame = reinterpret_cast<const float*>(flight.results);
  for (const JobIo& job : flight.jobs) {
    models::write_result(model.outputs.front(), {frame, values}, job.result);
    if (job.metrics != nullptr) models::write_metrics(model.metrics, {frame, values}, {job.metrics, kMaxMetrics});
    frame += values;
  }
}

}  // namespace takt::cuda
