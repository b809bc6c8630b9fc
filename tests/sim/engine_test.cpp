// The engine against cases worked out by hand from the scenario semantics.
#include <gtest/gtest.h>

#include "sim/engine_cases.hpp"

namespace takt::sim::testing {
namespace {

TEST(Engine, StartsOnTheAcceleratorThatEndsFirstAndThenInFileOrder) {
  Builder b(2);
  b.task("slow0", {{{9, 3}}}, 100, {0}).task("any", {{{5}}}, 100, {0, 20});
  const Played p = play(b.edit());
  EXPECT_EQ(p.trace,
            "0,release,slow0,0,0,-,net\n0,release,any,0,0,-,net\n"
            "0,start,slow0,0,0,x1,net\n0,start,any,0,0,x0,net\n"
            "3000,end,slow0,0,0,x1,net\n3000,done,slow0,0,1,-,net\n"
            "5000,end,any,0,0,x0,net\n5000,done,any,0,1,-,net\n"
            "20000,release,any,1,0,-,net\n20000,start,any,1,0,x0,net\n"
            "25000,end,any,1,0,x0,net\n25000,done,any,1,1,-,net\n");
}

TEST(Engine, BreaksTiesByReleaseTaskAndFrame) {
  Builder b(1);
  b.task("a", {{{1}}}, 50, {5}).task("b", {{{1}}}, 55, {0, 0}).task("c", {{{10}}}, 20, {0});
  const Played p = play(b.edit());  // at 10: a, b0, b1 wait, all due at 55
  EXPECT_TRUE(p.has("10000,start,b,0,0,x0,net"));
  EXPECT_TRUE(p.has("11000,start,b,1,0,x0,net"));
  EXPECT_TRUE(p.has("12000,start,a,0,0,x0,net"));
}

TEST(Engine, AbortsAWaitingJobAtItsDeadlineAndARunningOneAfterItsSegment) {
  Builder b(1);
  b.task("runs", {{{6}}, {{6}}}, 8, {0}).task("waits", {{{6}}}, 9, {0});
  const Played p = play(b.edit(), "fcfs");
  EXPECT_TRUE(p.has("9000,abort,waits,0,0,-,net"));
  EXPECT_TRUE(p.has("12000,end,runs,0,1,x0,net"));
  EXPECT_TRUE(p.has("12000,late,runs,0,2,-,net")) << "nothing was left of it: late, not aborted";
  EXPECT_EQ(p.outcome.tasks[0].late, 1u);
  EXPECT_EQ(p.outcome.tasks[1].aborted, 1u);
  EXPECT_EQ(p.outcome.violation_rate, 1);
}

TEST(Engine, IsOnTimeAtTheDeadlineItself) {
  Builder b(1);
  b.task("exact", {{{4}}, {{4}}}, 8, {0});
  EXPECT_EQ(play(b.edit()).outcome.tasks[0].on_time, 1u);
}

TEST(Engine, FinishesLateJobsIfTheCaseSaysSo) {
  Builder b(1);
  b.task("late", {{{4}}, {{4}}}, 5, {0}).child("child", 0, {{{1}}}, 20);
  b.edit().late = LateRule::finish;
  const Played p = play(b.edit());
  EXPECT_TRUE(p.has("8000,late,late,0,2,-,net"));
  EXPECT_TRUE(p.has("8000,release,child,0,0,-,net")) << "a late parent still releases its children";
  EXPECT_EQ(p.outcome.tasks[1].on_time, 1u);
}

TEST(Engine, CountsChildrenOfADroppedParentAsDroppedDownTheCascade) {
  Builder b(1);
  b.task("parent", {{{9}}}, 5, {0}).child("child", 0, {{{1}}}, 20).child("never", 0, {{{1}}}, 20, 0).child("grandchild", 1, {{{1}}}, 30);
  const Played p = play(b.edit(), "edf+drop");
  EXPECT_EQ(p.trace,
            "0,release,parent,0,0,-,net\n0,drop,parent,0,0,-,net\n"
            "0,drop,child,0,0,-,net\n0,drop,grandchild,0,0,-,net\n");
  EXPECT_EQ(p.outcome.tasks[1].released, 1u);
  EXPECT_EQ(p.outcome.tasks[1].dropped, 1u);
  EXPECT_EQ(p.outcome.tasks[2].released, 0u);
  EXPECT_EQ(p.outcome.tasks[3].dropped, 1u);
}

TEST(Engine, AbortsAChildThatComesAtItsDeadline) {
  Builder b(1);
  b.task("parent", {{{9}}}, 10, {0}).child("child", 0, {{{1}}}, 9);
  const Played p = play(b.edit());
  EXPECT_TRUE(p.has("9000,release,child,0,0,-,net"));
  EXPECT_TRUE(p.has("9000,abort,child,0,0,-,net"));
}

// Reading and writing activations at 1 byte a cycle and 1 GHz: a byte is a nanosecond.
TEST(Engine, PaysForReadingAndWritingActivationsWhenJobsChange) {
  Builder b(1);
  b.task("long", {{{10}, 300}, {{10}, 200}, {{10}}}, 1000, {0}).task("urgent", {{{5}, 50}, {{5}}}, 20, {1});
  b.edit().platform.switch_costs = true;
  const Played p = play(b.edit());
  EXPECT_TRUE(p.has("10000,start,urgent,0,0,x0,net"));
  EXPECT_TRUE(p.has("15300,end,urgent,0,0,x0,net")) << "writes the 300 of the unfinished job, reads nothing";
  EXPECT_TRUE(p.has("20300,end,urgent,0,1,x0,net")) << "its own latest work: free";
  EXPECT_TRUE(p.has("30600,end,long,0,1,x0,net")) << "reads its 300 back; the other job is finished";
  EXPECT_TRUE(p.has("40600,end,long,0,2,x0,net"));
  EXPECT_EQ(p.outcome.accelerators[0].switches, 2u);
  EXPECT_DOUBLE_EQ(p.outcome.tasks[1].energy_nj, 10000 + 0.046 * 300);
  EXPECT_DOUBLE_EQ(p.outcome.tasks[0].energy_nj, 30000 + 0.046 * 300);
}

TEST(Engine, ReadsTheActivationOfAJobThatMovesToAnotherAccelerator) {
  Builder b(2);
  b.task("moves", {{{10, 30}, 400}, {{30, 10}}}, 1000, {0});
  b.edit().platform.switch_costs = true;
  const Played p = play(b.edit());
  EXPECT_TRUE(p.has("10000,start,moves,0,1,x1,net"));
  EXPECT_TRUE(p.has("20400,end,moves,0,1,x1,net"));
}

// Two accelerators that want all of the bandwidth: each at half speed.
TEST(Engine, SharesMemoryBandwidthInProportion) {
  Builder b(2);
  b.task("a", {{{10}, 0, 1}}, 1000, {0}).task("b", {{{10}, 0, 1}}, 1000, {0});
  b.edit().platform.memory_bandwidth = 1e9;
  const Played p = play(b.edit());
  EXPECT_TRUE(p.has("20000,done,a,0,1,-,net"));
  EXPECT_TRUE(p.has("20000,done,b,0,1,-,net"));
}

// Sum of demands 1.5 until 12, then .9 or 1.1: 21.3 and 22.3 by hand.
TEST(Engine, SharesBandwidthAnewWhenWhatRunsChanges) {
  Builder b(2);
  b.task("a", {{{10, 1e6}, 0, 1}, {{5, 1e6}, 0, 0.2}}, 1e5, {0}).task("b", {{{1e6, 8}, 0, 0.5}, {{1e6, 8}, 0, 0.9}}, 1e5, {0});
  b.edit().platform.memory_bandwidth = 1e9;
  const Played p = play(b.edit());
  const auto end = [&](const std::string& task) {
    const std::size_t at = p.trace.find(",done," + task);
    return std::stod(p.trace.substr(p.trace.rfind('\n', at) + 1));
  };
  EXPECT_NEAR(end("a"), 21300, 2);
  EXPECT_NEAR(end("b"), 22300, 2);
}

TEST(Engine, LeavesOutSkippedBlocksAsSoonAsTheyAreReached) {
  Builder b(1);
  b.task("skips", {{{1}}, {{10}}, {{10}}, {{1}}}, 100, {0});
  Task& t = b.edit().tasks[0];
  t.skip = 1;
  for (const std::size_t k : {1u, 2u}) t.subnets[0].segments[k].run = {.block = 1, .skippable = true, .on = {}};
  const Played p = play(b.edit());
  EXPECT_TRUE(p.has("1000,start,skips,0,3,x0,net"));
  EXPECT_TRUE(p.has("2000,done,skips,0,4,-,net"));
  for (const std::size_t k : {1u, 2u, 3u}) t.subnets[0].segments[k].run = {.block = 1, .skippable = true, .on = {}};
  EXPECT_TRUE(play(b.edit()).has("1000,done,skips,0,4,-,net")) << "a job whose rest is skipped is complete";
}

TEST(Engine, TellsTheMetricsOfWhatItRan) {
  Builder b(1);
  b.task("a", {{{2}}}, 10, {0, 10}).task("b", {{{2}}}, 3, {0});
  const Outcome o = play(b.edit(), "fcfs").outcome;  // b waits until 2 and is late at 4
  EXPECT_EQ(o.tasks[0].on_time, 2u);
  EXPECT_EQ(o.tasks[1].late, 1u);
  EXPECT_DOUBLE_EQ(o.violation_rate, 1.0 / 3);
  EXPECT_DOUBLE_EQ(o.uxcost, (1.0 / 4 + 1) * 2);  // no violation of two frames; all energies are worst cases
  EXPECT_DOUBLE_EQ(o.antt, (1 + 1 + 2) / 3.0);
  EXPECT_DOUBLE_EQ(o.stp, 1.5);
  EXPECT_DOUBLE_EQ(o.fairness, 0.5);
  EXPECT_EQ(o.tasks[1].latency.p99, 4000);
  EXPECT_EQ(o.decisions, 3u);
}

TEST(Engine, GivesEqualTracesForEqualCases) {
  Builder b(2);
  b.task("a", {{{3}}, {{4}}}, 9, {0, 3, 6, 9, 12}).task("b", {{{2}}, {{2}}}, 7, {0, 2, 4, 6});
  b.edit().tasks[0].noise = 0.3;
  EXPECT_EQ(play(b.edit(), "sdrm3:full").trace, play(b.edit(), "sdrm3:full").trace);
}

}  // namespace
}  // namespace takt::sim::testing
