// Releases of root tasks against values that were worked out apart, from the format's formulas.
#include "sim/arrivals.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <utility>

namespace takt::sim {
namespace {

using namespace std::chrono_literals;
using Expected = std::vector<std::pair<std::int64_t, std::uint32_t>>;  // time, frame

constexpr std::uint64_t kSeed = 5;
constexpr Duration kEnd = 40ms;

files::ScenarioTask periodic(Duration period, Duration offset, Duration jitter) {
  files::ScenarioTask task;
  task.period = task.relative_deadline = period;
  task.offset = offset;
  task.jitter = jitter;
  return task;
}

files::ScenarioTask poisson(double rate, Duration offset) {
  files::ScenarioTask task = periodic(Duration{0}, offset, 1ms);
  task.arrivals = files::Arrivals::poisson;
  task.rate = rate;
  task.relative_deadline = 80ms;
  return task;
}

std::vector<Release> releases_of(const files::ScenarioTask& task, std::uint32_t index, Duration duration = kEnd) {
  std::vector<Release> releases;
  EXPECT_TRUE(append_releases(task, index, kSeed, duration, releases));
  return releases;
}

Expected plain(const std::vector<Release>& releases) {
  Expected all;
  for (const Release& r : releases) all.emplace_back(to_ns(r.at), r.frame);
  return all;
}

TEST(Arrivals, ArePeriodicFromTheOffsetAndEndBeforeTheDuration) {
  EXPECT_EQ(plain(releases_of(periodic(10ms, 10ms, 0ns), 0)),
            (Expected{{10'000'000, 0}, {20'000'000, 1}, {30'000'000, 2}}));
  EXPECT_TRUE(releases_of(periodic(10ms, 40ms, 0ns), 0).empty());
}

TEST(Arrivals, AreLateByTheirJitter) {
  EXPECT_EQ(plain(releases_of(periodic(10ms, 2ms, 3ms), 0)),
            (Expected{{2'515'211, 0}, {13'407'710, 1}, {22'130'385, 2}, {33'593'178, 3}}));
}

TEST(Arrivals, ThatJitterTakesPastTheEndAreNotReleased) {
  EXPECT_EQ(
      plain(releases_of(periodic(5ms, 0ns, 20ms), 1)),
      (Expected{{9'388'737, 0}, {20'283'389, 1}, {24'224'263, 2}, {29'364'853, 3}, {36'886'910, 4}, {38'468'942, 5}}));
}

TEST(Arrivals, OfPoissonTasksHaveExponentialGapsAndNoJitter) {
  EXPECT_EQ(
      plain(releases_of(poisson(100, 1ms), 2)),
      (Expected{{7'271'944, 0}, {7'806'607, 1}, {8'531'184, 2}, {31'825'562, 3}, {33'246'982, 4}, {34'293'225, 5}}));
}

TEST(Arrivals, OfPoissonTasksComeAtTheirRate) {
  EXPECT_NEAR(static_cast<double>(releases_of(poisson(1000, 0ns), 0, 100s).size()), 100'000, 1000);
}

TEST(Arrivals, HaveDeadlinesFromTheirReleaseAndTheWeightOfTheTask) {
  files::ScenarioTask task = periodic(10ms, 2ms, 3ms);
  task.relative_deadline = 7ms;
  task.weight = 2.5;
  const std::vector<Release> releases = releases_of(task, 0);
  EXPECT_EQ(releases[1].deadline, releases[1].at + 7ms);
  EXPECT_EQ(releases[1].weight, 2.5);
}

TEST(Arrivals, AreSortedByTimeThenTaskThenFrame) {
  const auto release = [](std::int64_t at, std::uint32_t task, std::uint32_t frame) {
    return Release{instant_ns(at), task, frame, kNever};
  };
  std::vector<Release> releases{release(2, 0, 0), release(1, 1, 3), release(1, 1, 2), release(1, 0, 9)};
  sort_releases(releases);
  EXPECT_EQ(plain(releases), (Expected{{1, 9}, {1, 2}, {1, 3}, {2, 0}}));
}

TEST(Arrivals, AreRefusedWhereTheyWouldFillTheMemory) {
  std::vector<Release> releases;
  EXPECT_FALSE(append_releases(periodic(1ns, 0ns, 0ns), 0, kSeed, 1s, releases));
}

}  // namespace
}  // namespace takt::sim
