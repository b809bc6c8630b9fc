// Accelerators that go and come: what keeps its progress, what begins again, and where hard streams move.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

using Starts = std::vector<Instant>;

TEST(LostAccelerator, RestartsItsRunningJobElsewhere) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(2), ms(2)});
  VirtualWorld w(catalog, {.core = serial_core(2)});
  const StreamId s = w.open(soft(model, ms(100)));
  w.release(s);
  w.run_until(at(ms(3)));  // the second segment runs
  w.down(0);
  w.run();
  const Answer a = w.answer_of(s, 0);
  EXPECT_EQ(a.verdict, Verdict::done);
  EXPECT_EQ(a.accelerator, AcceleratorId{1u});
  EXPECT_EQ(a.end, at(ms(7)));
  EXPECT_EQ(a.executed, ms(4)) << "of the run that counted";
  EXPECT_EQ(w.frame(s, 0).restarts, 1u);
  w.expect_settled();
}

TEST(LostAccelerator, ASecondTimeAnswersError) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(2), ms(2)});
  VirtualWorld w(catalog, {.core = serial_core(2)});
  const StreamId s = w.open(soft(model, ms(100)));
  w.release(s);
  w.run_until(at(ms(1)));
  w.down(0);
  w.run_until(at(ms(2)));
  w.up(0);
  w.down(1);
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::error);
  w.run();
  w.expect_settled();
}

TEST(LostAccelerator, LeavesWhatNobodyClaimedItsProgress) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(2), ms(2), ms(2)});
  VirtualWorld w(catalog, {.core = serial_core(2), .hops = {.to_worker = us(100)}});
  const StreamId s = w.open(soft(model, ms(100)));
  w.release(s);
  w.run_until(at(us(2150)));  // the second segment is posted at 2.1, to be claimed at 2.2
  w.down(0);
  w.run();
  EXPECT_EQ(w.frame(s, 0).restarts, 0u);
  EXPECT_EQ(w.ran_of(s, 0).size(), 3u);
  EXPECT_EQ(w.ran_of(s, 0)[1].accelerator, AcceleratorId{1u});
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  w.expect_settled();
}

TEST(LostAccelerator, LosesOnlyTheRunningSegmentOfWhatWasPostedAhead) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2), ms(2), ms(2)});
  VirtualWorld w(catalog, {.core = serial_core(1, 2)});
  const StreamId s = w.open(soft(model, ms(100)));
  w.release(s);
  w.run_until(at(ms(1)));
  w.down(0);
  EXPECT_EQ(w.core().counters().recalls, 2u);
  w.run_until(at(ms(10)));
  EXPECT_EQ(w.frame(s, 0).answers, 0u) << "it waits for an accelerator";
  w.up(0);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  EXPECT_EQ(w.starts_of(s, 0), (Starts{at(ms(10)), at(ms(12)), at(ms(14))}));
  w.expect_settled();
}

TEST(LostAccelerator, TakesActivationsThatOnlyItHad) {
  for (const bool shares : {true, false}) {
    Catalog catalog(2);
    const ModelId chain = catalog.chain({ms(2), ms(2)}), quick = catalog.chain({ms(3)});
    catalog.set_factor(quick, 1, 0);
    CoreConfig core = serial_core(2);
    if (!shares) {
      core.slot_pools = {4, 4};
      core.accelerators[1].pool = SlotPoolId{1u};
      for (AcceleratorSpec& a : core.accelerators) a.shares_slots = false;
    }
    VirtualWorld w(catalog, {.core = core});
    w.down(1);
    const StreamId s = w.open(soft(chain, ms(100))), q = w.open(soft(quick, ms(20)));
    w.release(s);
    w.release_at(at(ms(1)), q);  // runs from 2 to 5, the other waits with its activation
    w.run_until(at(ms(3)));
    w.up(1);
    w.decide();
    w.down(0);
    w.run();
    EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
    EXPECT_EQ(w.frame(s, 0).restarts, shares ? 0u : 1u);
    w.expect_settled();
  }
}

TEST(LostAccelerator, ASecondTimeAnswersErrorForAJobThatOnlyLostItsActivation) {
  Catalog catalog;
  const ModelId chain = catalog.chain({ms(2), ms(2)}), quick = catalog.chain({ms(3)});
  CoreConfig core = serial_core();
  core.accelerators[0].shares_slots = false;
  VirtualWorld w(catalog, {.core = core});
  const StreamId s = w.open(soft(chain, ms(100))), q = w.open(soft(quick, ms(20)));
  w.release(s);
  w.run_until(at(ms(1)));
  w.down(0);  // lost while running
  w.up(0);
  w.release_at(at(ms(2)), q);  // at the boundary at 3 it goes first
  w.run_until(at(ms(4)));
  EXPECT_EQ(w.frame(s, 0).begun, 1u);
  w.down(0);  // lost while waiting with an activation
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::error);
  w.up(0);
  w.run();
  w.expect_settled();
}

TEST(LostAccelerator, DoesNotDelayTheEndOfAJobThatWasToEnd) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(4), ms(4)});
  VirtualWorld w(catalog, {.core = serial_core(2)});
  const StreamId s = w.open(soft(model, ms(100))), late = w.open(soft(model, ms(2)));
  const auto frame = w.release(s);
  w.release(late);
  w.run_until(at(ms(3)));
  w.cancel(*frame);
  w.down(0);
  w.down(1);
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::cancelled);
  EXPECT_EQ(w.verdict_of(late, 0), Verdict::missed);
  w.run();
  w.expect_settled();
}

TEST(LostAccelerator, MakesOldCompletionsMeanNothing) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2), ms(2)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(soft(model, ms(100)));
  w.release(s);
  w.run_until(at(ms(1)));
  w.down(0);
  w.up(0);
  w.core().completed(AcceleratorId{0u}, Lane::normal, {.sequence = 1, .started = at(ms(0)), .ended = at(ms(2))},
                     w.now());
  w.run();
  EXPECT_EQ(w.answer_of(s, 0).end, at(ms(5)));
  w.expect_settled();
}

TEST(LostAccelerator, IsNotCountedInTheRemainingWork) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(2), ms(3)});
  catalog.set_factor(model, 1, 4);
  VirtualWorld w(catalog, {.core = serial_core(2)});
  const StreamId s = w.open(soft(model, ms(100)));
  const Route& route = w.core().routes(s)[0];
  EXPECT_EQ(route.togo_min, (std::vector<Duration>{ms(5), ms(3), ms(0)}));
  EXPECT_EQ(route.togo_sum, (std::vector<Duration>{ms(25), ms(15), ms(0)}));
  w.down(0);
  EXPECT_EQ(route.togo_min, (std::vector<Duration>{ms(20), ms(12), ms(0)}));
  EXPECT_EQ(route.togo_sum, (std::vector<Duration>{ms(20), ms(12), ms(0)}));
  w.down(1);
  EXPECT_EQ(route.togo_min[0], ms(5)) << "with none up, what it would be with all";
}

struct TwoHomes {
  Catalog catalog{2};
  ModelId model = catalog.chain({ms(2), ms(2)});
};

TEST(HardStream, MovesWhenItsAcceleratorGoesDown) {
  TwoHomes t;
  VirtualWorld w(t.catalog, {.core = serial_core(2)});
  const StreamId h = w.open(hard(t.model, ms(20), ms(10)));
  w.release(h);
  w.run_until(at(ms(1)));
  w.down(0);
  ASSERT_EQ(w.moves().size(), 1u);
  EXPECT_EQ(w.moves()[0].accelerator, AcceleratorId{1u});
  w.run();
  EXPECT_EQ(w.verdict_of(h, 0), Verdict::done);
  for (const Ran& ran : w.ran_of(h, 0)) {
    EXPECT_EQ(ran.accelerator, AcceleratorId{1u});
    EXPECT_EQ(ran.lane, Lane::realtime);
  }
  w.expect_settled();
}

TEST(HardStream, GoesOnAsSoftWhereNothingFitsAndIsHardAgainOnReturn) {
  TwoHomes t;
  t.catalog.set_factor(t.model, 1, 1.4);  // 5.6 of 10 there, beside the 7 of another
  const ModelId other_model = t.catalog.chain({ms(7)});
  VirtualWorld w(t.catalog, {.core = serial_core(2)});
  const StreamId first = w.open(hard(t.model, ms(20), ms(10)));
  const StreamId other = w.open(hard(other_model, ms(10), ms(10)));
  EXPECT_EQ(w.core().counters().released, 0u);
  w.release(first);
  w.release(other);
  w.run();
  ASSERT_EQ(w.ran_of(first, 0)[0].accelerator, AcceleratorId{0u});
  ASSERT_EQ(w.ran_of(other, 0)[0].accelerator, AcceleratorId{1u});
  w.down(0);
  ASSERT_EQ(w.moves().size(), 1u);
  EXPECT_EQ(w.moves()[0].stream, first);
  EXPECT_FALSE(w.moves()[0].accelerator.valid()) << "it goes on as soft";
  w.run_until(at(ms(100)));
  w.release(first);
  w.run();
  EXPECT_EQ(w.verdict_of(first, 1), Verdict::done);
  EXPECT_EQ(w.ran_of(first, 1)[0].lane, Lane::normal);
  w.up(0);
  ASSERT_EQ(w.moves().size(), 2u);
  EXPECT_EQ(w.moves()[1].accelerator, AcceleratorId{0u});
  w.run_until(at(ms(200)));
  w.release(first);
  w.run();
  EXPECT_EQ(w.ran_of(first, 2)[0].lane, Lane::realtime);
  w.expect_settled();
}

TEST(HardStream, KeepsItsDelayedFramesHardWhenItMovesToAnotherSubnet) {
  Catalog catalog(2);
  const ModelId nets = catalog.add({{"full", 0.9F, {{"a", ms(4)}}}, {"half", 0.7F, {{"b", ms(1)}}}});
  catalog.set_factor(nets, 1, 3);
  VirtualWorld w(catalog, {.core = serial_core(2)});
  const StreamId h = w.open(hard(nets, ms(20), ms(10)));
  w.release(h);
  w.release(h);  // at 20
  w.run_until(at(ms(10)));
  w.down(0);
  w.run();
  EXPECT_EQ(w.verdict_of(h, 1), Verdict::done);
  EXPECT_EQ(w.ran_of(h, 1)[0].lane, Lane::realtime);
  EXPECT_EQ(w.answer_of(h, 1).route, RouteId{1u});
  w.expect_settled();
}

TEST(HardStream, OpenedBeforeAnyAcceleratorIsUpWaitsForIt) {
  TwoHomes t;
  VirtualWorld w(t.catalog, {.core = serial_core(2)});
  w.down(0);
  w.down(1);
  const StreamId h = w.open(hard(t.model, ms(20), ms(10)));
  w.up(1);
  w.release(h);
  w.run();
  EXPECT_EQ(w.verdict_of(h, 0), Verdict::done);
  EXPECT_EQ(w.ran_of(h, 0)[0].lane, Lane::realtime);
  EXPECT_EQ(w.ran_of(h, 0)[0].accelerator, AcceleratorId{1u});
}

TEST(UpAndDown, TwiceMeanOnce) {
  TwoHomes t;
  VirtualWorld w(t.catalog, {.core = serial_core(2)});
  w.up(0);
  w.down(0);
  w.down(0);
  w.up(0);
  w.up(0);
  EXPECT_EQ(w.count("up"), 3u);  // two at the start
  EXPECT_EQ(w.count("down"), 1u);
}

}  // namespace
}  // namespace takt::test
