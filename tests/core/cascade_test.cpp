// Cascades: when a child is released, with which deadline, and what becomes of it when its parent's stream goes.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

struct Cascade {
  Catalog catalog;
  ModelId parent_model = catalog.chain({ms(1), ms(2)});
  ModelId child_model = catalog.chain({ms(2)});

  [[nodiscard]] StreamSpec child_of(StreamId parent, Trigger trigger = {}, Duration deadline = ms(8)) const {
    StreamSpec spec = soft(child_model, deadline);
    spec.parent = parent;
    spec.trigger = trigger;
    return spec;
  }
};

bool child_comes(Trigger trigger, float metric) {
  Cascade c;
  VirtualWorld w(c.catalog);
  const StreamId parent = w.open(soft(c.parent_model, ms(10))), child = w.open(c.child_of(parent, trigger));
  w.release(parent);
  w.frame(parent, 0).metric = metric;
  w.run();
  w.expect_settled();
  const bool came = w.frames().size() == 2;
  EXPECT_EQ(w.answer_of(parent, 0).child_follows, came);
  if (came) {
    EXPECT_EQ(w.verdict_of(child, 0), Verdict::done);
  }
  return came;
}

TEST(Trigger, LessFiresUnderItsThreshold) {
  constexpr Trigger kTrigger{Trigger::Op::less, 0, 0.5F};
  EXPECT_TRUE(child_comes(kTrigger, 0.49F));
  EXPECT_FALSE(child_comes(kTrigger, 0.5F));
}

TEST(Trigger, GreaterEqualFiresFromItsThresholdOn) {
  constexpr Trigger kTrigger{Trigger::Op::greater_equal, 0, 0.5F};
  EXPECT_FALSE(child_comes(kTrigger, 0.49F));
  EXPECT_TRUE(child_comes(kTrigger, 0.5F));
}

TEST(Trigger, AlwaysFiresWhateverTheMetric) {
  EXPECT_TRUE(child_comes({Trigger::Op::always, 0, 0.5F}, 0.0F));
  EXPECT_TRUE(child_comes({Trigger::Op::always, 0, 0.5F}, 1.0F));
}

TEST(Child, IsReleasedWithItsParentsAnswerAndItsDeadlineCountsFromTheFrame) {
  Cascade c;
  VirtualWorld w(c.catalog);
  const StreamId parent = w.open(soft(c.parent_model, ms(10)), "p"), child = w.open(c.child_of(parent), "c");
  w.run_until(at(ms(100)));
  w.release(parent);
  w.run();
  const Answer a = w.answer_of(child, 0);
  EXPECT_EQ(a.release, at(ms(103)));
  EXPECT_EQ(a.deadline, at(ms(108)));
  EXPECT_EQ(a.verdict, Verdict::done);
  EXPECT_EQ(w.frame(parent, 0).children.size(), 1u);
  EXPECT_TRUE(w.answer_of(parent, 0).child_follows);
  EXPECT_LT(w.trace().find("done,p,0"), w.trace().find("release,c,0")) << "the parent's end comes first";
}

TEST(Child, WithoutADeadlineOfItsOwnTakesItsParents) {
  Cascade c;
  VirtualWorld w(c.catalog);
  const StreamId parent = w.open(soft(c.parent_model, ms(10))), child = w.open(c.child_of(parent, {}, Duration{}));
  w.release(parent, at(ms(7)));
  w.run();
  EXPECT_EQ(w.answer_of(child, 0).deadline, at(ms(7)));
}

TEST(Child, WhoseDeadlineHasPassedIsMissedAtOnce) {
  Cascade c;
  VirtualWorld w(c.catalog);
  const StreamId parent = w.open(soft(c.parent_model, ms(10))), child = w.open(c.child_of(parent, {}, ms(3)));
  w.release(parent);
  w.run();
  EXPECT_EQ(w.verdict_of(parent, 0), Verdict::done);
  EXPECT_EQ(w.verdict_of(child, 0), Verdict::missed);
  EXPECT_EQ(w.answer_of(child, 0).end, at(ms(3)));
}

TEST(Child, FollowsALateParentButNotAMissedOne) {
  for (const LateRule late : {LateRule::finish, LateRule::abort}) {
    Cascade c;
    VirtualWorld w(c.catalog);
    StreamSpec spec = soft(c.parent_model, ms(2));
    spec.late = late;
    const StreamId parent = w.open(spec);
    w.open(c.child_of(parent));
    w.release(parent);
    w.run();
    EXPECT_EQ(w.frames().size(), late == LateRule::finish ? 2u : 1u);
    w.expect_settled();
  }
}

TEST(Child, MayBeOneOfSeveralAndHaveChildrenItself) {
  Cascade c;
  VirtualWorld w(c.catalog);
  const StreamId parent = w.open(soft(c.parent_model, ms(50)));
  const StreamId first = w.open(c.child_of(parent, {}, ms(50))), second = w.open(c.child_of(parent, {}, ms(50)));
  const StreamId grandchild = w.open(c.child_of(first, {}, ms(50)));
  w.release(parent);
  w.run();
  EXPECT_EQ(w.frame(parent, 0).children.size(), 2u);
  for (const StreamId s : {first, second, grandchild}) EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  EXPECT_EQ(w.answer_of(grandchild, 0).deadline, w.answer_of(parent, 0).release + ms(50)) << "from the frame's release";
  w.expect_settled();
}

TEST(Child, ObeysItsQueueRule) {
  Cascade c;
  const ModelId blocker = c.catalog.chain({ms(20)});
  VirtualWorld w(c.catalog, {.policy = "fcfs"});
  const StreamId parent = w.open(soft(c.parent_model, ms(500)));
  StreamSpec spec = c.child_of(parent, {}, ms(500));
  spec.queue = QueueRule::newest_wins;
  const StreamId child = w.open(spec), other = w.open(soft(blocker, ms(500)));
  w.release(parent);
  w.release(parent);
  w.release(other);
  w.run();
  EXPECT_EQ(w.verdict_of(child, 0), Verdict::superseded);
  EXPECT_EQ(w.verdict_of(child, 1), Verdict::done);
  w.expect_settled();
}

TEST(Child, CannotBeReleasedByAClient) {
  Cascade c;
  VirtualWorld w(c.catalog);
  const StreamId parent = w.open(soft(c.parent_model, ms(10))), child = w.open(c.child_of(parent));
  const auto job = w.core().release(child, w.now());
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().code, Code::invalid_argument);
}

TEST(Child, ForWhichThereIsNoPlaceIsForgotten) {
  Cascade c;
  VirtualWorld w(c.catalog);
  const StreamId parent = w.open(soft(c.parent_model, ms(10)));
  StreamSpec spec = c.child_of(parent);
  spec.queue = QueueRule::newest_wins;
  w.open(spec);
  w.refuse_children();
  for (int i = 0; i < 3; ++i) w.release(parent);
  w.run();
  EXPECT_FALSE(w.answer_of(parent, 0).child_follows);
  EXPECT_EQ(w.frames().size(), 3u);
  w.expect_settled();
}

TEST(Child, ThatFindsTheJobTableFullIsLeftOut) {
  Cascade c;
  CoreConfig core = serial_core();
  core.max_jobs = 2;
  VirtualWorld w(c.catalog, {.core = core});
  const StreamId parent = w.open(soft(c.parent_model, ms(90)));
  w.open(c.child_of(parent, {}, ms(90)));
  w.release(parent);
  w.release(parent);
  w.run();
  EXPECT_EQ(w.verdict_of(parent, 0), Verdict::done);
  EXPECT_FALSE(w.answer_of(parent, 0).child_follows);
  w.expect_settled();
}

TEST(Child, IsRefusedWithoutAUsableParent) {
  Cascade c;
  VirtualWorld w(c.catalog);
  const StreamId parent = w.open(soft(c.parent_model, ms(10)));
  StreamSpec hard_child = c.child_of(parent);
  hard_child.criticality = Criticality::hard;
  hard_child.period = ms(100);
  const StreamSpec bad[] = {c.child_of(StreamId{20u}), c.child_of(StreamId{1u << 20}), hard_child,
                            c.child_of(parent, {Trigger::Op::less, kMaxMetrics, 0.5F})};
  for (const StreamSpec& spec : bad) {
    const Admission a = w.ask(spec);
    EXPECT_EQ(a.outcome, Admission::Outcome::refused);
    EXPECT_EQ(a.reason, Admission::Reason::bad_parent);
  }
  w.close(parent);
  EXPECT_EQ(w.ask(c.child_of(parent)).reason, Admission::Reason::bad_parent);
}

TEST(ClosedParent, ReleasesNoMoreChildrenAndLeavesThoseThereAre) {
  Cascade c;
  VirtualWorld w(c.catalog);
  const StreamId parent = w.open(soft(c.parent_model, ms(50))), child = w.open(c.child_of(parent, {}, ms(50)));
  w.release(parent);
  w.run_until(at(us(3500)));  // the child runs
  w.release(parent);
  w.decide();
  w.close(parent);
  w.run();
  EXPECT_EQ(w.verdict_of(child, 0), Verdict::done);
  EXPECT_EQ(w.verdict_of(parent, 1), Verdict::cancelled);
  EXPECT_EQ(w.frames().size(), 3u);
  // Another stream takes the parent's id: the child must not be taken for its child.
  const StreamId next = w.open(soft(c.parent_model, ms(50)));
  EXPECT_EQ(next, parent);
  w.release(next);
  w.run();
  EXPECT_EQ(w.frames().size(), 4u);
  w.close(child);
  w.expect_settled();
}

}  // namespace
}  // namespace takt::test
