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

// So long before what is under way should end the next entry is claimed: the driver's call takes some 10 us, segments
// end up to a few per cent early, and every microsecond more is one in which the entry cannot be recalled.
constexpr Duration kLead = std::chrono::microseconds(30);
// While nothing is posted and the end is near, the ring is looked at so often; less and less where the launch takes
// longer than predicted.
constexpr Duration kLookAgain = std::chrono::microseconds(10);
constexpr int kOverdueShare = 4;
constexpr Duration kLongest = std::chrono::hours(1);  // that a profile has
// One wait in the driver while there is nothing to claim; only bounded so that drivers need not count to infinity.
constexpr Duration kPatience = std::chrono::seconds(1);
// Between two pieces of preparing: long enough for a start to come first.
constexpr Duration kPieceEvery = std::chrono::milliseconds(2);
// See Worker::hangs_at().
constexpr int kHangFactor = 3;
constexpr Duration kHangFloor = std::chrono::seconds(1);

}  // namespace

Worker::Worker(Driver& driver, WorkerConfig config)
    : driver_(&driver),
      config_(std::move(config)),
      depth_(std::min(driver.caps().depth, static_cast<int>(FlightQueue::kMost))),
      flights_(config_.accelerator),
      thread_([this] { thread_main(); }) {
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
  state_.store(kPreparing);
  live::futex_wake(state_);
}

Result<void> Worker::await_prepared() noexcept {
  while (state_.load() == kPreparing) live::futex_wait(state_, kPreparing);
  return prepared_;
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
// ends), and so that the seconds of the first prepare() are not taken from everybody else.
void Worker::enter() {
  live::name_thread(config_.name);
  entered_ = live::pin_thread(config_.cores);
  if (entered_)
    entered_ = driver_->enter(config_.accelerator, config_.realtime ? Criticality::hard : Criticality::soft);
  live::prefault_stack();
  live::set_timer_slack();
}

Result<void> Worker::prepare() {
  const Criticality worker = config_.realtime ? Criticality::hard : Criticality::soft;
  if (const Result<void> prepared = driver_->prepare(config_.accelerator, worker); !prepared) return prepared;
  if (config_.realtime && config_.priority > 0 && !fifo_.granted) fifo_ = live::take_fifo(config_.priority);
  unprepared_ = !config_.realtime;
  return {};
}

void Worker::thread_main() {
  enter();
  for (;;) {
    state_.store(kIdle);
    live::futex_wake(state_);
    while (state_.load() == kIdle) live::futex_wait(state_, kIdle);
    if (state_.load() == kEnding) return;
    prepared_ = prepare();
    if (!prepared_) continue;
    state_.store(kServing);
    live::futex_wake(state_);
    wire::StartConsumer starts(rings_->start);
    wire::CompletionProducer completions(rings_->completion);
    depth_ > 1 ? serve_ahead(starts, completions) : serve_loop(starts, completions);
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
    sleep(starts, bell);
  }
}

// As serve_loop(), but what is claimed is under way until the driver has told of its end. The doorbell matters only
// while nothing is: else the ring is looked at when the next entry should be claimed, and whenever a launch has ended.
void Worker::serve_ahead(wire::StartConsumer& starts, wire::CompletionProducer& completions) noexcept {
  for (;;) {
    const std::uint32_t bell = starts.doorbell().load();
    const std::uint32_t command = command_.load();
    const bool room = command != kStopNow && flights_.size() < static_cast<std::size_t>(depth_);
    const Instant now = live::monotonic_now(), claim_at = flights_.empty() ? now : flights_.predicted_end() - kLead;
    if (room && now >= claim_at) {
      if (const wire::StartEntry* const entry = starts.try_claim(); entry != nullptr) {
        launch(*entry, starts.sequence());
        continue;
      }
    }
    if (!flights_.empty()) {
      const Instant look_again = now + std::max(kLookAgain, (now - claim_at) / kOverdueShare);
      await(!room ? now + kPatience : now < claim_at ? claim_at : look_again, completions);
      continue;
    }
    if (command != kServe) return;
    sleep(starts, bell);
  }
}

// Spins for a while, then sleeps until the doorbell is no longer what it was. What the driver may still prepare is done
// in between, a piece at a time.
void Worker::sleep(wire::StartConsumer& starts, std::uint32_t bell) noexcept {
  if (spin_for_work(starts)) return;
  if (unprepared_ && !starts.has_work()) unprepared_ = driver_->prepare_more(config_.accelerator, Criticality::soft);
  starts.announce_sleep();
  if (unprepared_)
    live::futex_wait_until(starts.doorbell(), bell, live::monotonic_now() + kPieceEvery);
  else
    live::futex_wait(starts.doorbell(), bell);
  starts.awake();
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
  Flight& flight = flights_.oldest();
  out->metrics = {};
  const Result<const Launch*> launch = flight.builder.build(*session_, entry, out->metrics);
  const Instant started = live::monotonic_now();
  watch(started, Duration{entry.expected_ns});
  const Result<void> ran = launch ? driver_->run(**launch) : tl::unexpected(launch.error());
  const Instant ended = live::monotonic_now();
  watch(kNever, {});
  flight.sequence = sequence;
  flight.count = entry.count;
  flight.expected = Duration{entry.expected_ns};
  complete(*out, flight, started, ended, ran, completions);
}

void Worker::launch(const wire::StartEntry& entry, std::uint64_t sequence) noexcept {
  Flight& flight = flights_.place();
  flight.sequence = sequence;
  flight.count = entry.count;
  flight.metrics = {};
  const Result<const Launch*> launch = flight.builder.build(*session_, entry, flight.metrics);
  flight.launched = live::monotonic_now();
  flight.begun = launch ? driver_->launch(**launch) : tl::unexpected(launch.error());
  flight.expected = flight.begun ? std::clamp(Duration{entry.expected_ns}, Duration{0}, kLongest) : Duration{0};
  if (flights_.empty()) watch(flight.launched, flight.expected);
  flights_.add();
}

// Waits for the end of the oldest launch, or until `until`. One that never began ends as soon as it is the oldest:
// completions come in the order of claims.
void Worker::await(Instant until, wire::CompletionProducer& completions) noexcept {
  Flight& flight = flights_.oldest();
  const Result<bool> over = flight.begun ? driver_->await(until) : tl::unexpected(flight.begun.error());
  if (over && !*over) return;
  const Instant ended = live::monotonic_now();
  // It waited for the one before it, if that ended later than it was launched.
  const Instant started = std::clamp(last_end_, flight.launched, ended);
  last_end_ = ended;
  wire::CompletionEntry* const out = completions.entry();
  if (out != nullptr) {  // else as in run()
    out->metrics = flight.metrics;
    complete(*out, flight, started, ended, over ? Result<void>{} : tl::unexpected(over.error()), completions);
  }
  flights_.remove(ended);
  flights_.empty() ? watch(kNever, {}) : watch(ended, flights_.oldest().expected);
}

// The launch that is the oldest now began then; kNever: none is under way.
void Worker::watch(Instant begun, Duration expected) noexcept {
  const Instant limit =
      begun == kNever ? kNever : begun + kHangFactor * std::clamp(expected, Duration{0}, kLongest) + kHangFloor;
  hangs_at_ns_.store(to_ns(limit), std::memory_order_relaxed);
}

void Worker::complete(wire::CompletionEntry& out, const Flight& flight, Instant started, Instant ended,
                      const Result<void>& outcome, wire::CompletionProducer& completions) noexcept {
  out.sequence = flight.sequence;
  out.started_ns = to_ns(started);
  out.ended_ns = to_ns(ended);
  out.status = outcome ? wire::RunStatus::ok : wire::RunStatus::failed;
  out.count = std::min<std::uint32_t>(flight.count, kMaxBatch);
  completions.publish();
  session_->completed.notify();
  if (outcome) {
    expected_ns_.store(expected_ns_.load(std::memory_order_relaxed) + to_ns(flight.expected),
                       std::memory_order_relaxed);
    measured_ns_.store(measured_ns_.load(std::memory_order_relaxed) + to_ns(ended - started),
                       std::memory_order_relaxed);
    return;
  }
  failure_text_.store(outcome.error().text);
  failure_vendor_.store(outcome.error().vendor);
  failures_.fetch_add(1);
  if (trouble_ != nullptr) trouble_->notify();
}

}  // namespace takt::executor
