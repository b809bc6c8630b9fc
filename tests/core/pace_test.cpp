// The pace: how predictions follow measured times where that is asked for.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

// Starts whatever can start on accelerator 0 and remembers the pace it saw last.
class Recording final : public Policy {
 public:
  double pace = 0, pace_of_first = 0, caution = 0;
  Duration detour{};
  void decide(const Snapshot& s, Plan& plan) noexcept override {
    pace = s.pace;
    caution = s.caution;
    detour = s.detour;
    pace_of_first = s.accelerators[0].pace;
    for (std::size_t i = 0; i < s.waiting.size; ++i)
      if (s.can_start(i, 0)) {
        plan.starts.push({s.waiting.job[i], AcceleratorId{0u}, 1});
        return;
      }
  }
};

CoreConfig learning(std::size_t accelerators = 1) {
  CoreConfig core = serial_core(accelerators);
  core.learn_pace = true;
  return core;
}

void run_at(VirtualWorld& w, StreamId s, double times_slower, int frames) {
  w.executors().set_time_of([times_slower](AcceleratorId, const Entry& e) {
    return Duration{static_cast<std::int64_t>(static_cast<double>(to_ns(e.expected)) * times_slower)};
  });
  for (int i = 0; i < frames; ++i) {
    w.release(s);
    w.run();
  }
}

TEST(Pace, FollowsMeasuredTimesBothWays) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  Recording policy;
  VirtualWorld w(catalog, {.core = learning(), .custom = &policy});
  const StreamId s = w.open(soft(model, Duration{}));
  run_at(w, s, 1, 3);
  EXPECT_EQ(policy.pace, 1.0);
  run_at(w, s, 2, 51);
  EXPECT_NEAR(policy.pace, 2, 0.1);
  EXPECT_EQ(policy.pace, policy.pace_of_first);
  run_at(w, s, 0.5, 51);
  EXPECT_NEAR(policy.pace, 0.5, 0.1);
}

TEST(Pace, IsMoreCautiousWhereTimesVary) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  Recording policy;
  VirtualWorld w(catalog, {.core = learning(), .custom = &policy});
  const StreamId s = w.open(soft(model, Duration{}));
  run_at(w, s, 2, 60);
  EXPECT_LT(policy.caution, policy.pace + 0.5) << "twice as slow, but always";
  for (int i = 0; i < 30; ++i) run_at(w, s, i % 2 == 0 ? 1 : 3, 1);
  EXPECT_GT(policy.caution, policy.pace + 1);
}

TEST(Pace, CountsTheWayToTheExecutorAndBackBesideTheSegment) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  Recording policy;
  VirtualWorld w(catalog, {.core = learning(), .custom = &policy, .hops = {.to_worker = us(100), .to_core = us(50)}});
  const StreamId s = w.open(soft(model, Duration{}));
  run_at(w, s, 1, 100);
  EXPECT_NEAR(static_cast<double>(to_ns(policy.detour)), 150'000, 10'000);
  EXPECT_NEAR(policy.pace, 1, 0.01);
}

TEST(Pace, StaysOneWhereItIsNotLearned) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  Recording policy;
  VirtualWorld w(catalog, {.custom = &policy});
  const StreamId s = w.open(soft(model, Duration{}));
  run_at(w, s, 2, 20);
  EXPECT_EQ(policy.pace, 1.0);
}

TEST(Pace, IsNotSpoiledByOneWildValue) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  Recording policy;
  VirtualWorld w(catalog, {.core = learning(), .custom = &policy});
  const StreamId s = w.open(soft(model, Duration{}));
  run_at(w, s, 10'000, 1);
  run_at(w, s, 1, 1);
  EXPECT_LT(policy.pace, 1.5);
}

// The way to a time that is rarely exceeded may not be one value's either.
TEST(Pace, IsHardlyMoreCautiousAfterOneWildValue) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  Recording policy;
  VirtualWorld w(catalog, {.core = learning(), .custom = &policy});
  const StreamId s = w.open(soft(model, Duration{}));
  run_at(w, s, 1, 20);
  run_at(w, s, 100, 1);
  run_at(w, s, 1, 1);
  EXPECT_LT(policy.caution, 1.3);
  EXPECT_GT(policy.caution, 1);
}

// A bad moment, after which everything would be dropped, ends although nothing that is dropped can be measured.
TEST(Pace, LetsWorkGoOnAfterABadMoment) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  VirtualWorld w(catalog, {.core = learning(), .policy = "edf+drop"});
  const StreamId s = w.open(soft(model, ms(10))), warm = w.open(soft(model, Duration{}));
  run_at(w, warm, 8, 30);
  w.executors().set_time_of([](AcceleratorId, const Entry& e) { return e.expected; });
  w.release(s);
  w.run();
  ASSERT_EQ(w.verdict_of(s, 0), Verdict::dropped);
  const Instant bad = w.now();
  for (int i = 1; i <= 100; ++i) w.release_at(bad + ms(10) * i, s);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 100), Verdict::done);
}

TEST(Pace, IgnoresFailedLaunchesAndHardOnes) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  Recording policy;
  VirtualWorld w(catalog, {.core = learning(), .custom = &policy});
  const StreamId s = w.open(soft(model, Duration{})), h = w.open(hard(model, ms(10), ms(10)));
  for (int i = 0; i < 5; ++i) {
    w.executors().fail_next(AcceleratorId{0u});
    run_at(w, s, 3, 1);
    run_at(w, h, 3, 1);
  }
  run_at(w, s, 1, 1);
  EXPECT_EQ(policy.pace, 1.0);
}

TEST(Pace, OfTheSnapshotIsThatOfTheFastestAcceleratorThatIsUp) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(1)});
  Recording policy;
  VirtualWorld w(catalog, {.core = learning(2), .custom = &policy});
  const StreamId s = w.open(soft(model, Duration{}));
  run_at(w, s, 2, 50);
  EXPECT_EQ(policy.pace, 1.0) << "the other has not been slow";
  EXPECT_GT(policy.pace_of_first, 1.8);
  w.down(1);
  run_at(w, s, 2, 1);
  EXPECT_EQ(policy.pace, policy.pace_of_first);
}

// Twice as slow as expected: 4 ms of work take 8, so what is due in 6 cannot be in time.
TEST(Pace, LetsDropGiveUpWhatWouldBeLate) {
  for (const bool learns : {true, false}) {
    Catalog catalog;
    const ModelId model = catalog.chain({ms(4)});
    CoreConfig core = serial_core();
    core.learn_pace = learns;
    VirtualWorld w(catalog, {.core = core, .policy = "edf+drop"});
    const StreamId s = w.open(soft(model, ms(6))), warm = w.open(soft(model, Duration{}));
    run_at(w, warm, 2, 50);
    run_at(w, s, 2, 1);
    EXPECT_EQ(w.verdict_of(s, 0), learns ? Verdict::dropped : Verdict::missed);
    w.expect_settled();
  }
}

TEST(Pace, MakesFitTakeALighterSubnet) {
  Catalog catalog;
  const ModelId nets =
      catalog.add({{"full", 0.9F, {{"a", ms(8)}}}, {"half", 0.7F, {{"b", ms(4)}}}, {"least", 0.5F, {{"c", ms(1)}}}});
  VirtualWorld w(catalog, {.core = learning(), .policy = "edf+fit"});
  const StreamId s = w.open(soft(nets, ms(12))), warm = w.open(soft(nets, Duration{}));
  run_at(w, s, 1, 1);
  EXPECT_EQ(w.answer_of(s, 0).route, RouteId{0u});
  run_at(w, warm, 2, 50);
  run_at(w, s, 2, 1);
  EXPECT_EQ(w.answer_of(s, 1).route, RouteId{1u});
  EXPECT_EQ(w.verdict_of(s, 1), Verdict::done);
}

TEST(Pace, KeepsBatchesSmallEnough) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  catalog.set_batches(model, 0.5);
  VirtualWorld w(catalog, {.core = learning()});
  const StreamId s = w.open(soft(model, ms(10))), warm = w.open(soft(model, Duration{}));
  run_at(w, warm, 1.5, 50);
  w.release(s);  // alone 6, with another 9, four of them 15
  w.release(s);
  w.release(s);
  w.decide();
  w.run();
  EXPECT_EQ(w.answer_of(s, 0).largest_batch, 2u);
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  EXPECT_EQ(w.verdict_of(s, 1), Verdict::done);
}

}  // namespace
}  // namespace takt::test
