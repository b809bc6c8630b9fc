// The event loop of virtual time and the checks of every step; see virtual_world.hpp.
#include "support/virtual_world.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "policies/support/compose.hpp"
#include "support/allocation_counter.hpp"

namespace takt::test {
namespace {

std::unique_ptr<Policy> composed(const std::string& name) {
  auto policy = compose_policy(name);
  if (!policy) ADD_FAILURE() << policy.error();
  return std::move(*policy);
}

}  // namespace

CoreConfig serial_core(std::size_t accelerators, unsigned ahead, std::uint32_t slots) {
  CoreConfig config;
  config.max_jobs = 256;
  config.max_streams = 32;
  config.accelerators.assign(accelerators, {.pool = SlotPoolId{0u}, .ahead = static_cast<std::uint8_t>(ahead)});
  config.slot_pools = {slots};
  return config;
}

VirtualWorld::VirtualWorld(const Catalog& catalog, WorldOptions options)
    : models_(catalog.models()),
      costs_(catalog.costs()),
      config_(options.core),
      policy_(options.custom != nullptr ? nullptr : composed(options.policy)),
      executors_(
          config_.accelerators, options.hops,
          [this](AcceleratorId a, Lane lane, const Entry& entry) { began(a, lane, entry); },
          [this](const Report& report) { ended(report); }),
      history_(options.history),
      names_(config_.max_streams),
      numbers_(config_.max_streams),
      frame_of_job_(config_.max_jobs, kNobody),
      last_sequence_(config_.accelerators.size()) {
  for (const std::uint32_t slots : config_.slot_pools) slot_owner_.emplace_back(slots, kNobody);
  Policy& policy = options.custom != nullptr ? *options.custom : *policy_;
  Port& port = *this;  // private bases: only a member may convert
  TraceSink& sink = *this;
  core_ = std::make_unique<Scheduler>(config_, models_, costs_, policy, port, &sink);
  for (std::size_t a = 0; a < config_.accelerators.size(); ++a) core_->accelerator_up(AcceleratorId{a}, now());
}

VirtualWorld::~VirtualWorld() = default;

// Calls the scheduler; nothing in it may allocate.
template <class Call>
auto VirtualWorld::watched(const char* what, Call call) {
  changed_ = true;
  const std::uint64_t before = allocations_seen();
  const auto check = [&] {
    if (allocations_seen() != before) broken(std::string("allocation in ") + what);
  };
  const WatchAllocations watch;
  if constexpr (std::is_void_v<decltype(call())>) {
    call();
    check();
  } else {
    auto result = call();
    check();
    return result;
  }
}

void VirtualWorld::broken(const std::string& what) {
  const IgnoreAllocations ignore;
  constexpr std::uint32_t kEnough = 10;
  if (broken_++ < kEnough) ADD_FAILURE() << "at " << to_ns(now()) << " ns: " << what;
}

Admission VirtualWorld::ask(const StreamSpec& spec, std::string name) {
  changed_ = true;
  const Admission admission = core_->open_stream(spec, now());
  if (admission.outcome != Admission::Outcome::refused) {
    names_[admission.stream.value] = name.empty() ? "t" + std::to_string(admission.stream.value) : std::move(name);
    numbers_[admission.stream.value] = 0;
  }
  return admission;
}

StreamId VirtualWorld::open(const StreamSpec& spec, std::string name) {
  const Admission admission = ask(spec, std::move(name));
  if (admission.outcome == Admission::Outcome::refused)
    ADD_FAILURE() << "stream refused, reason " << static_cast<int>(admission.reason);
  return admission.stream;
}

std::optional<std::size_t> VirtualWorld::release(StreamId stream, Instant deadline) {
  const auto job = watched("release", [&] { return core_->release(stream, now(), deadline); });
  if (!job) return std::nullopt;
  return add_frame(*job);
}

std::size_t VirtualWorld::add_frame(JobId job) {
  Frame frame;
  frame.job = job;
  frame.stream = core_->stream_of(job);
  frame.number = numbers_[frame.stream.value]++;
  if (frame_of_job_[job.value] != kNobody) broken("a job id is given out while it is in use");
  frame_of_job_[job.value] = frames_.size();
  frames_.push_back(std::move(frame));
  return frames_.size() - 1;
}

std::size_t VirtualWorld::frame_of(JobId job) {
  const std::size_t index = frame_of_job_[job.value];
  if (index == kNobody) broken("a job that was answered or never released is spoken of");
  return index;
}

void VirtualWorld::cancel(std::size_t frame) {
  if (frames_[frame].answers > 0) return;
  watched("cancel", [&] { core_->cancel(frames_[frame].job, now()); });
}

void VirtualWorld::close(StreamId stream) {
  watched("close_stream", [&] { core_->close_stream(stream, now()); });
}

void VirtualWorld::down(std::size_t accelerator) {
  const AcceleratorId a{accelerator};
  const auto lose = [this](std::size_t frame) {
    frames_[frame].lost = true;
    frames_[frame].running = false;
    leave_slots(frame);
  };
  for (const Entry& entry : executors_.kill(a))
    for (const Placement& p : entry.jobs) lose(frame_of(p.job));
  if (!config_.accelerators[accelerator].shares_slots)
    for (const std::size_t owner : slot_owner_[config_.accelerators[accelerator].pool.value])
      if (owner != kNobody) lose(owner);
  watched("accelerator_down", [&] { core_->accelerator_down(a, now()); });
  executors_.renew(a);
}

void VirtualWorld::up(std::size_t accelerator) {
  watched("accelerator_up", [&] { core_->accelerator_up(AcceleratorId{accelerator}, now()); });
}

void VirtualWorld::at(Instant time, std::function<void()> action) {
  actions_.push({time, action_sequence_++, std::move(action)});
}

void VirtualWorld::release_at(Instant time, StreamId stream, Instant deadline) {
  at(time, [this, stream, deadline] { (void)release(stream, deadline); });
}

void VirtualWorld::decide() {
  watched("decide", [&] { core_->decide(now()); });
  changed_ = false;
}

bool VirtualWorld::step(Instant limit) {
  Instant next = std::min(executors_.next(), core_->next_wake());
  if (!actions_.empty()) next = std::min(next, actions_.top().time);
  if (changed_) next = now();
  if (next > limit) return false;
  if (next < now()) broken("the scheduler wants to be woken in the past");
  clock_.set(std::max(next, now()));
  executors_.advance(now());
  while (const std::optional<Report> report = executors_.take_report(now())) deliver(*report);
  while (!actions_.empty() && actions_.top().time <= now()) {
    const std::function<void()> run = actions_.top().run;
    actions_.pop();
    run();
  }
  decide();
  return true;
}

void VirtualWorld::run_until(Instant time) {
  while (step(time)) {
  }
  clock_.set(time);
}

void VirtualWorld::run() {
  while (step()) {
  }
}

void VirtualWorld::deliver(const Report& report) {
  std::array<JobMetrics, kMaxBatch> metrics{};
  for (std::size_t i = 0; i < report.entry.jobs.size(); ++i)
    metrics[i].value[0] = frames_[frame_of(report.entry.jobs[i].job)].metric;
  Completion completion{report.entry.sequence, report.started, report.ended, report.failed, {}};
  if (report.entry.last_segment) completion.metrics = {metrics.data(), report.entry.jobs.size()};
  watched("completed", [&] { core_->completed(report.accelerator, report.lane, completion, now()); });
}

void VirtualWorld::began(AcceleratorId a, Lane lane, const Entry& entry) {
  const Lane other = lane == Lane::normal ? Lane::realtime : Lane::normal;
  if (executors_.running(a, lane) || (executors_.serial(a) && executors_.running(a, other)))
    broken("an accelerator runs two segments at once");
  for (const Placement& p : entry.jobs) {
    const std::size_t index = frame_of(p.job);
    Frame& frame = frames_[index];
    if (frame.running) broken("a job runs twice at once");
    if (entry.first_segment && frame.lost) {
      frame.lost = false;
      frame.begun = 0;
      ++frame.restarts;
    }
    const Model& model = models_[core_->spec(frame.stream).model.value];
    const std::size_t segment = model.variant(entry.variant).segment;
    if (frame.lost || segment != frame.begun) broken("segment " + std::to_string(segment) + " out of order");
    if (entry.first_segment != (segment == 0) || entry.last_segment != (segment + 1 == model.segments.size()))
      broken("wrong about which segment is first or last");
    ++frame.begun;
    frame.running = true;
    take_slots(a, entry, p, index);
  }
}

// The slot it reads must be its own; the slot it writes its own or nobody's.
void VirtualWorld::take_slots(AcceleratorId a, const Entry& entry, const Placement& p, std::size_t frame) {
  std::vector<std::size_t>& owners = slot_owner_[config_.accelerators[a.value].pool.value];
  const auto owned_by = [&](std::uint32_t slot, std::size_t owner) {
    return slot < owners.size() && owners[slot] == owner;
  };
  if (entry.first_segment ? p.slot_in != Placement::kNoSlot : !owned_by(p.slot_in, frame)) broken("reads a wrong slot");
  if (entry.last_segment) {
    if (p.slot_out != Placement::kNoSlot) broken("a last segment has a slot to write");
  } else if (owned_by(p.slot_out, frame) || owned_by(p.slot_out, kNobody)) {
    owners[p.slot_out] = frame;
  } else {
    broken("writes a slot that is not its own");
  }
}

void VirtualWorld::leave_slots(std::size_t frame) {
  for (std::vector<std::size_t>& owners : slot_owner_) std::replace(owners.begin(), owners.end(), frame, kNobody);
}

void VirtualWorld::ended(const Report& report) {
  Ran ran{report.accelerator, report.lane, 0, report.started, report.ended, {}};
  for (const Placement& p : report.entry.jobs) {
    const std::size_t index = frame_of(p.job);
    frames_[index].running = false;
    ran.frames.push_back(index);
    ran.segment = static_cast<std::uint16_t>(frames_[index].begun - 1);
  }
  if (history_) ran_.push_back(std::move(ran));
}

void VirtualWorld::post(const LaunchOrder& order) noexcept {
  const IgnoreAllocations ignore;
  std::uint64_t& last = last_sequence_[order.accelerator.value][static_cast<std::size_t>(order.lane)];
  if (order.sequence <= last) broken("launch sequence does not rise");
  last = order.sequence;
  executors_.post(order, now());
}

bool VirtualWorld::recall(AcceleratorId a, Lane lane, std::uint64_t sequence) noexcept {
  const IgnoreAllocations ignore;
  return executors_.recall(a, lane, sequence);
}

void VirtualWorld::answer(JobId job, const Answer& answer) noexcept {
  const IgnoreAllocations ignore;
  const std::size_t index = frame_of(job);
  Frame& frame = frames_[index];
  if (frame.running) broken("a frame is answered while its segment runs");
  if (++frame.answers > 1) broken("a frame is answered twice");
  frame.answer = answer;
  leave_slots(index);
  frame_of_job_[job.value] = kNobody;
}

void VirtualWorld::notice(JobId job) noexcept {
  const IgnoreAllocations ignore;
  if (++frames_[frame_of(job)].notices > 1) broken("a frame is noticed twice");
}

bool VirtualWorld::child_released(JobId parent, JobId child) noexcept {
  const IgnoreAllocations ignore;
  if (refuse_children_) return false;
  const std::size_t of = frame_of(parent), index = add_frame(child);
  frames_[of].children.push_back(index);
  frames_[index].parent = of;
  return true;
}

std::size_t VirtualWorld::skipped(JobId job, std::size_t segment) noexcept {
  if (!skip_ || segment == 0) return 0;
  const IgnoreAllocations ignore;
  Frame& frame = frames_[frame_of(job)];
  const std::size_t n = skip_(frame.stream, segment);
  frame.begun = static_cast<std::uint16_t>(frame.begun + n);
  return n;
}

void VirtualWorld::stream_moved(StreamId stream, AcceleratorId accelerator, RouteId) noexcept {
  const IgnoreAllocations ignore;
  moves_.push_back({stream, accelerator});
}

void VirtualWorld::stream_ended(StreamId stream) noexcept {
  const IgnoreAllocations ignore;
  ended_streams_.push_back(stream);
}

std::string VirtualWorld::subnet_name(const TraceEvent& event) const {
  const std::span<const Route> routes = core_->routes(event.stream);
  if (event.route.value >= routes.size()) return "-";
  return models_[core_->spec(event.stream).model.value].subnets[routes[event.route.value].subnet].name;
}

void VirtualWorld::record(const TraceEvent& e) noexcept {
  const IgnoreAllocations ignore;
  if (!history_) return;
  const std::string accelerator = e.accelerator.valid() ? "a" + std::to_string(e.accelerator.value) : "-";
  trace_ += std::to_string(to_ns(e.at)) + "," + to_string(e.kind) + ",";
  if (e.stream.valid()) {
    trace_ += names_[e.stream.value] + "," + std::to_string(e.frame) + "," + std::to_string(e.segment) + "," +
              accelerator + "," + subnet_name(e) + "\n";
  } else {
    trace_ += "-,-,-," + accelerator + ",-\n";
  }
}

Frame& VirtualWorld::frame(StreamId stream, std::uint32_t number) {
  const auto found = std::find_if(frames_.rbegin(), frames_.rend(),
                                  [&](const Frame& f) { return f.stream == stream && f.number == number; });
  if (found == frames_.rend()) {
    ADD_FAILURE() << "no frame " << number << " of stream " << stream.value;
    std::abort();
  }
  return *found;
}

Answer VirtualWorld::answer_of(StreamId stream, std::uint32_t number) {
  const Frame& f = frame(stream, number);
  EXPECT_EQ(f.answers, 1u) << "frame " << number << " of " << names_[stream.value] << " has no answer yet";
  return f.answer;
}

std::vector<Ran> VirtualWorld::ran_of(StreamId stream, std::uint32_t number) {
  const auto index = static_cast<std::size_t>(&frame(stream, number) - frames_.data());
  std::vector<Ran> mine;
  for (const Ran& ran : ran_)
    if (std::find(ran.frames.begin(), ran.frames.end(), index) != ran.frames.end()) mine.push_back(ran);
  return mine;
}

std::vector<Instant> VirtualWorld::starts_of(StreamId stream, std::uint32_t number) {
  std::vector<Instant> starts;
  for (const Ran& ran : ran_of(stream, number)) starts.push_back(ran.start);
  return starts;
}

std::size_t VirtualWorld::count(const std::string& kind) const {
  std::size_t n = 0;
  const std::string word = "," + kind + ",";
  for (std::size_t i = trace_.find(word); i != std::string::npos; i = trace_.find(word, i + 1)) ++n;
  return n;
}

void VirtualWorld::expect_settled() {
  std::uint64_t answered = 0;
  for (const std::uint64_t n : core_->counters().verdicts) answered += n;
  EXPECT_EQ(core_->jobs_in_flight(), 0u);
  EXPECT_EQ(core_->counters().released, answered);
  EXPECT_EQ(answered, frames_.size());
  for (const Frame& f : frames_) EXPECT_EQ(f.answers, 1u) << "frame " << f.number << " of stream " << f.stream.value;
  for (std::size_t p = 0; p < config_.slot_pools.size(); ++p)
    EXPECT_EQ(core_->free_slots(SlotPoolId{p}), config_.slot_pools[p]) << "slots are missing";
}

}  // namespace takt::test
