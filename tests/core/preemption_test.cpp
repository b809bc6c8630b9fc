// Segment boundaries: where jobs give way to each other, and what posting ahead may and may not change.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

using Starts = std::vector<Instant>;

// One long job of three segments of 5 ms from time 0, and a tight one of 1 ms.
struct LongAndTight {
  Catalog catalog;
  ModelId long_model = catalog.chain({ms(5), ms(5), ms(5)});
  ModelId tight_model = catalog.chain({ms(1)});
};

TEST(SegmentBoundary, LetsATighterJobPass) {
  for (const unsigned ahead : {0u, 1u, 2u, 3u}) {
    LongAndTight load;
    VirtualWorld w(load.catalog, {.core = serial_core(1, ahead)});
    const StreamId slow = w.open(soft(load.long_model, ms(100))), tight = w.open(soft(load.tight_model, ms(8)));
    w.release(slow);
    w.release_at(at(ms(2)), tight);
    w.run();
    EXPECT_EQ(w.starts_of(tight, 0), Starts{at(ms(5))}) << "posted ahead: " << ahead;
    EXPECT_EQ(w.starts_of(slow, 0), (Starts{at(ms(0)), at(ms(6)), at(ms(11))})) << "posted ahead: " << ahead;
    w.expect_settled();
  }
}

TEST(SegmentBoundary, KeepsTheJobThatRanksFirst) {
  LongAndTight load;
  VirtualWorld w(load.catalog, {.core = serial_core(1, 2)});
  const StreamId slow = w.open(soft(load.long_model, ms(20))), loose = w.open(soft(load.tight_model, ms(90)));
  w.release(slow);
  w.release_at(at(ms(2)), loose);
  w.run();
  EXPECT_EQ(w.starts_of(slow, 0), (Starts{at(ms(0)), at(ms(5)), at(ms(10))}));
  EXPECT_EQ(w.starts_of(loose, 0), Starts{at(ms(15))});
  EXPECT_EQ(w.count("recall"), 0u) << "nobody was to go before it";
}

TEST(PostingAhead, HidesTheWayToTheCoreAndBack) {
  const Hops hops{.to_worker = us(300), .to_core = us(700)};
  for (const bool ahead : {false, true}) {
    LongAndTight load;
    VirtualWorld w(load.catalog, {.core = serial_core(1, ahead ? 1 : 0), .hops = hops});
    const StreamId slow = w.open(soft(load.long_model, ms(100)));
    w.release(slow);
    w.run();
    const Duration gap = ahead ? Duration{} : ms(1);
    const Instant first = at(us(300));
    EXPECT_EQ(w.starts_of(slow, 0), (Starts{first, first + ms(5) + gap, first + 2 * (ms(5) + gap)}));
  }
}

TEST(PostingAhead, PostsNoMoreThanAllowed) {
  for (const unsigned ahead : {0u, 1u, 2u, 3u}) {
    Catalog catalog;
    const ModelId model = catalog.chain({ms(1), ms(1), ms(1), ms(1), ms(1), ms(1)});
    VirtualWorld w(catalog, {.core = serial_core(1, ahead)});
    const StreamId s = w.open(soft(model, ms(100)));
    w.release(s);
    w.decide();
    EXPECT_EQ(w.count("start"), 1u);
    EXPECT_EQ(w.count("post"), ahead);
    w.run();
    EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  }
}

TEST(PostingAhead, IsTakenBackWhenATighterJobArrives) {
  LongAndTight load;
  VirtualWorld w(load.catalog, {.core = serial_core(1, 2)});
  const StreamId slow = w.open(soft(load.long_model, ms(100))), tight = w.open(soft(load.tight_model, ms(8)));
  w.release(slow);
  w.run_until(at(ms(2)));
  EXPECT_EQ(w.count("post"), 2u);
  w.release(tight);
  w.decide();
  EXPECT_EQ(w.count("recall"), 2u);
  EXPECT_EQ(w.core().counters().recalls, 2u);
}

TEST(PostingAhead, NamesTheSegmentThatIsPostedInTheTrace) {
  LongAndTight load;
  VirtualWorld w(load.catalog, {.core = serial_core(1, 2)});
  const StreamId slow = w.open(soft(load.long_model, ms(100)), "slow"), tight = w.open(soft(load.tight_model, ms(8)));
  w.release(slow);
  w.run_until(at(ms(2)));
  w.release(tight);
  w.decide();
  for (const char* line : {"0,post,slow,0,1,a0,m0\n", "0,post,slow,0,2,a0,m0\n", "2000000,recall,slow,0,2,a0,m0\n",
                           "2000000,recall,slow,0,1,a0,m0\n"})
    EXPECT_NE(w.trace().find(line), std::string::npos) << line << w.trace();
}

// The first segment ends at 5 and its successor is claimed there; the core learns of it at 6, the tight job comes
// at 5.5.
TEST(PostingAhead, RespectsTheWorkerThatWasFaster) {
  LongAndTight load;
  VirtualWorld w(load.catalog, {.core = serial_core(1, 2), .hops = {.to_core = ms(1)}});
  const StreamId slow = w.open(soft(load.long_model, ms(100))), tight = w.open(soft(load.tight_model, ms(20)));
  w.release(slow);
  w.release_at(at(us(5500)), tight);
  w.run();
  EXPECT_EQ(w.starts_of(slow, 0), (Starts{at(ms(0)), at(ms(5)), at(ms(13))}))
      << "the claimed segment runs, no further one";
  EXPECT_EQ(w.starts_of(tight, 0), Starts{at(ms(11))});
  EXPECT_EQ(w.verdict_of(slow, 0), Verdict::done);
  w.expect_settled();
}

TEST(PostingAhead, DoesNotComeBackWhileThePolicyWantsToDecideAnew) {
  LongAndTight load;
  VirtualWorld w(load.catalog, {.core = serial_core(1, 1)});
  const StreamId slow = w.open(soft(load.long_model, ms(100))), tight = w.open(soft(load.tight_model, ms(8)));
  const StreamId loose = w.open(soft(load.tight_model, ms(500)));
  w.release(slow);
  w.release_at(at(ms(1)), tight);
  w.release_at(at(ms(2)), loose);
  w.release_at(at(ms(3)), loose);
  w.run_until(at(ms(4)));
  EXPECT_EQ(w.count("post"), 1u);
  EXPECT_EQ(w.count("recall"), 1u);
  w.cancel(1);  // the tight one
  w.decide();
  EXPECT_EQ(w.count("post"), 2u) << "now nobody goes before the running job";
}

TEST(PostingAhead, StaysWithinWhatHardStreamsAllowInOneRun) {
  Catalog catalog;
  const ModelId tiny = catalog.chain({ms(1)}), chain = catalog.chain({ms(2), ms(2), ms(2), ms(2)});
  VirtualWorld w(catalog, {.core = serial_core(1, 3)});
  w.open(hard(tiny, ms(6), ms(6)));  // leaves 5 ms: the running segment and one more
  const StreamId s = w.open(soft(chain, ms(100)));
  w.release(s);
  w.decide();
  EXPECT_EQ(w.count("post"), 1u);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
}

TEST(PostingAhead, GivesAFirstSegmentThatNobodyClaimedItsSlotBack) {
  Catalog catalog;
  const ModelId chain = catalog.chain({ms(2), ms(2)}), urgent = catalog.chain({ms(1)});
  VirtualWorld w(catalog, {.core = serial_core(1, 1, 2), .hops = {.to_worker = ms(1)}});
  const StreamId s = w.open(soft(chain, ms(100))), h = w.open(hard(urgent, ms(50), ms(50)));
  w.release(s);
  w.run_until(at(us(500)));
  EXPECT_EQ(w.core().free_slots(SlotPoolId{0u}), 1u);
  w.release(h);
  w.decide();
  EXPECT_EQ(w.core().free_slots(SlotPoolId{0u}), 2u) << "it has not begun, so it holds nothing";
  w.run();
  EXPECT_EQ(w.starts_of(h, 0), Starts{at(us(1500))});
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  w.expect_settled();
}

TEST(Cancel, OfAWaitingFrameAnswersAtOnce) {
  LongAndTight load;
  VirtualWorld w(load.catalog);
  const StreamId slow = w.open(soft(load.long_model, ms(100))), tight = w.open(soft(load.tight_model, ms(90)));
  w.release(slow);
  w.decide();
  const auto frame = w.release(tight);
  w.run_until(at(ms(1)));
  w.cancel(*frame);
  EXPECT_EQ(w.verdict_of(tight, 0), Verdict::cancelled);
  EXPECT_EQ(w.answer_of(tight, 0).end, at(ms(1)));
  w.run();
  EXPECT_EQ(w.verdict_of(slow, 0), Verdict::done);
  w.expect_settled();
}

TEST(Cancel, OfARunningFrameAnswersAtItsNextBoundary) {
  for (const unsigned ahead : {0u, 2u}) {
    LongAndTight load;
    VirtualWorld w(load.catalog, {.core = serial_core(1, ahead)});
    const StreamId slow = w.open(soft(load.long_model, ms(100)));
    const auto frame = w.release(slow);
    w.run_until(at(ms(1)));
    w.cancel(*frame);
    EXPECT_EQ(w.frame(slow, 0).answers, 0u) << "the executor still writes its memory";
    w.run();
    EXPECT_EQ(w.verdict_of(slow, 0), Verdict::cancelled);
    EXPECT_EQ(w.answer_of(slow, 0).end, at(ms(5)));
    w.expect_settled();
  }
}

TEST(Cancel, OfAFrameBetweenItsSegmentsAnswersAtOnce) {
  LongAndTight load;
  VirtualWorld w(load.catalog);
  const StreamId slow = w.open(soft(load.long_model, ms(100))), tight = w.open(soft(load.tight_model, ms(8)));
  const auto frame = w.release(slow);
  w.release_at(at(ms(2)), tight);
  w.run_until(at(us(5500)));  // the tight one runs, the slow one waits with a slot
  w.cancel(*frame);
  EXPECT_EQ(w.verdict_of(slow, 0), Verdict::cancelled);
  EXPECT_EQ(w.core().free_slots(SlotPoolId{0u}), 16u);
  w.run();
  w.expect_settled();
}

TEST(Cancel, OfAnEntryThatNobodyClaimedAnswersAtOnce) {
  LongAndTight load;
  VirtualWorld w(load.catalog, {.hops = {.to_worker = ms(1)}});
  const StreamId slow = w.open(soft(load.long_model, ms(100)));
  const auto frame = w.release(slow);
  w.run_until(at(us(500)));
  w.cancel(*frame);
  EXPECT_EQ(w.verdict_of(slow, 0), Verdict::cancelled);
  w.run();
  EXPECT_TRUE(w.ran().empty());
  w.expect_settled();
}

TEST(Cancel, AfterTheSuccessorWasClaimedWaitsForIt) {
  LongAndTight load;
  VirtualWorld w(load.catalog, {.core = serial_core(1, 1), .hops = {.to_core = ms(1)}});
  const StreamId slow = w.open(soft(load.long_model, ms(100)));
  const auto frame = w.release(slow);
  w.run_until(at(us(5500)));
  w.cancel(*frame);
  w.run();
  EXPECT_EQ(w.answer_of(slow, 0).end, at(ms(11)));
  EXPECT_EQ(w.verdict_of(slow, 0), Verdict::cancelled);
  EXPECT_EQ(w.ran_of(slow, 0).size(), 2u);
  w.expect_settled();
}

TEST(Cancel, TwiceOrOfAnUnknownJobDoesNothing) {
  LongAndTight load;
  VirtualWorld w(load.catalog);
  const StreamId slow = w.open(soft(load.long_model, ms(100)));
  const auto frame = w.release(slow);
  w.run_until(at(ms(1)));
  w.cancel(*frame);
  w.cancel(*frame);
  w.core().cancel(JobId{200u}, w.now());
  w.core().cancel(JobId{1u << 20}, w.now());
  w.core().cancel(JobId{}, w.now());
  w.run();
  EXPECT_EQ(w.verdict_of(slow, 0), Verdict::cancelled);
  w.expect_settled();
}

}  // namespace
}  // namespace takt::test
