// The worker's thread: it runs what is posted, allocates nothing while it does, and stops as it is told.
#include "executor/worker.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <optional>

#include "executor/driver_module.hpp"
#include "executor/in_process.hpp"
#include "support/allocation_counter.hpp"

namespace takt::executor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Driver& null_driver() {
  static const std::unique_ptr<Driver> driver = std::move(*load_driver("null", TAKT_DRIVERS));
  return *driver;
}

// Passes on to the null driver and watches the worker's thread from its first launch on.
class WatchingDriver final : public Driver {
 public:
  [[nodiscard]] DriverCaps caps() const noexcept override { return null_driver().caps(); }
  [[nodiscard]] Result<Opened> open(std::uint32_t, const AcceleratorConfig&) override { return Opened{}; }
  [[nodiscard]] Result<void> load(const Model&) override { return {}; }
  [[nodiscard]] Result<void> enter(std::uint32_t, Criticality worker) override {
    entered_as = worker;
    policy_at_enter = ::sched_getscheduler(0);
    cpus_at_enter = 0;
    cpu_set_t set;
    ::sched_getaffinity(0, sizeof(set), &set);
    cpus_at_enter = CPU_COUNT(&set);
    return enter_result;
  }
  [[nodiscard]] Result<void> prepare(std::uint32_t, Criticality) override {
    policy_at_prepare = ::sched_getscheduler(0);
    return {};
  }
  [[nodiscard]] Result<void> run(const Launch& launch) noexcept override {
    static thread_local std::optional<test::WatchAllocations> watch;
    if (!watch) watch.emplace();
    allocations = test::allocations_seen();
    return null_driver().run(launch);
  }

  std::optional<Criticality> entered_as;
  int policy_at_enter = -1, policy_at_prepare = -1, cpus_at_enter = 0;
  Result<void> enter_result;
  std::atomic<std::uint64_t> allocations{0};
};

test::FakeSession::Start segment(std::uint32_t variant, std::uint32_t slot_in, std::uint32_t slot_out,
                                 Duration time = {}) {
  return {.variant = variant,
          .first = variant == 0,
          .last = variant == 2,
          .expected = time,
          .jobs = {{.job = 1, .slot_in = slot_in, .slot_out = slot_out}}};
}

WorkerConfig config(Duration spin = {}) {
  return {.name = "test", .cores = {}, .spin = spin};
}

TEST(Worker, RunsAFrameThroughItsSegments) {
  test::InProcess session;
  session.describe(1, 0x1122334455667788);
  Worker worker(null_driver(), config());
  ASSERT_TRUE(worker.entered());
  worker.serve(session.view, session.shared.memory().lanes[0][1], nullptr);
  session.shared.post(10, segment(0, wire::kNoSlot, 3, milliseconds(2)));
  session.shared.post(11, segment(1, 3, 4));
  session.shared.post(12, segment(2, 4, wire::kNoSlot));
  Instant end{};
  for (std::uint64_t sequence = 10; sequence <= 12; ++sequence) {
    const auto done = session.shared.wait_completion();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->sequence, sequence);
    EXPECT_EQ(done->status, wire::RunStatus::ok);
    EXPECT_GE(instant_ns(done->started_ns), end);
    end = instant_ns(done->ended_ns);
    EXPECT_GE(end - instant_ns(done->started_ns), sequence == 10 ? milliseconds(2) : milliseconds(0));
  }
  EXPECT_EQ(session.tag_of_result(), 0x1122334455667788U);
  worker.stop(Worker::Stop::now);
  EXPECT_TRUE(worker.wait_idle(live::monotonic_now() + seconds(20)));
}

TEST(Worker, AllocatesNothingWhileItServes) {
  for (const Duration spin : {Duration{0}, Duration{std::chrono::microseconds(50)}}) {
    test::InProcess session;
    session.describe(1, 7);
    WatchingDriver driver;
    Worker worker(driver, config(spin));
    worker.serve(session.view, session.shared.memory().lanes[0][1], nullptr);
    for (std::uint64_t sequence = 1; sequence <= 3000; ++sequence) {
      const auto variant = static_cast<std::uint32_t>((sequence - 1) % 3);
      session.shared.job(1).inputs = sequence % 7 == 0 ? 0 : 1;  // some fail: that must not allocate either
      session.shared.post(sequence, segment(variant, variant > 0 ? 3 : wire::kNoSlot, variant < 2 ? 3 : wire::kNoSlot));
      const auto done = session.shared.wait_completion();
      ASSERT_TRUE(done);
    }
    EXPECT_EQ(driver.allocations.load(), 0U);
    worker.stop(Worker::Stop::now);
    ASSERT_TRUE(worker.wait_idle(live::monotonic_now() + seconds(20)));
  }
}

TEST(Worker, BadEntriesCompleteAsFailedAndGoodOnesGoOn) {
  test::InProcess session;
  session.describe(1, 9);
  Worker worker(null_driver(), config());
  worker.serve(session.view, session.shared.memory().lanes[0][1], nullptr);
  session.shared.post(1, segment(77, 0, 0));
  session.shared.post(2, segment(0, wire::kNoSlot, 1u << 30));
  session.shared.post(3, segment(0, wire::kNoSlot, 3));
  for (const wire::RunStatus status : {wire::RunStatus::failed, wire::RunStatus::failed, wire::RunStatus::ok}) {
    const auto done = session.shared.wait_completion();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->status, status);
  }
  EXPECT_EQ(worker.trouble().failures, 2U);
  EXPECT_NE(std::string(worker.trouble().text).find("slot"), std::string::npos);
  worker.stop(Worker::Stop::now);
  ASSERT_TRUE(worker.wait_idle(live::monotonic_now() + seconds(20)));
}

TEST(Worker, StopsAfterTheRunningLaunchAndLeavesWhatWasPosted) {
  test::InProcess session;
  session.describe(1, 9);
  Worker worker(null_driver(), config());
  worker.serve(session.view, session.shared.memory().lanes[0][1], nullptr);
  session.shared.post(1, segment(0, wire::kNoSlot, 3, milliseconds(50)));
  session.shared.post(2, segment(0, wire::kNoSlot, 3));
  while (session.shared.starts().unfinished() == 2 &&
         session.shared.memory().lanes[0][1].start.entries[0].word.load() ==
             wire::entry_word(1, wire::EntryState::posted))
    std::this_thread::yield();
  worker.stop(Worker::Stop::now);
  ASSERT_TRUE(worker.wait_idle(live::monotonic_now() + seconds(20)));
  const auto done = session.shared.wait_completion();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->sequence, 1U);
  EXPECT_TRUE(session.shared.starts().recall(2));
}

TEST(Worker, DrainRunsWhatWasPosted) {
  test::InProcess session;
  session.describe(1, 9);
  Worker worker(null_driver(), config());
  worker.serve(session.view, session.shared.memory().lanes[0][1], nullptr);
  for (std::uint64_t sequence = 1; sequence <= 5; ++sequence)
    session.shared.post(sequence, segment(0, wire::kNoSlot, 3, milliseconds(2)));
  worker.stop(Worker::Stop::drain);
  ASSERT_TRUE(worker.wait_idle(live::monotonic_now() + seconds(20)));
  for (std::uint64_t sequence = 1; sequence <= 5; ++sequence) EXPECT_TRUE(session.shared.wait_completion());
}

TEST(Worker, ServesOneSessionAfterAnother) {
  Worker worker(null_driver(), config());
  for (std::uint64_t round = 1; round <= 20; ++round) {
    test::InProcess session;
    session.describe(1, round);
    worker.serve(session.view, session.shared.memory().lanes[0][1], nullptr);
    session.shared.post(round * 100, segment(0, wire::kNoSlot, 3));
    ASSERT_TRUE(session.shared.wait_completion());
    worker.stop(Worker::Stop::now);
    ASSERT_TRUE(worker.wait_idle(live::monotonic_now() + seconds(20)));
  }
}

TEST(Worker, EntersTheDriverPinnedAndPreparesBeforeItBecomesRealTime) {
  WatchingDriver driver;
  test::InProcess session;
  Worker worker(driver, {.realtime = true, .priority = 5, .name = "test", .cores = {0}});
  EXPECT_EQ(driver.entered_as, Criticality::hard);
  EXPECT_EQ(driver.cpus_at_enter, 1);
  EXPECT_EQ(driver.policy_at_enter, SCHED_OTHER);
  EXPECT_EQ(driver.policy_at_prepare, -1) << "before there is a session there is nothing to prepare";
  worker.serve(session.view, session.shared.memory().lanes[0][0], nullptr);
  ASSERT_TRUE(worker.await_prepared());
  EXPECT_EQ(driver.policy_at_prepare, SCHED_OTHER);
  EXPECT_EQ(worker.fifo().granted, worker.fifo().text.empty());
  worker.stop(Worker::Stop::now);
  EXPECT_TRUE(worker.wait_idle(live::monotonic_now() + seconds(20)));
}

TEST(Worker, ReportsADriverThatCannotEnterAndCoresThatAreNotThere) {
  WatchingDriver driver;
  driver.enter_result = fail(Code::system, "no queue");
  EXPECT_FALSE(Worker(driver, config()).entered());
  EXPECT_FALSE(Worker(null_driver(), {.name = "test", .cores = {1000}}).entered());
}

TEST(DriverModule, SaysWhyADriverCannotBeHad) {
  const auto missing = load_driver("nowhere", TAKT_DRIVERS);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().to_string().find("takt-driver-nowhere.so"), std::string::npos);
}

}  // namespace
}  // namespace takt::executor
