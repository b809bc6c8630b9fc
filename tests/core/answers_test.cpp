// Answers: each accepted frame gets exactly one, of the right kind and at the right time.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

StreamSpec finishing(ModelId model, Duration relative_deadline) {
  StreamSpec spec = soft(model, relative_deadline);
  spec.late = LateRule::finish;
  return spec;
}

TEST(Answer, SaysWhereTheTimeWent) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2), ms(3)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(soft(model, ms(10)));
  w.release(s);
  w.run();
  const Answer a = w.answer_of(s, 0);
  EXPECT_EQ(a.verdict, Verdict::done);
  EXPECT_TRUE(a.has_result);
  EXPECT_EQ(a.route, RouteId{0u});
  EXPECT_EQ(a.accelerator, AcceleratorId{0u});
  EXPECT_EQ(a.release, at(ms(0)));
  EXPECT_EQ(a.first_start, at(ms(0))) << "a start at time zero is a start";
  EXPECT_EQ(a.end, at(ms(5)));
  EXPECT_EQ(a.deadline, at(ms(10)));
  EXPECT_EQ(a.executed, ms(5));
  EXPECT_EQ(a.segments, 2u);
  EXPECT_EQ(a.largest_batch, 1u);
  EXPECT_FALSE(a.child_follows);
  EXPECT_EQ(w.frame(s, 0).notices, 0u);
  w.expect_settled();
}

TEST(Answer, IsDoneWhenTheEndIsExactlyAtTheDeadline) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(10)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(soft(model, ms(10)));
  w.release(s);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
}

TEST(Answer, IsNotDoneOneNanosecondAfterTheDeadline) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(10)});
  for (const LateRule late : {LateRule::abort, LateRule::finish}) {
    VirtualWorld w(catalog);
    StreamSpec spec = soft(model, ms(10) - Duration{1});
    spec.late = late;
    const StreamId s = w.open(spec);
    w.release(s);
    w.run();
    EXPECT_EQ(w.verdict_of(s, 0), late == LateRule::abort ? Verdict::missed : Verdict::late);
    EXPECT_EQ(w.answer_of(s, 0).has_result, late == LateRule::finish);
    w.expect_settled();
  }
}

TEST(Answer, IsNotDoneIfTheCoreLearnsOfTheEndAfterTheDeadline) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(10)});
  VirtualWorld w(catalog, {.hops = {.to_core = us(5)}});
  const StreamId s = w.open(soft(model, ms(10)));
  w.release(s);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::missed);
}

TEST(LateRuleAbort, TellsAtTheDeadlineAndEndsWithTheRunningSegment) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4), ms(4), ms(4)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(soft(model, ms(5)));
  w.release(s);
  w.run_until(at(ms(5)));
  EXPECT_EQ(w.frame(s, 0).notices, 1u);
  EXPECT_EQ(w.frame(s, 0).answers, 0u);
  w.run();
  const Answer a = w.answer_of(s, 0);
  EXPECT_EQ(a.verdict, Verdict::missed);
  EXPECT_EQ(a.end, at(ms(8)));
  EXPECT_EQ(a.segments, 2u);
  EXPECT_FALSE(a.has_result);
  EXPECT_EQ(w.ran_of(s, 0).size(), 2u) << "the third segment must not run";
  w.expect_settled();
}

TEST(LateRuleAbort, TakesBackWhatWasPostedAhead) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4), ms(4), ms(4)});
  VirtualWorld w(catalog, {.core = serial_core(1, 2)});
  const StreamId s = w.open(soft(model, ms(3)));
  w.release(s);
  w.run();
  EXPECT_EQ(w.answer_of(s, 0).end, at(ms(4)));
  EXPECT_EQ(w.ran_of(s, 0).size(), 1u);
  w.expect_settled();
}

TEST(LateRuleAbort, EndsAWaitingJobAtItsDeadline) {
  Catalog catalog;
  const ModelId slow = catalog.chain({ms(20)}), quick = catalog.chain({ms(1)});
  VirtualWorld w(catalog);
  const StreamId a = w.open(soft(slow, ms(100))), b = w.open(soft(quick, ms(5)));
  w.release(a);
  w.decide();
  w.release(b);
  w.run();
  EXPECT_EQ(w.verdict_of(b, 0), Verdict::missed);
  EXPECT_EQ(w.answer_of(b, 0).end, at(ms(5)));
  EXPECT_EQ(w.frame(b, 0).notices, 0u) << "the answer itself is the news";
  EXPECT_FALSE(w.answer_of(b, 0).route.valid()) << "nothing of it ran";
  EXPECT_EQ(w.verdict_of(a, 0), Verdict::done);
}

TEST(LateRuleFinish, TellsAtTheDeadlineAndAnswersLateWithTheResult) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4), ms(4), ms(4)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(finishing(model, ms(5)));
  w.release(s);
  w.run_until(at(ms(5)));
  EXPECT_EQ(w.frame(s, 0).notices, 1u);
  w.run();
  const Answer a = w.answer_of(s, 0);
  EXPECT_EQ(a.verdict, Verdict::late);
  EXPECT_EQ(a.end, at(ms(12)));
  EXPECT_TRUE(a.has_result);
  EXPECT_EQ(w.frame(s, 0).notices, 1u);
  w.expect_settled();
}

TEST(LateRuleFinish, TellsOfAWaitingJobAndRunsItLater) {
  Catalog catalog;
  const ModelId slow = catalog.chain({ms(20)}), quick = catalog.chain({ms(1)});
  VirtualWorld w(catalog);
  const StreamId a = w.open(soft(slow, ms(100))), b = w.open(finishing(quick, ms(5)));
  w.release(a);
  w.decide();
  w.release(b);
  w.run_until(at(ms(5)));
  EXPECT_EQ(w.frame(b, 0).notices, 1u);
  w.run();
  EXPECT_EQ(w.verdict_of(b, 0), Verdict::late);
  EXPECT_EQ(w.answer_of(b, 0).end, at(ms(21)));
}

TEST(Deadline, InThePastAtReleaseIsMissedAtOnce) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(soft(model, ms(5)));
  w.run_until(at(ms(10)));
  w.release(s, at(ms(9)));
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::missed);
  EXPECT_EQ(w.answer_of(s, 0).end, at(ms(10)));
  EXPECT_TRUE(w.ran().empty());
}

TEST(Deadline, InThePastAtReleaseStillRunsUnderFinish) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(finishing(model, ms(5)));
  w.run_until(at(ms(10)));
  w.release(s, at(ms(9)));
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::late);
  EXPECT_EQ(w.frame(s, 0).notices, 1u);
}

TEST(Deadline, OfAFrameTakesThePlaceOfTheStreams) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(6)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(soft(model, ms(5)));
  w.release(s, at(ms(7)));
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  EXPECT_EQ(w.answer_of(s, 0).deadline, at(ms(7)));
}

TEST(Deadline, OfAStreamWithoutOneIsNever) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(6)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(soft(model, Duration{}));
  w.release(s);
  w.decide();
  EXPECT_EQ(w.core().next_wake(), kNever);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
}

TEST(Deadline, FromAClientMayBeAbsurd) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(6)});
  for (const LateRule late : {LateRule::abort, LateRule::finish}) {
    for (const char* policy : {"edf+early_drop+fit", "llf+early_drop+fit"}) {
      VirtualWorld w(catalog, {.policy = policy});
      StreamSpec spec = soft(model, ms(100));
      spec.late = late;
      const StreamId s = w.open(spec);
      w.run_until(at(ms(1)));
      for (const Instant deadline :
           {Instant::min(), Instant{} - ms(1), Instant{}, Instant::max(), kNever - Duration{1}})
        w.release(s, deadline);
      w.run();
      const Verdict too_late = late == LateRule::abort ? Verdict::missed : Verdict::late;
      for (std::uint32_t i = 0; i < 5; ++i)
        EXPECT_EQ(w.verdict_of(s, i), i < 3 ? too_late : Verdict::done) << "frame " << i;
      w.expect_settled();
    }
  }
}

TEST(Failure, AnswersErrorAndLeavesOthersAlone) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2), ms(2)});
  VirtualWorld w(catalog, {.core = serial_core(1, 1)});
  const StreamId a = w.open(soft(model, ms(50))), b = w.open(soft(model, ms(60)));
  w.release(a);
  w.release(b);
  w.executors().fail_next(AcceleratorId{0u});
  w.run();
  EXPECT_EQ(w.verdict_of(a, 0), Verdict::error);
  EXPECT_FALSE(w.answer_of(a, 0).has_result);
  EXPECT_EQ(w.verdict_of(b, 0), Verdict::done);
  w.expect_settled();
}

TEST(Failure, OfTheLastSegmentReleasesNoChild) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2)});
  VirtualWorld w(catalog);
  const StreamId a = w.open(soft(model, ms(50)));
  StreamSpec spec = soft(model, ms(50));
  spec.parent = a;
  w.open(spec);
  w.release(a);
  w.executors().fail_next(AcceleratorId{0u});
  w.run();
  EXPECT_EQ(w.verdict_of(a, 0), Verdict::error);
  EXPECT_EQ(w.frames().size(), 1u);
}

TEST(Release, IsRefusedWithoutAnAnswerWhenTheJobTableIsFull) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2)});
  CoreConfig core = serial_core();
  core.max_jobs = 2;
  VirtualWorld w(catalog, {.core = core});
  const StreamId s = w.open(soft(model, ms(50)));
  EXPECT_TRUE(w.release(s));
  EXPECT_TRUE(w.release(s));
  const auto third = w.core().release(s, w.now());
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Code::no_capacity);
  w.run();
  EXPECT_TRUE(w.release(s)) << "there is room again";
  w.run();
  w.expect_settled();
}

TEST(Release, IsRefusedForAStreamThatIsNotOpen) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(soft(model, ms(50)));
  w.close(s);
  for (const StreamId id : {s, StreamId{7u}, StreamId{1000000u}, StreamId{}}) {
    const auto job = w.core().release(id, w.now());
    ASSERT_FALSE(job);
    EXPECT_EQ(job.error().code, Code::not_found);
  }
}

TEST(Completion, OfAnUnknownLaunchIsIgnored) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(soft(model, ms(50)));
  w.release(s);
  w.decide();
  for (const std::uint64_t sequence : {std::uint64_t{0}, std::uint64_t{2}, ~std::uint64_t{0}})
    w.core().completed(AcceleratorId{0u}, Lane::normal, {.sequence = sequence}, w.now());
  w.core().completed(AcceleratorId{0u}, Lane::realtime, {.sequence = 1}, w.now());
  w.core().completed(AcceleratorId{9u}, Lane::normal, {.sequence = 1}, w.now());
  EXPECT_EQ(w.frame(s, 0).answers, 0u);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
}

}  // namespace
}  // namespace takt::test
