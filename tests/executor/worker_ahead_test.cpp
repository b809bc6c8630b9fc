// The worker with a driver that takes a second launch before the first has ended: when it claims, what order
// completions have, and what a failure or a stop leaves.
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <thread>

#include "executor/driver_module.hpp"
#include "executor/in_process.hpp"
#include "executor/scripted_driver.hpp"
#include "executor/worker.hpp"
#include "support/allocation_counter.hpp"

namespace takt::executor {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::RunStatus;

// Far from its end for as long as a test can take; and due at once.
constexpr Duration kLong = hours(1), kDue{0};

class WorkerAhead : public ::testing::Test {
 protected:
  test::InProcess session_;
  test::ScriptedDriver driver_;
  std::optional<Worker> worker_;

  void SetUp() override {
    session_.describe(1, 7);
    worker_.emplace(driver_, WorkerConfig{.name = "test", .cores = {}});
  }
  void TearDown() override {
    if (worker_->idle()) return;
    worker_->stop(Worker::Stop::now);
    for (int i = 0; i < 4; ++i) driver_.end();
    EXPECT_TRUE(worker_->wait_idle(live::monotonic_now() + seconds(20)));
  }
  void serve() { worker_->serve(session_.view, session_.shared.memory().lanes[0][1], nullptr); }
  void post(std::uint64_t sequence, Duration expected, std::uint32_t variant = 0) {
    session_.shared.post(sequence, {.variant = variant,
                                    .first = true,
                                    .last = false,
                                    .expected = expected,
                                    .jobs = {{.job = 1, .slot_in = wire::kNoSlot, .slot_out = 3}}});
  }
  wire::CompletionEntry complete(std::uint64_t sequence) {
    const auto done = session_.shared.wait_completion();
    EXPECT_TRUE(done) << sequence;
    if (!done) return {};
    EXPECT_EQ(done->sequence, sequence);
    return *done;
  }
  bool recall(std::uint64_t sequence) { return session_.shared.starts().recall(sequence); }
};

TEST_F(WorkerAhead, LeavesTheNextEntryRecallableWhileTheRunningOneIsFarFromItsEnd) {
  post(1, kLong);
  post(2, kLong);
  serve();
  ASSERT_TRUE(driver_.wait_awaiting());
  EXPECT_TRUE(recall(2));
  EXPECT_EQ(driver_.launched(), 1U);
  post(3, kLong);
  driver_.end();
  EXPECT_EQ(complete(1).status, RunStatus::ok);
  ASSERT_TRUE(driver_.wait_launched(2));
  driver_.end();
  EXPECT_EQ(complete(3).status, RunStatus::ok);
}

TEST_F(WorkerAhead, TellsWhenTheOldestLaunchShouldHaveEndedLongAgo) {
  EXPECT_EQ(worker_->hangs_at(), kNever);
  const Instant before = live::monotonic_now();
  post(1, hours(1));
  serve();
  ASSERT_TRUE(driver_.wait_awaiting());
  EXPECT_GE(worker_->hangs_at(), before + hours(3));
  EXPECT_LT(worker_->hangs_at(), live::monotonic_now() + hours(3) + seconds(2));
  driver_.end();
  complete(1);
  while (worker_->hangs_at() != kNever) std::this_thread::yield();
}

TEST_F(WorkerAhead, LaunchesTheNextOneBeforeTheFirstEndsAndNoThird) {
  serve();
  for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) post(sequence, kDue);
  ASSERT_TRUE(driver_.wait_launched(2));
  ASSERT_TRUE(driver_.wait_awaiting());
  EXPECT_TRUE(recall(3));
  driver_.end();
  const auto first = complete(1);
  driver_.end();
  const auto second = complete(2);
  EXPECT_EQ(driver_.most_under_way(), 2U);
  EXPECT_EQ(second.started_ns, first.ended_ns);
  EXPECT_GE(first.ended_ns, first.started_ns);
  EXPECT_GE(second.ended_ns, second.started_ns);
}

TEST_F(WorkerAhead, LaunchesWhatIsPostedWhileTheRunningOneIsDue) {
  serve();
  post(1, kDue);
  ASSERT_TRUE(driver_.wait_launched(1));
  ASSERT_TRUE(driver_.wait_awaits(3));
  post(2, kDue);
  EXPECT_TRUE(driver_.wait_launched(2));
  driver_.end();
  driver_.end();
  complete(1);
  complete(2);
}

TEST_F(WorkerAhead, StartsAtItsLaunchWhenNothingWasBeforeIt) {
  serve();
  post(1, kLong);
  ASSERT_TRUE(driver_.wait_launched(1));
  driver_.end();
  const auto first = complete(1);
  const std::int64_t between = to_ns(live::monotonic_now());
  post(2, kLong);
  driver_.end();
  EXPECT_GE(complete(2).started_ns, between);
  EXPECT_LT(first.ended_ns, between);
}

TEST_F(WorkerAhead, AFailureConcernsOneLaunchOnly) {
  serve();
  post(1, kDue);
  post(2, kDue);
  ASSERT_TRUE(driver_.wait_launched(2));
  driver_.end(false);
  driver_.end();
  EXPECT_EQ(complete(1).status, RunStatus::failed);
  EXPECT_EQ(complete(2).status, RunStatus::ok);
  EXPECT_EQ(worker_->trouble().failures, 1U);
}

TEST_F(WorkerAhead, WhatCannotBeginCompletesInItsOrder) {
  post(1, kDue);
  post(2, kDue, 77);  // no such variant
  serve();
  ASSERT_TRUE(driver_.wait_awaiting());  // both are claimed by then
  EXPECT_FALSE(session_.shared.wait_completion(1, milliseconds(0)));
  driver_.refuse_next_launch();
  driver_.end();
  EXPECT_EQ(complete(1).status, RunStatus::ok);
  EXPECT_EQ(complete(2).status, RunStatus::failed);
  post(3, kDue);
  EXPECT_EQ(complete(3).status, RunStatus::failed);
  post(4, kDue);
  driver_.end();
  EXPECT_EQ(complete(4).status, RunStatus::ok);
}

TEST_F(WorkerAhead, StopAwaitsWhatIsUnderWayAndLeavesTheRest) {
  serve();
  for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) post(sequence, kDue);
  ASSERT_TRUE(driver_.wait_launched(2));
  worker_->stop(Worker::Stop::now);
  EXPECT_FALSE(worker_->idle());
  driver_.end();
  complete(1);
  EXPECT_FALSE(worker_->idle());
  driver_.end();
  complete(2);
  ASSERT_TRUE(worker_->wait_idle(live::monotonic_now() + seconds(20)));
  EXPECT_TRUE(recall(3));
  EXPECT_EQ(driver_.launched(), 2U);
}

TEST_F(WorkerAhead, DrainRunsWhatWasPosted) {
  for (std::uint64_t sequence = 1; sequence <= 5; ++sequence) post(sequence, kDue);
  serve();
  ASSERT_TRUE(driver_.wait_launched(1));
  worker_->stop(Worker::Stop::drain);
  for (std::uint64_t sequence = 1; sequence <= 5; ++sequence) {
    driver_.end();
    EXPECT_EQ(complete(sequence).status, RunStatus::ok);
  }
  EXPECT_TRUE(worker_->wait_idle(live::monotonic_now() + seconds(20)));
}

TEST_F(WorkerAhead, AFailedPreparationIsTheAnswerAndNothingIsTaken) {
  driver_.prepare_result = fail(Code::no_memory, "no room for graphs");
  post(1, kDue);
  serve();
  const Result<void> prepared = worker_->await_prepared();
  ASSERT_FALSE(prepared);
  EXPECT_STREQ(prepared.error().text, "no room for graphs");
  EXPECT_TRUE(worker_->wait_idle(live::monotonic_now() + seconds(20)));
  EXPECT_TRUE(recall(1));
  EXPECT_EQ(driver_.prepared_as(), Criticality::soft);
  driver_.prepare_result = {};
  serve();
  EXPECT_TRUE(worker_->await_prepared());
  post(2, kDue);
  EXPECT_TRUE(driver_.wait_launched(1));
}

TEST_F(WorkerAhead, CountsExpectedTimeAndMeasuredTimeOfWhatWentWell) {
  serve();
  post(1, milliseconds(3));
  ASSERT_TRUE(driver_.wait_launched(1));
  driver_.end();
  const auto done = complete(1);
  post(2, milliseconds(3));
  driver_.end(false);
  complete(2);
  EXPECT_EQ(worker_->spent().expected, Duration{milliseconds(3)});
  EXPECT_EQ(to_ns(worker_->spent().measured), done.ended_ns - done.started_ns);
}

// Passes on to the null device and watches the worker's thread from its first launch on.
class WatchingDevice final : public Driver {
 public:
  WatchingDevice() {
    ::setenv("TAKT_NULL_DEVICE", "1", 1);
    device_ = std::move(*load_driver("null", TAKT_DRIVERS));
    ::unsetenv("TAKT_NULL_DEVICE");
    EXPECT_TRUE(device_->make_slots(test::FakeSession::kSlotBytes, test::FakeSession::kSlots));
  }
  [[nodiscard]] DriverCaps caps() const noexcept override { return device_->caps(); }
  [[nodiscard]] Result<Opened> open(std::uint32_t, const AcceleratorConfig&) override { return Opened{}; }
  [[nodiscard]] Result<void> load(const Model&) override { return {}; }
  [[nodiscard]] Result<void> enter(std::uint32_t, Criticality) override { return {}; }
  [[nodiscard]] Result<void> run(const Launch& launch) noexcept override { return device_->run(launch); }
  [[nodiscard]] Result<void> launch(const Launch& launch) noexcept override {
    static thread_local std::optional<test::WatchAllocations> watch;
    if (!watch) watch.emplace();
    allocations = test::allocations_seen();
    return device_->launch(launch);
  }
  [[nodiscard]] Result<bool> await(Instant until) noexcept override { return device_->await(until); }

  std::atomic<std::uint64_t> allocations{0};

 private:
  std::unique_ptr<Driver> device_;
};

TEST(WorkerOnADevice, RunsFramesByNumberWithoutAllocating) {
  test::InProcess session;
  session.view.slots = nullptr;
  session.describe(1, 0x1122334455667788);
  WatchingDevice driver;
  Worker worker(driver, {.name = "test", .cores = {}});
  worker.serve(session.view, session.shared.memory().lanes[0][1], nullptr);
  std::uint64_t sequence = 0;
  for (int frame = 0; frame < 500; ++frame) {
    session.shared.job(1).inputs = frame % 7 == 0 ? 0 : 1;  // some fail: that must not allocate either
    for (std::uint32_t k = 0; k < 3; ++k)
      session.shared.post(
          ++sequence,
          {.variant = k,
           .first = k == 0,
           .last = k == 2,
           .expected = std::chrono::microseconds(20),
           .jobs = {{.job = 1, .slot_in = k > 0 ? 3 : wire::kNoSlot, .slot_out = k < 2 ? 3 : wire::kNoSlot}}});
    for (std::uint32_t k = 0; k < 3; ++k) {
      const auto done = session.shared.wait_completion();
      ASSERT_TRUE(done);
      ASSERT_EQ(done->sequence, sequence - 2 + k);
      ASSERT_EQ(done->status == RunStatus::ok, k > 0 || frame % 7 != 0);
    }
  }
  EXPECT_EQ(session.tag_of_result(), 0x1122334455667788U);
  EXPECT_EQ(driver.allocations.load(), 0U);
  worker.stop(Worker::Stop::now);
  EXPECT_TRUE(worker.wait_idle(live::monotonic_now() + seconds(20)));
}

}  // namespace
}  // namespace takt::executor
