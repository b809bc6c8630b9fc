// takt: what it gives up and when, how it places, what it does between segments. One job a launch, unless said.
#include <gtest/gtest.h>

#include "policies/support/compose.hpp"
#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

CoreConfig one_at_a_time(std::size_t accelerators = 1, unsigned ahead = 0, std::uint32_t slots = 16) {
  CoreConfig core = serial_core(accelerators, ahead, slots);
  core.max_batch = 1;
  return core;
}
std::unique_ptr<Policy> with(const std::vector<std::string>& settings) {
  return std::move(*compose_policy("takt", settings));
}
WorldOptions takt(CoreConfig core = one_at_a_time()) {
  return {.core = std::move(core), .policy = "takt"};
}

// 4 ms by 5 ms, one after the other: the second can only be late.
TEST(Takt, GivesUpAtOnceWhatDoesNotFit) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  VirtualWorld w(catalog, takt());
  const StreamId s = w.open(soft(model, ms(5)));
  w.release(s);
  w.release(s);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  EXPECT_EQ(w.verdict_of(s, 1), Verdict::dropped);
  EXPECT_EQ(w.answer_of(s, 1).end, at(ms(0)));
  w.expect_settled();
}

// 6 ms by 8, then 3 by 9 and 3 by 9.5: all but one.
TEST(Takt, GivesUpTheHeaviestForALighterOne) {
  for (const bool exchange : {true, false}) {
    Catalog catalog;
    const ModelId heavy = catalog.chain({ms(6)}), light = catalog.chain({ms(3)});
    const auto policy = with({exchange ? "exchange=1" : "exchange=0"});
    VirtualWorld w(catalog, {.core = one_at_a_time(), .custom = policy.get()});
    const StreamId h = w.open(soft(heavy, ms(8))), l = w.open(soft(light, ms(9)));
    w.release(h);
    w.release(l);
    w.release(l, at(us(9500)));
    w.run();
    EXPECT_EQ(w.verdict_of(h, 0), exchange ? Verdict::dropped : Verdict::done);
    EXPECT_EQ(w.verdict_of(l, 0), Verdict::done);
    EXPECT_EQ(w.verdict_of(l, 1), exchange ? Verdict::done : Verdict::dropped);
  }
}

TEST(Takt, ExchangesNothingThatHasTheSameWeight) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(3)});
  VirtualWorld w(catalog, takt());
  const StreamId s = w.open(soft(model, ms(5)));
  w.release(s);
  w.release(s, at(us(5100)));
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  EXPECT_EQ(w.verdict_of(s, 1), Verdict::dropped);
}

TEST(Takt, DropsAFirmJobOnlyIfItCouldNotBeInTimeAlone) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  VirtualWorld w(catalog, takt());
  StreamSpec firm = soft(model, ms(5));
  firm.criticality = Criticality::firm;
  const StreamId f = w.open(firm), s = w.open(soft(model, ms(5)));
  w.release(f);
  w.release(f);
  w.release(f, at(ms(4)) - Duration{1});
  w.release(s);
  w.run();
  EXPECT_EQ(w.verdict_of(f, 0), Verdict::done);
  EXPECT_EQ(w.verdict_of(f, 1), Verdict::dropped) << "at 4, when it has 1 ms left for 4";
  EXPECT_EQ(w.answer_of(f, 1).end, at(ms(4)));
  EXPECT_EQ(w.answer_of(f, 2).end, at(ms(0))) << "hopeless";
  EXPECT_EQ(w.answer_of(s, 0).end, at(ms(0))) << "soft: given up as soon as it does not fit";
}

TEST(Takt, GoesOnWithWhatIsWantedLate) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2), ms(2)});
  VirtualWorld w(catalog, takt());
  StreamSpec finish = soft(model, ms(3));
  finish.late = LateRule::finish;
  const StreamId f = w.open(finish), s = w.open(soft(model, ms(5)));
  w.release(f);
  w.release(s);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done) << "what is late already waits";
  EXPECT_EQ(w.verdict_of(f, 0), Verdict::late);
  EXPECT_EQ(w.answer_of(f, 0).end, at(ms(8)));
  w.expect_settled();
}

// More late ones than a timetable holds, all with earlier deadlines.
TEST(Takt, LetsWhatIsWantedLateGiveWayToWhatCanBeInTime) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  VirtualWorld w(catalog, takt(one_at_a_time(1, 0, 128)));
  StreamSpec finish = soft(model, ms(3));
  finish.late = LateRule::finish;
  const StreamId f = w.open(finish), s = w.open(soft(model, ms(5)));
  for (int n = 0; n < 80; ++n) w.release(f);
  w.release(s);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  EXPECT_EQ(w.core().counters().verdicts[static_cast<std::size_t>(Verdict::late)], 80u);
  w.expect_settled();
}

// Two accelerators; the parent takes 2 ms, its child 3, and both have 8. Two others of 4 ms by 7.5 would go first, but
// for the child.
TEST(Takt, EndsAParentEarlyEnoughForItsChild) {
  Catalog catalog(2);
  const ModelId first = catalog.chain({ms(2)}), second = catalog.chain({ms(3)}), other = catalog.chain({ms(4)});
  VirtualWorld w(catalog, takt(one_at_a_time(2)));
  const StreamId parent = w.open(soft(first, ms(8)));
  StreamSpec spec = soft(second, ms(8));
  spec.parent = parent;
  const StreamId child = w.open(spec), o = w.open(soft(other, us(7500)));
  w.release(o);
  w.release(o);
  w.release(parent);
  w.run();
  EXPECT_EQ(w.ran_of(parent, 0)[0].start, at(ms(0)));
  EXPECT_EQ(w.verdict_of(child, 0), Verdict::done);
  EXPECT_EQ(w.verdict_of(o, 0), Verdict::done);
  EXPECT_EQ(w.verdict_of(o, 1), Verdict::done);
}

struct Nets {
  Catalog catalog;
  ModelId model =
      catalog.add({{"full", 0.9F, {{"a", ms(8)}}}, {"half", 0.7F, {{"b", ms(4)}}}, {"least", 0.5F, {{"c", ms(1)}}}});
};

std::vector<std::uint32_t> subnets_of(std::size_t frames, Duration deadline) {
  Nets n;
  VirtualWorld w(n.catalog, takt());
  const StreamId s = w.open(soft(n.model, deadline));
  for (std::size_t i = 0; i < frames; ++i) w.release(s);
  w.run();
  std::vector<std::uint32_t> routes;
  for (std::uint32_t i = 0; i < frames; ++i) {
    EXPECT_EQ(w.verdict_of(s, i), Verdict::done);
    routes.push_back(w.answer_of(s, i).route.value);
  }
  return routes;
}

TEST(Takt, TakesLighterSubnetsOnlyWhereJobsWouldBeLost) {
  EXPECT_EQ(subnets_of(1, ms(8)), (std::vector<std::uint32_t>{0}));
  EXPECT_EQ(subnets_of(1, ms(8) - Duration{1}), (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(subnets_of(2, ms(16)), (std::vector<std::uint32_t>{0, 0}));
  EXPECT_EQ(subnets_of(2, ms(15)), (std::vector<std::uint32_t>{1, 1}));
  EXPECT_EQ(subnets_of(3, ms(3)), (std::vector<std::uint32_t>{2, 2, 2}));
}

// Every 10 ms 8 or 4 ms of work: with another stream of 4 ms only a part of the frames can have 8.
TEST(Takt, GivesAsManyFramesBetterSubnetsAsThePeriodsAllow) {
  Catalog catalog;
  const ModelId model = catalog.add({{"full", 0.9F, {{"a", ms(8)}}}, {"half", 0.7F, {{"b", ms(4)}}}});
  const ModelId other = catalog.chain({ms(4)});
  VirtualWorld w(catalog, takt());
  StreamSpec spec = soft(model, ms(30)), beside = soft(other, ms(30));
  spec.period = beside.period = ms(10);
  const StreamId s = w.open(spec), o = w.open(beside);
  for (std::uint32_t n = 0; n < 80; ++n) {
    w.release_at(at(ms(10 * n)), s);
    w.release_at(at(ms(10 * n)), o);
  }
  w.run();
  std::uint32_t full = 0;
  for (std::uint32_t n = 0; n < 80; ++n) {
    EXPECT_EQ(w.verdict_of(s, n), Verdict::done);
    EXPECT_EQ(w.verdict_of(o, n), Verdict::done);
    full += w.answer_of(s, n).route == RouteId{0u};
  }
  EXPECT_EQ(full, 30u) << "0.95 less 0.8 are 0.15, and an upgrade takes 0.4";
}

// The stem is the same, then 6 or 1 ms. The other job comes when the stem has run.
TEST(Takt, TurnsToALighterSubnetBetweenSegments) {
  Catalog catalog;
  const ModelId model = catalog.add(
      {{"full", 0.9F, {{"stem", ms(2)}, {"wide", ms(6)}}}, {"half", 0.7F, {{"stem", ms(2)}, {"slim", ms(1)}}}});
  const ModelId other = catalog.chain({ms(3)});
  VirtualWorld w(catalog, takt());
  const StreamId s = w.open(soft(model, ms(9))), o = w.open(soft(other, ms(5)));
  w.release(s);
  w.release_at(at(ms(2)), o);
  w.run();
  EXPECT_EQ(w.answer_of(s, 0).route, RouteId{1u});
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  EXPECT_EQ(w.verdict_of(o, 0), Verdict::done);
}

// The subnet that was taken at the start counts where the timetable is drawn up while it runs: then 1 ms is left of the
// first job, not 7, and the second one fits before 8.
TEST(Takt, PlansTheRestOfARunningJobWithTheSubnetItHas) {
  Catalog catalog;
  const ModelId model = catalog.add(
      {{"full", 0.9F, {{"wide", ms(7)}, {"head", ms(7)}}}, {"half", 0.7F, {{"slim", ms(2)}, {"neck", ms(1)}}}});
  const ModelId other = catalog.chain({ms(5)});
  VirtualWorld w(catalog, takt());
  const StreamId s = w.open(soft(model, ms(5))), o = w.open(soft(other, ms(7)));
  w.release(s);
  w.release_at(at(ms(1)), o);
  w.run();
  EXPECT_EQ(w.answer_of(s, 0).route, RouteId{1u});
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  EXPECT_EQ(w.verdict_of(o, 0), Verdict::done);
}

// 4 ms on the slow accelerator, 2 on the fast one.
struct SlowAndFast {
  Catalog catalog{2};
  ModelId model = catalog.chain({ms(4)});
  SlowAndFast() { catalog.set_factor(model, 1, 0.5); }
};

TEST(Takt, KeepsFastAcceleratorsForWhatNeedsThem) {
  SlowAndFast m;
  const auto policy = with({"thrift=0.5"});  // price 3: 2 + 3 * 2 / 2 against 4
  VirtualWorld w(m.catalog, {.core = one_at_a_time(2), .custom = policy.get()});
  const StreamId loose = w.open(soft(m.model, ms(4))), tight = w.open(soft(m.model, ms(4) - Duration{1}));
  w.release(loose);
  w.run();
  w.release(tight);
  w.run();
  EXPECT_EQ(w.ran_of(loose, 0)[0].accelerator, AcceleratorId{0u});
  EXPECT_EQ(w.ran_of(tight, 0)[0].accelerator, AcceleratorId{1u});
}

TEST(Takt, WaitsForTheAcceleratorWhereItIsDoneFirst) {
  SlowAndFast m;
  m.catalog.set_factor(m.model, 0, 3);  // 12 ms
  VirtualWorld w(m.catalog, takt(one_at_a_time(2)));
  const StreamId s = w.open(soft(m.model, ms(10)));
  for (int n = 0; n < 3; ++n) w.release(s);
  w.run();
  for (std::uint32_t n = 0; n < 3; ++n) {
    EXPECT_EQ(w.ran_of(s, n)[0].accelerator, AcceleratorId{1u});
    EXPECT_EQ(w.ran_of(s, n)[0].start, at(ms(2 * n)));
  }
}

// Its line is lost with it; the first segment has been done.
TEST(Takt, DrawsUpAnewWhereAnAcceleratorIsLostOrComesBack) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(4), ms(4)});
  catalog.set_factor(model, 1, 0.25);
  const auto policy = with({"thrift=0"});
  VirtualWorld w(catalog, {.core = one_at_a_time(2), .custom = policy.get()});
  const StreamId s = w.open(soft(model, ms(30)));
  w.release(s);
  w.at(at(ms(1)), [&] { w.down(1); });
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  EXPECT_EQ(w.ran_of(s, 0).back().accelerator, AcceleratorId{0u});
  w.release(s);
  w.at(w.now() + ms(1), [&] { w.up(1); });
  w.run();
  EXPECT_EQ(w.ran_of(s, 1).back().accelerator, AcceleratorId{1u});
  w.expect_settled();
}

// Each accelerator has its own memory. The first is taken until 7, so the job begins on the slower one, 4 + 8 ms; while
// its head runs there the timetable is drawn up anew. The tail would end at 11 on the first, but cannot go there.
TEST(Takt, StaysInThePoolOfWhatRuns) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(2), ms(4)}), blocker = catalog.chain({ms(7)}), tiny = catalog.chain({ms(1)});
  catalog.set_factor(model, 1, 2);
  catalog.set_factor(blocker, 1, 0);
  catalog.set_factor(tiny, 1, 0);
  CoreConfig core = one_at_a_time(2);
  core.slot_pools = {4, 4};
  core.accelerators[1].pool = SlotPoolId{1u};
  const auto policy = with({"thrift=0"});
  VirtualWorld w(catalog, {.core = core, .custom = policy.get()});
  const StreamId b = w.open(soft(blocker, ms(8))), s = w.open(soft(model, ms(13))), t = w.open(soft(tiny, ms(50)));
  w.release(b);
  w.release(s);
  w.release_at(at(ms(1)), t);
  w.run();
  EXPECT_EQ(w.ran_of(s, 0)[0].accelerator, AcceleratorId{1u});
  EXPECT_EQ(w.answer_of(s, 0).end, at(ms(12)));
  EXPECT_EQ(w.verdict_of(t, 0), Verdict::done);
  w.expect_settled();
}

// Four segments of 2 ms, posted ahead as they run; the other job is next in line as soon as it comes.
TEST(Takt, RecallsWhatIsPostedAheadForTheNextInLine) {
  for (const unsigned ahead : {1u, 2u}) {
    Catalog catalog;
    const ModelId chain = catalog.chain({ms(2), ms(2), ms(2), ms(2)}), quick = catalog.chain({ms(1)});
    VirtualWorld w(catalog, takt(one_at_a_time(1, ahead)));
    const StreamId c = w.open(soft(chain, ms(40))), q = w.open(soft(quick, ms(4)));
    w.release(c);
    w.release_at(at(ms(3)), q);
    w.run();
    EXPECT_EQ(w.ran_of(q, 0)[0].start, at(ms(4))) << ahead << " ahead";
    EXPECT_EQ(w.answer_of(c, 0).end, at(ms(9)));
    EXPECT_GT(w.count("recall"), 0u);
    w.expect_settled();
  }
}

// The second segment is posted ahead where the first one runs, but is planned on the other accelerator, which is faster
// for it and free when the job comes to it.
TEST(Takt, RecallsWhatIsPostedAheadWhereTheJobIsToChangeAccelerators) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(4), ms(8)}), blocker = catalog.chain({ms(4)});
  catalog.set_factor(model, 1, 0.5);
  catalog.set_factor(blocker, 0, 0);
  const auto policy = with({"thrift=0"});
  VirtualWorld w(catalog, {.core = one_at_a_time(2, 2), .custom = policy.get()});
  const StreamId b = w.open(soft(blocker, ms(4))), s = w.open(soft(model, ms(9)));
  w.release(b);
  w.decide();
  w.release(s);  // 4 + 4 over both, 4 + 2 + 4 on the fast one alone
  w.run();
  const std::vector<Ran> ran = w.ran_of(s, 0);
  ASSERT_EQ(ran.size(), 2u);
  EXPECT_EQ(ran[0].accelerator, AcceleratorId{0u});
  EXPECT_EQ(ran[1].accelerator, AcceleratorId{1u});
  EXPECT_EQ(w.answer_of(s, 0).end, at(ms(8)));
  w.expect_settled();
}

TEST(Takt, LetsAJobThatComesLaterInLineWaitWhileSegmentsArePostedAhead) {
  Catalog catalog;
  const ModelId chain = catalog.chain({ms(2), ms(2), ms(2), ms(2)}), quick = catalog.chain({ms(1)});
  VirtualWorld w(catalog, takt(one_at_a_time(1, 2)));
  const StreamId c = w.open(soft(chain, ms(10))), q = w.open(soft(quick, ms(30)));
  w.release(c);
  w.release_at(at(ms(3)), q);
  w.run();
  EXPECT_EQ(w.ran_of(q, 0)[0].start, at(ms(8)));
  EXPECT_EQ(w.count("recall"), 0u);
}

// 1 ms, then 8 that are always left out, then 1: two frames by 5 ms fit as soon as that is known.
TEST(Takt, LearnsWhichSegmentsAreSkipped) {
  for (const bool skips : {true, false}) {
    Catalog catalog;
    const ModelId model = catalog.chain({ms(1), ms(8), ms(1)});
    const auto policy = with({skips ? "skips=1" : "skips=0"});
    VirtualWorld w(catalog, {.core = one_at_a_time(), .custom = policy.get()});
    w.skip([](StreamId, std::size_t segment) { return segment == 1 ? 1u : 0u; });
    const StreamId s = w.open(soft(model, ms(50)));
    constexpr std::uint32_t kFrames = 100;
    for (std::uint32_t n = 0; n < kFrames; ++n) w.release_at(at(ms(60 * n)), s);
    w.run();
    for (std::uint32_t n = 0; n < kFrames; ++n) ASSERT_EQ(w.answer_of(s, n).end - w.answer_of(s, n).release, ms(2));
    w.release(s, w.now() + ms(5));
    w.release(s, w.now() + ms(5));
    w.run();
    for (const std::uint32_t n : {kFrames, kFrames + 1})
      EXPECT_EQ(w.verdict_of(s, n), skips ? Verdict::done : Verdict::dropped) << n;
  }
}

// Half of the frames skip 8 of 10 ms. The slow accelerator would do for the first segment of those, but not of the others.
TEST(Takt, CountsOnNoSkippingWhereItTakesASlowAccelerator) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(1), ms(8), ms(1)});
  catalog.set_factor(model, 1, 4);
  VirtualWorld w(catalog, takt(one_at_a_time(2)));
  std::uint32_t asked = 0;
  w.skip([&](StreamId, std::size_t segment) { return segment == 1 && asked++ % 2 == 0 ? 1u : 0u; });
  const StreamId s = w.open(soft(model, ms(11)));
  constexpr std::uint32_t kFrames = 100;
  for (std::uint32_t n = 0; n < kFrames; ++n) w.release_at(at(ms(60 * n)), s);
  w.run();
  for (std::uint32_t n = 0; n < kFrames; ++n) EXPECT_EQ(w.verdict_of(s, n), Verdict::done) << n;
}

// Two of a batch of at most 8 together take 1.5 times as long as one.
TEST(Takt, LeavesBatchesToTheComposedPolicy) {
  for (const std::uint32_t batch : {1u, 8u}) {
    Catalog catalog;
    const ModelId model = catalog.chain({ms(4)});
    catalog.set_batches(model, 0.5);
    CoreConfig core = one_at_a_time();
    core.max_batch = batch;
    VirtualWorld w(catalog, takt(core));
    const StreamId s = w.open(soft(model, ms(7)));
    w.release(s);
    w.release(s);
    w.run();
    EXPECT_EQ(w.answer_of(s, 0).largest_batch, batch > 1 ? 2 : 1);
    EXPECT_EQ(w.verdict_of(s, 1), batch > 1 ? Verdict::done : Verdict::dropped);
  }
}

// More than the timetable holds; the world fails the test on any allocation.
TEST(Takt, EndsHundredsOfJobs) {
  Catalog catalog(3);
  std::vector<ModelId> models;
  for (const std::int64_t head : {1, 2, 3}) models.push_back(catalog.chain({ms(head), ms(2), ms(1), ms(1)}));
  catalog.set_factor(models[1], 1, 0.5);
  catalog.set_factor(models[2], 2, 0);
  for (const bool deadlines : {true, false}) {
    VirtualWorld w(catalog, takt(one_at_a_time(3, 1)));
    std::vector<StreamId> streams;
    for (const ModelId m : models) streams.push_back(w.open(soft(m, deadlines ? ms(900) : Duration{})));
    for (int n = 0; n < 240; ++n) w.release(streams[static_cast<std::size_t>(n) % 3]);
    w.run();
    EXPECT_EQ(w.core().counters().verdicts[static_cast<std::size_t>(Verdict::done)], 240u);
    w.expect_settled();
  }
}

TEST(Takt, PlansAroundHardJobs) {
  Catalog catalog(2);
  const ModelId hard_model = catalog.chain({ms(3)}), model = catalog.chain({ms(2), ms(2)});
  VirtualWorld w(catalog, takt(one_at_a_time(2)));
  const StreamId h = w.open(hard(hard_model, ms(10), ms(8))), s = w.open(soft(model, ms(15)));
  for (std::uint32_t n = 0; n < 10; ++n) {
    w.release_at(at(ms(10 * n)), h);
    w.release_at(at(ms(10 * n + 1)), s);
    w.release_at(at(ms(10 * n + 1)), s);
  }
  w.run();
  for (std::uint32_t n = 0; n < 10; ++n) EXPECT_EQ(w.verdict_of(h, n), Verdict::done);
  for (std::uint32_t n = 0; n < 20; ++n) EXPECT_EQ(w.verdict_of(s, n), Verdict::done) << n;
  w.expect_settled();
}

TEST(Takt, RefusesVariantsAndSettingsItDoesNotHave) {
  const auto made = [](std::string setting) {
    return compose_policy("takt", std::vector{std::move(setting)}).has_value();
  };
  EXPECT_TRUE(made("thrift=0"));
  EXPECT_FALSE(made("thrift=-1"));
  EXPECT_FALSE(made("lead=2"));
  EXPECT_FALSE(made("fitness=1"));
  EXPECT_FALSE(compose_policy("takt:full"));
}

}  // namespace
}  // namespace takt::test
