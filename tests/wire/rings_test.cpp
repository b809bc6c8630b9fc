// The rings between broker and executor: their rules one by one, then both ends against each other.
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "live/futex.hpp"
#include "takt/result.hpp"
#include "wire/ring_ops.hpp"

namespace takt::wire {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::uint64_t kStress = 200'000;
#else
constexpr std::uint64_t kStress = 600'000;
#endif

// Both ends of one lane.
struct Lane {
  std::unique_ptr<LaneRings> rings = std::make_unique<LaneRings>();
  StartProducer starts{rings->start};
  StartConsumer work{rings->start};
  CompletionProducer done{rings->completion};
  CompletionConsumer completions{rings->completion};

  bool post(std::uint64_t sequence) {
    starts.entry().variant = static_cast<std::uint32_t>(sequence);
    return starts.publish(sequence);
  }
  void complete(std::uint64_t sequence) {
    CompletionEntry* const e = done.entry();
    ASSERT_NE(e, nullptr);
    e->sequence = sequence;
    e->status = RunStatus::ok;
    e->count = 1;
    done.publish();
  }
};

TEST(StartRing, HandsEntriesOverInOrderWithTheirPayload) {
  Lane lane;
  (void)lane.post(10);
  (void)lane.post(12);  // sequences rise, gaps are allowed
  const StartEntry* const first = lane.work.try_claim();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(lane.work.sequence(), 10U);
  EXPECT_EQ(first->variant, 10U);
  ASSERT_NE(lane.work.try_claim(), nullptr);
  EXPECT_EQ(lane.work.sequence(), 12U);
  EXPECT_EQ(lane.work.try_claim(), nullptr);
}

TEST(StartRing, RecallWinsBeforeTheClaimAndLosesAfterIt) {
  Lane lane;
  (void)lane.post(1);
  EXPECT_TRUE(lane.starts.recall(1));
  EXPECT_FALSE(lane.starts.recall(1));
  EXPECT_EQ(lane.work.try_claim(), nullptr);
  (void)lane.post(2);
  ASSERT_NE(lane.work.try_claim(), nullptr);
  EXPECT_EQ(lane.work.sequence(), 2U);
  EXPECT_FALSE(lane.starts.recall(2));
  EXPECT_EQ(lane.starts.unfinished(), 1U);
}

TEST(StartRing, RecallsOnlyTheNewest) {
  Lane lane;
  (void)lane.post(1);
  (void)lane.post(2);
  EXPECT_FALSE(lane.starts.recall(1));
  EXPECT_TRUE(lane.starts.recall(2));
  EXPECT_TRUE(lane.starts.recall(1));
  EXPECT_EQ(lane.starts.unfinished(), 0U);
}

TEST(StartRing, ManyRecallsBehindOneRunningEntryNeverFillIt) {
  Lane lane;
  (void)lane.post(1);
  ASSERT_NE(lane.work.try_claim(), nullptr);
  for (std::uint64_t sequence = 2; sequence < 200; ++sequence) {
    ASSERT_FALSE(lane.starts.full());
    (void)lane.post(sequence);
    ASSERT_TRUE(lane.starts.recall(sequence));
  }
  (void)lane.post(200);
  const StartEntry* const next = lane.work.try_claim();
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(next->variant, 200U);
  EXPECT_TRUE(lane.starts.finish(1));
  EXPECT_TRUE(lane.starts.finish(200));
}

TEST(StartRing, IsFullBeforeAnUnfinishedEntryWouldBeReused) {
  Lane lane;
  std::uint64_t sequence = 0;
  while (!lane.starts.full()) (void)lane.post(++sequence);
  EXPECT_EQ(sequence, kStartEntries - 1);
  ASSERT_NE(lane.work.try_claim(), nullptr);
  EXPECT_TRUE(lane.starts.full());
  EXPECT_TRUE(lane.starts.finish(1));
  EXPECT_FALSE(lane.starts.full());
}

TEST(StartRing, AcceptsOnlyTheOldestUnfinishedAsFinished) {
  Lane lane;
  EXPECT_FALSE(lane.starts.finish(0));
  (void)lane.post(1);
  (void)lane.post(2);
  EXPECT_FALSE(lane.starts.finish(2));
  EXPECT_FALSE(lane.starts.finish(77));
  EXPECT_TRUE(lane.starts.finish(1));
  EXPECT_FALSE(lane.starts.finish(1));
}

TEST(StartRing, SaysWhetherSomebodySleeps) {
  Lane lane;
  EXPECT_FALSE(lane.post(1));
  lane.work.announce_sleep();
  EXPECT_TRUE(lane.post(2));
  lane.work.awake();
  EXPECT_FALSE(lane.post(3));
}

TEST(StartRing, WildStoresOfAnExecutorDoNotMisleadTheBroker) {
  Lane lane;
  (void)lane.post(1);
  for (StartEntry& e : lane.rings->start.entries) e.word.store(~std::uint64_t{0});
  EXPECT_FALSE(lane.starts.recall(1));
  EXPECT_EQ(lane.starts.unfinished(), 1U);
  EXPECT_TRUE(lane.starts.finish(1));
}

TEST(CompletionRing, BringsEntriesInOrderAndWaitsForTheBroker) {
  Lane lane;
  CompletionEntry e;
  EXPECT_EQ(lane.completions.pop(e), CompletionConsumer::Pop::nothing);
  for (std::uint64_t n = 0; n < kCompletionEntries; ++n) lane.complete(n);
  EXPECT_EQ(lane.done.entry(), nullptr);
  for (std::uint64_t n = 0; n < kCompletionEntries; ++n) {
    ASSERT_EQ(lane.completions.pop(e), CompletionConsumer::Pop::entry);
    EXPECT_EQ(e.sequence, n);
  }
  EXPECT_NE(lane.done.entry(), nullptr);
}

TEST(CompletionRing, CallsNonsenseCorrupt) {
  CompletionEntry e;
  for (const std::uint64_t head : {std::uint64_t{17}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    Lane lane;
    lane.rings->completion.head.store(head);
    EXPECT_EQ(lane.completions.pop(e), CompletionConsumer::Pop::corrupt) << head;
  }
  Lane many;
  many.done.entry()->count = kMaxBatch + 1;
  many.done.publish();
  EXPECT_EQ(many.completions.pop(e), CompletionConsumer::Pop::corrupt);
  Lane odd;
  odd.done.entry()->status = static_cast<RunStatus>(7);
  odd.done.publish();
  EXPECT_EQ(odd.completions.pop(e), CompletionConsumer::Pop::corrupt);
}

// Checks on both threads abort: a test that went on after the rings broke would never end.

// A worker as in the executor: claims, checks the payload, completes; sleeps when there is nothing. Ends at `last`.
void work_until(Lane& lane, std::uint64_t last, std::vector<std::uint8_t>& ran) {
  for (;;) {
    const std::uint32_t bell = lane.work.doorbell().load();
    const StartEntry* const e = lane.work.try_claim();
    if (e == nullptr) {
      lane.work.announce_sleep();
      live::futex_wait(lane.work.doorbell(), bell);
      lane.work.awake();
      continue;
    }
    const std::uint64_t sequence = lane.work.sequence();
    TAKT_CHECK(e->variant == static_cast<std::uint32_t>(sequence));
    TAKT_CHECK(e->jobs[0].job == static_cast<std::uint32_t>(~sequence));
    ++ran[sequence];
    lane.complete(sequence);
    if (sequence == last) return;
  }
}

// The broker of the two stress tests: keeps some entries posted, recalls at random, pops completions.
struct Broker {
  Lane& lane;
  std::vector<std::uint8_t>& recalled;
  std::vector<std::uint8_t>& completed;
  std::mt19937 random{7};
  std::vector<std::uint64_t> posted{};  // and not recalled; the newest last

  void post(std::uint64_t sequence) {
    StartEntry& e = lane.starts.entry();
    e.variant = static_cast<std::uint32_t>(sequence);
    e.jobs[0].job = static_cast<std::uint32_t>(~sequence);
    posted.push_back(sequence);
    if (lane.starts.publish(sequence)) live::futex_wake(lane.starts.doorbell());
  }
  void recall_newest() {
    if (posted.empty() || !lane.starts.recall(posted.back())) return;
    ++recalled[posted.back()];
    posted.pop_back();
  }
  void pop() {
    CompletionEntry e;
    CompletionConsumer::Pop popped = lane.completions.pop(e);
    for (; popped == CompletionConsumer::Pop::entry; popped = lane.completions.pop(e)) {
      TAKT_CHECK(lane.starts.finish(e.sequence));
      ++completed[e.sequence];
      std::erase(posted, e.sequence);
    }
    TAKT_CHECK(popped == CompletionConsumer::Pop::nothing);
  }
};

TEST(LaneRings, EachSequenceRunsOrIsRecalledExactlyOnceUnderRaces) {
  Lane lane;
  std::vector<std::uint8_t> ran(kStress + 1), recalled(kStress + 1), completed(kStress + 1);
  std::thread worker([&] { work_until(lane, kStress, ran); });
  Broker broker{.lane = lane, .recalled = recalled, .completed = completed};
  for (std::uint64_t sequence = 1; sequence <= kStress; ++sequence) {
    for (; lane.starts.full(); std::this_thread::yield()) broker.pop();
    broker.post(sequence);
    if (sequence == kStress) break;
    // One, sometimes several, of the newest are taken back right away or after a few posts: the worker is about to
    // claim them.
    for (auto n = broker.random() % 4; n > 1; --n) broker.recall_newest();
    if (broker.random() % 2 == 0) broker.pop();
  }
  for (; completed[kStress] == 0; std::this_thread::yield()) broker.pop();
  worker.join();
  std::uint64_t runs = 0, recalls = 0;
  for (std::uint64_t sequence = 1; sequence <= kStress; ++sequence) {
    ASSERT_EQ(ran[sequence] + recalled[sequence], 1) << sequence;
    ASSERT_EQ(completed[sequence], ran[sequence]) << sequence;
    runs += ran[sequence];
    recalls += recalled[sequence];
  }
  EXPECT_GT(runs, kStress / 100);
  EXPECT_GT(recalls, kStress / 100);
}

// Posts only into an idle ring, so that the worker is always about to sleep: a lost wake-up would hang this test.
TEST(LaneRings, NoPostIsMissedByAWorkerThatFallsAsleep) {
  Lane lane;
  constexpr std::uint64_t kPosts = kStress / 10;
  std::vector<std::uint8_t> ran(kPosts + 1), recalled(kPosts + 1), completed(kPosts + 1);
  std::thread worker([&] { work_until(lane, kPosts, ran); });
  Broker broker{.lane = lane, .recalled = recalled, .completed = completed};
  for (std::uint64_t sequence = 1; sequence <= kPosts; ++sequence) {
    for (auto n = broker.random() % 200; n > 0; --n) asm volatile("");
    broker.post(sequence);
    for (; completed[sequence] == 0; std::this_thread::yield()) broker.pop();
  }
  worker.join();
  EXPECT_EQ(ran[kPosts], 1);
}

}  // namespace
}  // namespace takt::wire
