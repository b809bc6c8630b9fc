// The fake's streams, events and time.
#include <algorithm>
#include <cstring>

#include "cuda/errors.hpp"
#include "cuda/fake_api.hpp"

namespace takt::test {
namespace {

using cuda::kNotReady;
using cuda::kOk;
using cuda::Status;

constexpr Status kInvalidValue = 1, kInvalidHandle = 400, kIllegalAddress = 700, kTimeout = 909;

}  // namespace

// --- making ---

Status FakeApi::priorities(int& least, int& greatest) noexcept {
  const Lock lock(mutex_);
  least = greatest = 0;
  if (const Status status = enter("priorities"); status != kOk) return status;
  greatest = -5;
  return kOk;
}

Status FakeApi::make_stream(cuda::GreenContext context, int priority, cuda::Stream& stream) noexcept {
  const Lock lock(mutex_);
  stream = nullptr;
  if (const Status status = enter("make_stream"); status != kOk) return status;
  auto made = std::make_unique<FakeStream>();
  made->facts = {current(), std::clamp(priority, -5, 0), context};
  stream = reinterpret_cast<cuda::Stream>(made.get());
  streams_.push_back(std::move(made));
  return kOk;
}

Status FakeApi::make_event(cuda::Event& event) noexcept {
  const Lock lock(mutex_);
  event = nullptr;
  if (const Status status = enter("make_event"); status != kOk) return status;
  events_.push_back(std::make_unique<FakeEvent>());
  event = reinterpret_cast<cuda::Event>(events_.back().get());
  return kOk;
}

FakeApi::StreamFacts FakeApi::facts_of(cuda::Stream stream) const {
  const Lock lock(mutex_);
  const FakeStream* const found = find(stream);
  return found != nullptr ? found->facts : StreamFacts{-1, 0, nullptr};
}

FakeApi::FakeStream* FakeApi::find(cuda::Stream stream) const {
  const auto* const wanted = reinterpret_cast<const FakeStream*>(stream);
  const auto found = std::ranges::find(streams_, wanted, [](const auto& s) { return s.get(); });
  return found == streams_.end() ? nullptr : found->get();
}

// --- queueing ---

// One piece of work: its steps one after the other, behind what the stream has.
void FakeApi::push(FakeStream& stream, std::vector<FakeNode> nodes) {
  Status fault = kOk;
  for (auto& [to_go, status] : faults_)
    if (to_go-- == 0) fault = status;
  std::erase_if(faults_, [](const auto& f) { return f.first == std::size_t(-1); });
  if (nodes.empty()) nodes.push_back(kernel_node({}, Duration{}));
  stream.free = std::max(stream.free, now_);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    stream.free = fault == kNotReady ? kNever : std::min(kNever, stream.free + nodes[i].time);
    Step step{std::move(nodes[i]), stream.free, steps_++, nullptr, i + 1 == nodes.size(), kOk};
    if (step.last && fault != kNotReady) step.fault = fault;
    stream.steps.push_back(std::move(step));
  }
}

Status FakeApi::queue(cuda::Stream stream, std::vector<FakeNode> nodes) {
  const Lock lock(mutex_);
  if (const Status status = enter("queue"); status != kOk) return status;
  FakeStream* const on = find(stream);
  if (on == nullptr) return kInvalidHandle;
  push(*on, std::move(nodes));
  return kOk;
}

Status FakeApi::launch(cuda::GraphExec exec, cuda::Stream stream) noexcept {
  const Lock lock(mutex_);
  if (const Status status = enter("launch"); status != kOk) return status;
  FakeStream* const on = find(stream);
  if (on == nullptr || exec == nullptr) return kInvalidHandle;
  const FakeExec& graph = *reinterpret_cast<FakeExec*>(exec);
  if (graph.stream != on) misuse("a graph was launched on another stream than the one it was made for");
  push(*on, graph.nodes);
  return kOk;
}

// Memory of the CPU alone: what is read is read at once, what is written is waited for.
Status FakeApi::copy_now_or_queue(FakeNode node, FakeStream& stream, Lock& lock) {
  const bool reads = place_of(node.from, node.bytes) != Place::nowhere;
  const bool writes = place_of(node.to, node.bytes) != Place::nowhere;
  if (!writes) {
    if (const Status status = wait_until(lock, [&stream] { return stream.steps.empty(); }); status != kOk)
      return status;
    std::memcpy(node.to, node.from, node.bytes);
    return kOk;
  }
  if (!reads) {
    const auto* const from = static_cast<const std::byte*>(node.from);
    const auto kept = std::make_shared<std::vector<std::byte>>(from, from + node.bytes);
    push(stream, {kernel_node([kept, to = node.to] { std::memcpy(to, kept->data(), kept->size()); }, node.time)});
    return kOk;
  }
  push(stream, {std::move(node)});
  return kOk;
}

Status FakeApi::copy(void* to, const void* from, std::size_t bytes, cuda::Stream stream) noexcept {
  Lock lock(mutex_);
  if (const Status status = enter("copy"); status != kOk) return status;
  FakeStream* const on = find(stream);
  if (on == nullptr) return kInvalidHandle;
  if (to == nullptr || from == nullptr) return kInvalidValue;
  return copy_now_or_queue(copy_node(to, from, bytes), *on, lock);
}

// Queued as one piece of work, a step a row. Memory of the CPU alone is read at once.
Status FakeApi::copy_rows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t bytes,
                          std::size_t rows, cuda::Stream stream) noexcept {
  const Lock lock(mutex_);
  if (const Status status = enter("copy_rows"); status != kOk) return status;
  FakeStream* const on = find(stream);
  if (on == nullptr) return kInvalidHandle;
  if (to == nullptr || from == nullptr || bytes > to_pitch || bytes > from_pitch) return kInvalidValue;
  std::vector<FakeNode> steps;
  for (std::size_t row = 0; row < rows; ++row) {
    auto* const target = static_cast<std::byte*>(to) + row * to_pitch;
    const auto* const source = static_cast<const std::byte*>(from) + row * from_pitch;
    if (place_of(target, bytes) == Place::nowhere) return kInvalidValue;
    if (place_of(source, bytes) != Place::nowhere) {
      steps.push_back(copy_node(target, source, bytes, Duration{}));
      continue;
    }
    const auto kept = std::make_shared<std::vector<std::byte>>(source, source + bytes);
    steps.push_back(kernel_node([kept, target] { std::memcpy(target, kept->data(), kept->size()); }, Duration{}));
  }
  push(*on, std::move(steps));
  return kOk;
}

Status FakeApi::record(cuda::Event event, cuda::Stream stream) noexcept {
  const Lock lock(mutex_);
  if (const Status status = enter("record"); status != kOk) return status;
  FakeStream* const on = find(stream);
  if (on == nullptr || event == nullptr) return kInvalidHandle;
  auto& recorded = *reinterpret_cast<FakeEvent*>(event);
  recorded = {false, steps_};
  Step step;
  step.end = std::max(on->free, now_), step.number = steps_++, step.event = &recorded;
  on->steps.push_back(std::move(step));
  settle_events();
  return kOk;
}

// --- running ---

// Records take no time: those that have been reached are over.
void FakeApi::settle_events() {
  for (const auto& stream : streams_)
    while (!stream->steps.empty() && stream->steps.front().event != nullptr && stream->steps.front().end <= now_) {
      const Step& step = stream->steps.front();
      if (step.event->record == step.number) step.event->done = true;
      stream->steps.pop_front();
    }
}

void FakeApi::run_step(Step& step) {
  if (step.fault != kOk) return poison_locked(step.fault);
  const FakeNode& node = step.node;
  if (node.kind == FakeNode::Kind::copy) {
    const Region *const to = region_of(node.to, node.bytes), *const from = region_of(node.from, node.bytes);
    if (to == nullptr || from == nullptr || to->read_only) return poison_locked(kIllegalAddress);
    std::memmove(node.to, node.from, node.bytes);
  } else if (node.body) {
    node.body();
  }
}

// The step that ends first, if that is by `limit`; false: there is none.
bool FakeApi::run_next(Instant limit, bool& was_last) {
  FakeStream* first = nullptr;
  const auto before = [](const Step& a, const Step& b) { return a.end != b.end ? a.end < b.end : a.number < b.number; };
  for (const auto& stream : streams_)
    if (!stream->steps.empty() && (first == nullptr || before(stream->steps.front(), first->steps.front())))
      first = stream.get();
  if (first == nullptr || first->steps.front().end > limit || first->steps.front().end >= kNever) return false;
  Step step = std::move(first->steps.front());
  first->steps.pop_front();
  now_ = std::max(now_, step.end);
  was_last = step.last;
  run_step(step);
  settle_events();
  moved_.notify_all();
  return true;
}

Instant FakeApi::now() const {
  const Lock lock(mutex_);
  return now_;
}

void FakeApi::advance_to(Instant t) {
  const Lock lock(mutex_);
  bool last = false;
  while (run_next(t, last)) continue;
  now_ = std::max(now_, t);
  settle_events();
  moved_.notify_all();
}

std::size_t FakeApi::finish(std::size_t works) {
  const Lock lock(mutex_);
  std::size_t done = 0;
  bool last = false;
  while (done < works && run_next(kNever, last)) done += last;
  return done;
}

std::size_t FakeApi::pending() const {
  const Lock lock(mutex_);
  std::size_t works = 0;
  for (const auto& stream : streams_)
    works += static_cast<std::size_t>(std::ranges::count(stream->steps, true, &Step::last));
  return works;
}

std::size_t FakeApi::pending(cuda::Stream stream) const {
  const Lock lock(mutex_);
  const FakeStream* const found = find(stream);
  return found == nullptr ? 0 : static_cast<std::size_t>(std::ranges::count(found->steps, true, &Step::last));
}

void FakeApi::block_in_waits(bool yes) {
  const Lock lock(mutex_);
  blocks_ = yes;
}
void FakeApi::set_query_step(Duration d) {
  const Lock lock(mutex_);
  query_step_ = d;
}
void FakeApi::fault_work(Status status, std::size_t skip) {
  const Lock lock(mutex_);
  faults_.emplace_back(skip, status);
}
void FakeApi::hang_work(std::size_t skip) {
  fault_work(kNotReady, skip);
}

// --- waiting ---

Status FakeApi::wait_until(Lock& lock, const std::function<bool()>& done) {
  if (blocks_) moved_.wait(lock, [&] { return poison_ != kOk || done(); });
  bool last = false;
  while (poison_ == kOk && !done() && run_next(kNever, last)) continue;
  if (poison_ != kOk) return poison_;
  if (done()) return kOk;
  misuse("somebody waits for work that never ends");
  return kTimeout;
}

Status FakeApi::synchronize(cuda::Stream stream) noexcept {
  Lock lock(mutex_);
  if (const Status status = enter("synchronize"); status != kOk) return status;
  const FakeStream* const on = find(stream);
  if (on == nullptr) return kInvalidHandle;
  return wait_until(lock, [on] { return on->steps.empty(); });
}

Status FakeApi::wait(cuda::Event event) noexcept {
  Lock lock(mutex_);
  if (const Status status = enter("wait"); status != kOk) return status;
  if (event == nullptr) return kInvalidHandle;
  const auto* const on = reinterpret_cast<const FakeEvent*>(event);
  return wait_until(lock, [on] { return on->done; });
}

Status FakeApi::query(cuda::Stream stream) noexcept {
  const Duration step = [this] {
    const Lock lock(mutex_);
    return query_step_;
  }();
  if (step > Duration{}) advance(step);
  const Lock lock(mutex_);
  if (const Status status = enter("query"); status != kOk) return status;
  const FakeStream* const on = find(stream);
  if (on == nullptr) return kInvalidHandle;
  return on->steps.empty() ? kOk : kNotReady;
}

}  // namespace takt::test
