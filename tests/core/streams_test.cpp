// Streams' lives: closing, the reuse of their ids, and updates that take effect or leave all as it was.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

TEST(CloseStream, CancelsWhatWaitsAndLetsRunningSegmentsEnd) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2), ms(2)});
  VirtualWorld w(catalog, {.core = serial_core(1, 1)});
  const StreamId s = w.open(soft(model, ms(100)));
  for (int i = 0; i < 3; ++i) w.release(s);
  w.run_until(at(ms(1)));
  w.close(s);
  EXPECT_EQ(w.verdict_of(s, 1), Verdict::cancelled);
  EXPECT_EQ(w.verdict_of(s, 2), Verdict::cancelled);
  EXPECT_EQ(w.frame(s, 0).answers, 0u);
  EXPECT_TRUE(w.ended_streams().empty());
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::cancelled);
  EXPECT_EQ(w.answer_of(s, 0).end, at(ms(2)));
  EXPECT_EQ(w.ended_streams(), std::vector<StreamId>{s});
  w.expect_settled();
}

TEST(CloseStream, WithABatchRunningEndsEachOfIt) {
  for (const Duration hop : {Duration{}, ms(2)}) {
    Catalog catalog;
    const ModelId model = catalog.chain({ms(2), ms(2)});
    catalog.set_batches(model, 0.1);
    VirtualWorld w(catalog, {.core = serial_core(1, 1), .hops = {.to_worker = hop}});
    const StreamId s = w.open(soft(model, ms(100)));
    for (int i = 0; i < 3; ++i) w.release(s);
    w.run_until(at(ms(1)));
    w.close(s);
    w.run();
    for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(w.verdict_of(s, i), Verdict::cancelled);
    EXPECT_EQ(w.ended_streams(), std::vector<StreamId>{s});
    w.expect_settled();
  }
}

TEST(CloseStream, CancelsDelayedFramesOfAHardStream) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  VirtualWorld w(catalog);
  const StreamId h = w.open(hard(model, ms(10), ms(10)));
  for (int i = 0; i < 3; ++i) w.release(h);
  w.run_until(at(ms(2)));
  w.close(h);
  EXPECT_EQ(w.verdict_of(h, 2), Verdict::cancelled);
  EXPECT_EQ(w.ended_streams().size(), 1u);
  w.run();
  w.expect_settled();
}

TEST(CloseStream, OfAnIdleStreamEndsItAtOnceAndOnce) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(soft(model, ms(10)));
  w.close(s);
  w.close(s);
  w.close(StreamId{30u});
  w.close(StreamId{1u << 20});
  EXPECT_EQ(w.ended_streams(), std::vector<StreamId>{s});
}

TEST(StreamId, IsReusedOnlyAfterTheStreamHasEnded) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(soft(model, ms(100)));
  w.release(s);
  w.run_until(at(ms(1)));
  w.close(s);
  const StreamId other = w.open(soft(model, ms(100)));
  EXPECT_NE(other, s);
  w.run();
  const StreamId again = w.open(soft(model, ms(50)));
  EXPECT_EQ(again, s);
  w.release(again);
  w.run();
  EXPECT_EQ(w.verdict_of(again, 0), Verdict::done);
  EXPECT_EQ(w.answer_of(again, 0).deadline - w.answer_of(again, 0).release, ms(50));
  w.expect_settled();
}

TEST(CloseStream, GivesAHardStreamsShareBackWhenItHasEnded) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(6)});
  VirtualWorld w(catalog);
  const StreamId h = w.open(hard(model, ms(10), ms(10)));
  EXPECT_EQ(w.ask(hard(model, ms(10), ms(10))).outcome, Admission::Outcome::refused);
  w.release(h);
  w.run_until(at(ms(1)));
  w.close(h);
  EXPECT_EQ(w.ask(hard(model, ms(10), ms(10))).outcome, Admission::Outcome::refused) << "its last job still runs";
  w.run();
  EXPECT_EQ(w.ask(hard(model, ms(10), ms(10))).outcome, Admission::Outcome::accepted);
}

struct Supernet {
  Catalog catalog;
  ModelId nets =
      catalog.add({{"full", 0.9F, {{"a", ms(6)}}}, {"half", 0.7F, {{"b", ms(3)}}}, {"small", 0.5F, {{"c", ms(1)}}}});
};

TEST(UpdateStream, TakesEffectForLaterFrames) {
  Supernet n;
  VirtualWorld w(n.catalog);
  const StreamId s = w.open(soft(n.nets, ms(100)));
  StreamSpec spec = soft(n.nets, ms(20));
  spec.accuracy_ceiling = 0.8F;
  spec.late = LateRule::finish;
  EXPECT_EQ(w.core().update_stream(s, spec, w.now()).outcome, Admission::Outcome::accepted);
  w.release(s);
  w.run();
  EXPECT_EQ(w.answer_of(s, 0).deadline, at(ms(20)));
  EXPECT_EQ(w.answer_of(s, 0).route, RouteId{1u});
  EXPECT_EQ(w.core().spec(s).late, LateRule::finish);
}

TEST(UpdateStream, CannotChangeWhatAStreamIsMadeOf) {
  Supernet n;
  const ModelId other = n.catalog.chain({ms(1)});
  VirtualWorld w(n.catalog);
  const StreamId s = w.open(soft(n.nets, ms(100)));
  StreamSpec spec = soft(other, ms(50));
  spec.parent = s;
  EXPECT_EQ(w.core().update_stream(s, spec, w.now()).outcome, Admission::Outcome::accepted);
  EXPECT_EQ(w.core().spec(s).model, n.nets);
  EXPECT_FALSE(w.core().spec(s).parent.valid());
  EXPECT_EQ(w.core().spec(s).relative_deadline, ms(50));
}

TEST(UpdateStream, RefusedLeavesAllAsItWas) {
  Supernet n;
  VirtualWorld w(n.catalog);
  const Admission before = w.ask(hard(n.nets, ms(20), ms(10)));
  const StreamId h = before.stream;
  StreamSpec too_much = hard(n.nets, ms(2), ms(10)), too_accurate = hard(n.nets, ms(20), ms(10)),
             too_short = hard(n.nets, ms(20), us(10));
  too_much.accuracy_floor = 0.8F;
  too_accurate.accuracy_floor = 0.95F;
  StreamSpec no_period = hard(n.nets, Duration{}, ms(10));
  for (const StreamSpec& spec : {too_much, too_accurate, too_short, no_period}) {
    EXPECT_EQ(w.core().update_stream(h, spec, w.now()).outcome, Admission::Outcome::refused);
    EXPECT_EQ(w.core().spec(h).period, ms(20));
    EXPECT_EQ(w.core().spec(h).relative_deadline, ms(10));
    EXPECT_EQ(w.core().spec(h).accuracy_floor, 0.0F);
  }
  w.release(h);
  w.run();
  EXPECT_EQ(w.answer_of(h, 0).route, before.route);
  EXPECT_EQ(w.ran_of(h, 0)[0].lane, Lane::realtime);
  const ModelId chain = n.nets;
  EXPECT_EQ(w.ask(hard(chain, ms(20), ms(10))).outcome, Admission::Outcome::lighter) << "it still takes its share";
}

TEST(UpdateStream, RefusedNamesAPeriodThatIsThenAccepted) {
  Supernet n;
  VirtualWorld w(n.catalog);
  const StreamId h = w.open(hard(n.nets, ms(20), ms(20)));
  StreamSpec spec = hard(n.nets, ms(4), ms(20));
  spec.accuracy_floor = 0.8F;
  const Admission refused = w.core().update_stream(h, spec, w.now());
  ASSERT_EQ(refused.outcome, Admission::Outcome::refused);
  EXPECT_EQ(refused.reason, Admission::Reason::utilisation);
  spec.period = refused.feasible_period;
  EXPECT_EQ(w.core().update_stream(h, spec, w.now()).outcome, Admission::Outcome::accepted);
}

TEST(UpdateStream, FromHardToSoftFreesItsShareAndItsWaitingJobs) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)}), urgent = catalog.chain({ms(1)});
  VirtualWorld w(catalog);
  const StreamId h = w.open(hard(model, ms(20), ms(20))), s = w.open(soft(urgent, ms(8)));
  w.release(s);
  w.decide();
  w.release(h);
  w.release(s);
  EXPECT_EQ(w.core().update_stream(h, soft(model, ms(20)), w.now()).outcome, Admission::Outcome::accepted);
  w.run();
  EXPECT_EQ(w.ran_of(h, 0)[0].lane, Lane::normal) << "nothing was admitted for it any more";
  EXPECT_EQ(w.ran_of(s, 1)[0].start, at(ms(1)));
  EXPECT_EQ(w.ask(hard(model, ms(4), ms(4))).outcome, Admission::Outcome::accepted);
  w.expect_settled();
}

TEST(UpdateStream, FromSoftToHardTakesItsWaitingJobsAlong) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)}), urgent = catalog.chain({ms(1)});
  VirtualWorld w(catalog);
  const StreamId h = w.open(soft(model, ms(20))), s = w.open(soft(urgent, ms(8)));
  w.release(s);
  w.decide();
  w.release(h);
  w.release(s);
  EXPECT_EQ(w.core().update_stream(h, hard(model, ms(20), ms(20)), w.now()).outcome, Admission::Outcome::accepted);
  w.run();
  EXPECT_EQ(w.ran_of(h, 0)[0].lane, Lane::realtime);
  EXPECT_EQ(w.ran_of(h, 0)[0].start, at(ms(1)));
  w.expect_settled();
}

TEST(UpdateStream, OfOneThatIsNotOpenIsRefused) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(hard(model, ms(20), ms(20)));
  w.release(s);
  w.run_until(at(ms(1)));
  w.close(s);
  for (const StreamId id : {s, StreamId{20u}, StreamId{1u << 20}, StreamId{}})
    EXPECT_EQ(w.core().update_stream(id, hard(model, ms(20), ms(20)), w.now()).outcome, Admission::Outcome::refused);
  w.run();
  w.expect_settled();
}

TEST(Routes, AreThoseThatNoOtherBeatsInBothWays) {
  Catalog catalog;
  const ModelId nets = catalog.add({{"slow", 0.6F, {{"a", ms(6)}}},
                                    {"best", 0.9F, {{"b", ms(5)}}},
                                    {"same", 0.6F, {{"c", ms(2)}}},
                                    {"twin", 0.6F, {{"d", ms(2)}}},
                                    {"least", 0.3F, {{"e", ms(1)}}}});
  VirtualWorld w(catalog);
  const StreamId s = w.open(soft(nets, ms(100)));
  std::vector<std::uint32_t> subnets;
  for (const Route& r : w.core().routes(s)) subnets.push_back(r.subnet);
  EXPECT_EQ(subnets, (std::vector<std::uint32_t>{1, 2, 4}));
}

}  // namespace
}  // namespace takt::test
