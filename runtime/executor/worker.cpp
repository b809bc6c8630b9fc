// The worker thread.
#include "executor/worker.hpp"

#include <algorithm>

#include "live/futex.hpp"
#include "live/monotonic_clock.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace takt::executor {
namespace {

void relax() noexcept {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

constexpr int kLooksPerClockReading = 32;

}  // namespace

Worker::Worker(Driver& driver, WorkerConfig config)
    : driver_(&driver), config_(std::move(config)), builder_(config_.accelerator), thread_([this] { thread_main(); }) {
  while (state_.load() == kStarting) live::futex_wait(state_, kStarting);
}

Worker::~Worker() {
  state_.store(kEnding);
  live::futex_wake(state_);
  thread_.join();
}

void Worker::serve(const SessionView& session, wire::LaneRings& rings, const live::Notifier* trouble) {
  session_ = &session;
  rings_ = &rings;
  trouble_ = trouble;
  command_.store(kServe);
  state_.store(kServing);
  live::futex_wake(state_);
}

void Worker::stop(Stop how) {
  if (idle()) return;
  command_.store(how == Stop::now ? kStopNow : kDrain);
  // The worker sleeps on the ring's doorbell and reads it before it looks at the command: as if something were posted.
  rings_->start.doorbell.fetch_add(1);
  live::futex_wake(rings_->start.doorbell);
}

bool Worker::wait_idle(Instant deadline) noexcept {
  for (;;) {
    const std::uint32_t state = state_.load();
    if (state == kIdle) return true;
    if (live::monotonic_now() >= deadline) return false;
    live::futex_wait_until(state_, state, deadline);
  }
}

Trouble Worker::trouble() const noexcept {
  return {.failures = failures_.load(), .text = failure_text_.load(), .vendor = failure_vendor_.load()};
}

// The order matters. The driver makes its thread pool in enter(): pinned first, so that the pool's threads share the
// mask; real-time last, so that they do not inherit it (a spinning OpenMP team under SCHED_FIFO on too few cores never
// ends).
void Worker::enter() {
  live::name_thread(config_.name);
  entered_ = live::pin_thread(config_.cores);
  if (entered_)
    entered_ = driver_->enter(config_.accelerator, config_.realtime ? Criticality::hard : Criticality::soft);
  live::prefault_stack();
  live::set_timer_slack();
  if (entered_ && config_.realtime && config_.priority > 0) fifo_ = live::take_fifo(config_.priority);
}

void Worker::thread_main() {
  enter();
  for (;;) {
    state_.store(kIdle);
    live::futex_wake(state_);
    while (state_.load() == kIdle) live::futex_wait(state_, kIdle);
    if (state_.load() == kEnding) return;
    wire::StartConsumer starts(rings_->start);
    wire::CompletionProducer completions(rings_->completion);
    serve_loop(starts, completions);
  }
}

void Worker::serve_loop(wire::StartConsumer& starts, wire::CompletionProducer& completions) noexcept {
  for (;;) {
    const std::uint32_t bell = starts.doorbell().load();
    const std::uint32_t command = command_.load();
    if (command == kStopNow) return;
    if (const wire::StartEntry* const entry = starts.try_claim(); entry != nullptr) {
      run(*entry, starts.sequence(), completions);
      continue;
    }
    if (command == kDrain) return;
    if (spin_for_work(starts)) continue;
    starts.announce_sleep();
    live::futex_wait(starts.doorbell(), bell);
    starts.awake();
  }
}

bool Worker::spin_for_work(const wire::StartConsumer& starts) const noexcept {
  if (config_.spin <= Duration{0}) return false;
  const Instant end = live::monotonic_now() + config_.spin;
  do {
    for (int i = 0; i < kLooksPerClockReading; ++i) {
      if (starts.has_work() || stopping()) return true;
      relax();
    }
  } while (live::monotonic_now() < end);
  return false;
}

void Worker::run(const wire::StartEntry& entry, std::uint64_t sequence,
                 wire::CompletionProducer& completions) noexcept {
  wire::CompletionEntry* const out = completions.entry();
  // Full only if the broker broke its own bound. Without a completion it will give this executor up.
  if (out == nullptr) return;
  out->metrics = {};
  const Result<const Launch*> launch = builder_.build(*session_, entry, out->metrics);
  const Instant started = live::monotonic_now();
  const Result<void> ran = launch ? driver_->run(**launch) : tl::unexpected(launch.error());
  const Instant ended = live::monotonic_now();
  out->sequence = sequence;
  out->started_ns = to_ns(started);
  out->ended_ns = to_ns(ended);
  out->status = ran ? wire::RunStatus::ok : wire::RunStatus::failed;
  out->count = std::min<std::uint32_t>(entry.count, kMaxBatch);
  completions.publish();
  session_->completed.notify();
  if (!ran) note_failure(ran.error());
}

void Worker::note_failure(const Error& error) noexcept {
  failure_text_.store(error.text);
  failure_vendor_.store(error.vendor);
  failures_.fetch_add(1);
  if (trouble_ != nullptr) trouble_->notify();
}

}  // namespace takt::executor
