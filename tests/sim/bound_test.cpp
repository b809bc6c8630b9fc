// The fluid bound against cases computed by hand.
#include "sim/bound.hpp"

#include <gtest/gtest.h>

#include "engine_cases.hpp"

namespace takt::sim {
namespace {

using testing::Builder;
using testing::play;

TEST(FluidBound, ServesEverythingThatFits) {
  // 4 frames of 10 us between 0 and 40 us.
  Builder b(1);
  b.task("a", {{{10}}}, 10, {0, 10, 20, 30});
  const Bound bound = fluid_bound(b.edit());
  EXPECT_EQ(bound.released, 4u);
  EXPECT_EQ(bound.served, 4u);
  EXPECT_EQ(bound.hopeless, 0u);
}

TEST(FluidBound, IsTheShareThatFitsIntoAnAcceleratorsTime) {
  // 8 frames of 10 us between 0 and 45 us: 4 and a half fit, so at most 4 are on time.
  Builder b(1);
  b.task("a", {{{10}}}, 10, {0, 5, 10, 15, 20, 25, 30, 35});
  const Bound bound = fluid_bound(b.edit());
  EXPECT_EQ(bound.served, 4u);
  EXPECT_DOUBLE_EQ(bound.violation_rate(), 0.5);
}

TEST(FluidBound, PrefersFramesThatCostLess) {
  // 40 us: three of 5 us and two of 12.5 us (one too many at three).
  Builder b(1);
  b.task("dear", {{{12.5}}}, 40, {0, 0, 0}).task("cheap", {{{5}}}, 40, {0, 0, 0});
  EXPECT_EQ(fluid_bound(b.edit()).served, 5u);
}

TEST(FluidBound, SplitsLayersOverAcceleratorsAtTheirCostThere) {
  // Each layer has its own best accelerator: a frame takes 4 us of each, 5 frames fit in 20 us; on one alone only one
  // would.
  Builder b(2);
  b.task("a", {{{4, 16}}, {{16, 4}}}, 20, {0, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(fluid_bound(b.edit()).served, 5u);
}

TEST(FluidBound, SplitsTheSameLayerWhereOneAcceleratorIsFull) {
  // 12 us each: the fast one serves 3 frames of 4 us, the slow one 1 of 12 us. With x of n frames fast, 4x <= 12 and
  // 12 (n - x) <= 12.
  Builder b(2);
  b.task("a", {{{4, 12}}}, 12, {0, 0, 0, 0, 0, 0});
  EXPECT_EQ(fluid_bound(b.edit()).served, 4u);
}

TEST(FluidBound, CountsEqualAcceleratorsTogether) {
  Builder b(3);
  b.task("a", {{{10}}}, 10, {0, 0, 0, 0, 0});
  EXPECT_EQ(fluid_bound(b.edit()).served, 3u);
}

TEST(FluidBound, KnowsWhatCannotBeInTimeEvenAlone) {
  // 4 + 8 us is over 10 us; the child needs 12 us and has 11.
  Builder b(1);
  b.task("fine", {{{4}}}, 10, {0, 100}).child("late", 0, {{{8}}}, 11).task("long", {{{4}}, {{8}}}, 10, {50});
  const Bound bound = fluid_bound(b.edit());
  EXPECT_EQ(bound.released, 5u);
  EXPECT_EQ(bound.hopeless, 3u);
  EXPECT_EQ(bound.served, 2u);
}

TEST(FluidBound, ChildrenNeedTheirParentsWork) {
  // In 20 us: parent and child take 10 us and give two frames on time, so the alternative of 7 us is worth less.
  Builder b(1);
  b.task("parent", {{{8}}}, 20, {0, 0}).child("child", 0, {{{2}}}, 20).task("other", {{{7}}}, 20, {0});
  EXPECT_EQ(fluid_bound(b.edit()).served, 4u);
}

TEST(FluidBound, LosesTheChildrenOfWhatIsAborted) {
  Builder b(1);
  b.task("parent", {{{12}}}, 10, {0}).child("child", 0, {{{2}}}, 20);
  EXPECT_EQ(fluid_bound(b.edit()).served, 0u);
  b.edit().late = LateRule::finish;
  EXPECT_EQ(fluid_bound(b.edit()).served, 1u) << "a late parent still releases its children";
}

TEST(FluidBound, TakesTheLightestSubnet) {
  Builder b(1);
  b.task("a", {{{10}}}, 10, {0, 0});
  b.edit().tasks[0].subnets.push_back(testing::subnet(1, {{{5}}}, "light"));
  EXPECT_EQ(fluid_bound(b.edit()).served, 2u);
}

TEST(FluidBound, LeavesOutSkippedBlocksAndFramesThatDoNotFire) {
  Builder b(1);
  b.task("a", {{{6}}, {{4}}}, 10, {0, 0}).child("never", 0, {{{1}}}, 10, 0);
  b.edit().tasks[0].skip = 1;
  b.edit().tasks[0].subnets[0].segments[0].run.skippable = true;
  const Bound bound = fluid_bound(b.edit());
  EXPECT_EQ(bound.released, 2u);
  EXPECT_EQ(bound.served, 2u) << "4 us each";
}

TEST(FluidBound, OfNoFramesIsNothing) {
  Builder b(2);
  b.task("a", {{{10}}}, 10, {});
  EXPECT_EQ(fluid_bound(b.edit()).violation_rate(), 0);
}

TEST(FluidBound, HoldsForEveryPolicyOnRandomOverload) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Builder b(2);
    std::uint64_t x = seed;
    const auto draw = [&](double most) {
      return 1 + static_cast<double>((x = x * 6364136223846793005u + 1442695040888963407u) >> 40) / 0x1p24 * most;
    };
    std::vector<double> often, seldom;
    for (int f = 0; f < 60; ++f) often.push_back(f * 10 + draw(4)), seldom.push_back(f * 15 + draw(4));
    b.task("a", {{{draw(6), draw(6)}}, {{draw(6), draw(6)}}}, 10 + draw(10), often)
        .child("b", 0, {{{draw(4), draw(4)}}}, 20 + draw(10), 0.5)
        .task("c", {{{draw(9), draw(9)}}}, 15 + draw(10), seldom);
    b.edit().seed = seed;
    const Bound bound = fluid_bound(b.edit());
    for (const char* policy : {"edf", "edf+drop", "reserve+drop", "sjf", "veltair+drop"}) {
      const Outcome outcome = play(b.edit(), policy).outcome;
      std::uint64_t released = 0, on_time = 0;
      for (const TaskOutcome& t : outcome.tasks) released += t.released, on_time += t.on_time;
      EXPECT_EQ(released, bound.released);
      EXPECT_LE(on_time, bound.served) << policy << ", seed " << seed;
    }
  }
}

}  // namespace
}  // namespace takt::sim
