// The report's statistics against cases computed by hand.
#include "statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "results.hpp"
#include "vary.hpp"

namespace takt::tool {
namespace {

Row row(const std::string& scenario, const std::string& policy, std::uint64_t seed, double violations, double uxcost,
        double accuracy = 0) {
  return {.cell = {scenario, "2ws2k", "chain", "0.6", policy, seed},
          .violation_rate = violations,
          .uxcost = uxcost,
          .accuracy = accuracy,
          .wall_ms = 1};
}

TEST(Means, AreThoseOfTheBooks) {
  EXPECT_DOUBLE_EQ(mean(std::vector{1.0, 2.0, 6.0}), 3);
  EXPECT_DOUBLE_EQ(geometric_mean(std::vector{1.0, 4.0}), 2);
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_EQ(mean({}), 0);
  EXPECT_EQ(median({}), 0);
}

TEST(StudentsT, HasItsTabulatedQuantiles) {
  EXPECT_DOUBLE_EQ(student_t975(1), 12.706);
  EXPECT_DOUBLE_EQ(student_t975(4), 2.776);
  EXPECT_DOUBLE_EQ(student_t975(1000), 1.96);
}

TEST(PairedDifference, HasStudentsInterval) {
  // Differences 1, 2, 3: mean 2, deviation 1, half width 4.303 / sqrt(3).
  const Difference d = paired_difference(std::vector{2.0, 4.0, 6.0}, std::vector{1.0, 2.0, 3.0});
  EXPECT_DOUBLE_EQ(d.mean, 2);
  EXPECT_NEAR(d.low, 2 - 4.303 / std::sqrt(3.0), 1e-12);
  EXPECT_NEAR(d.high, 2 + 4.303 / std::sqrt(3.0), 1e-12);
}

TEST(PairedDifference, OfEqualDifferencesHasNoWidthAndOfOnePairNoBounds) {
  const Difference same = paired_difference(std::vector{3.0, 5.0}, std::vector{1.0, 3.0});
  EXPECT_DOUBLE_EQ(same.low, 2);
  EXPECT_DOUBLE_EQ(same.high, 2);
  const Difference one = paired_difference(std::vector{3.0}, std::vector{1.0});
  EXPECT_DOUBLE_EQ(one.mean, 2);
  EXPECT_TRUE(std::isinf(one.low) && std::isinf(one.high));
}

TEST(Bootstrap, OfOneGroupHasNoWidth) {
  const Interval i =
      bootstrap(1, 100, 1, [](std::span<const std::size_t> drawn) { return 7.0 + static_cast<double>(drawn[0]); });
  EXPECT_EQ(i.low, 7);
  EXPECT_EQ(i.high, 7);
}

TEST(Bootstrap, OfAMeanComesNearItsNormalInterval) {
  // Mean of 100 values of deviation 1: 1.96 / 10 on either side.
  std::vector<double> values;
  for (int k = 0; k < 100; ++k) values.push_back(k % 2 == 0 ? 1 : -1);
  const auto statistic = [&](std::span<const std::size_t> drawn) {
    double sum = 0;
    for (const std::size_t g : drawn) sum += values[g];
    return sum / 100;
  };
  const Interval i = bootstrap(100, 4000, 1, statistic);
  EXPECT_NEAR(i.low, -0.196, 0.02);
  EXPECT_NEAR(i.high, 0.196, 0.02);
  const Interval again = bootstrap(100, 4000, 1, statistic);
  EXPECT_EQ(i.low, again.low) << "a fixed seed";
}

TEST(RegretToTheBestRival, IsCutAtNothingAndFindsTheWorstCell) {
  // Best rivals 1, 2, 3; own 4, 1, 5: regrets 3, 0, 2 and differences 3, -1, 2.
  const std::vector<std::vector<double>> rivals{{1, 5, 4}, {2, 2, 3}};
  const Regret r = regret(std::vector{4.0, 1.0, 5.0}, rivals);
  EXPECT_DOUBLE_EQ(r.mean, 5.0 / 3);
  EXPECT_DOUBLE_EQ(r.worst, 3);
  EXPECT_EQ(r.worst_cell, 0u);
  EXPECT_DOUBLE_EQ(r.mean_difference, 4.0 / 3);
}

TEST(Comparing, GivesRatiosOfGeometricMeansAndOfMeanRates) {
  const Rows a{row("x", "a", 1, 0.1, 1, 80), row("y", "a", 1, 0.2, 4)},
      b{row("y", "b", 1, 0.4, 8), row("x", "b", 1, 0.2, 8, 81)};
  const Comparison c = compare(a, b);
  EXPECT_EQ(c.runs, 2u);
  EXPECT_EQ(c.groups, 2u);
  EXPECT_DOUBLE_EQ(c.uxcost, 0.25);
  EXPECT_DOUBLE_EQ(c.violations, 0.5);
  EXPECT_DOUBLE_EQ(c.best_uxcost, 0.125);
  EXPECT_DOUBLE_EQ(c.accuracy, -1) << "only where there is a choice";
  EXPECT_DOUBLE_EQ(c.violations_95.low, 0.5) << "the same in both groups";
  EXPECT_NEAR(c.uxcost_95.low, 0.125, 1e-12);
  EXPECT_NEAR(c.uxcost_95.high, 0.5, 1e-12);
}

TEST(Comparing, LeavesOutWhatOnlyOneOfThemRan) {
  const Rows a{row("x", "a", 1, 0.1, 1), row("x", "a", 2, 0.9, 1)}, b{row("x", "b", 1, 0.2, 2)};
  EXPECT_EQ(compare(a, b).runs, 1u);
  EXPECT_DOUBLE_EQ(compare(a, b).violations, 0.5);
}

TEST(Comparing, MatchesAVariedScenarioWithTheScenarioAsItIs) {
  const Rows a{row("x/noise=0.2", "a", 1, 0.1, 1)}, b{row("x", "a", 1, 0.2, 2)};
  EXPECT_EQ(match(a, b).size(), 1u);
  EXPECT_EQ(a[0].cell.base(), "x");
  EXPECT_EQ(a[0].cell.variation(), "noise=0.2");
}

TEST(Differences, ArePairedOverSeedsInPoints) {
  const Rows a{row("x", "a", 1, 0.03, 1), row("x", "a", 2, 0.05, 1), row("y", "a", 1, 0, 1)};
  const Rows b{row("x", "b", 1, 0.01, 1), row("x", "b", 2, 0.03, 1), row("y", "b", 1, 0.5, 1)};
  const auto cells = differences(a, b);
  ASSERT_EQ(cells.size(), 2u);
  EXPECT_NEAR(cells[0].points.mean, 2, 1e-9);
  EXPECT_NEAR(cells[0].points.low, 2, 1e-9);
  EXPECT_NEAR(cells[1].points.mean, -50, 1e-9);
}

TEST(RegretOfRows, TakesMeansOverSeeds) {
  const Rows own{row("x", "a", 1, 0.02, 1), row("x", "a", 2, 0.04, 1)};
  const Rows rival{row("x", "b", 1, 0.01, 1), row("x", "b", 2, 0.01, 1)};
  std::vector<Cell> cells;
  EXPECT_NEAR(regret_of(own, {rival}, cells).mean, 2, 1e-9);
  ASSERT_EQ(cells.size(), 1u);
  EXPECT_EQ(cells[0].scenario, "x");
}

TEST(Variations, ChangeWhatTheyName) {
  files::Scenario s;
  s.name = "x";
  s.tasks.resize(2);
  s.tasks[1].parent = 0;
  EXPECT_EQ(vary(s, "probability=0.9")->tasks[1].probability, 0.9);
  EXPECT_EQ(vary(s, "probability=0.9")->tasks[0].probability, 1);
  EXPECT_EQ(vary(s, "noise=0.2")->tasks[0].noise.spread, 0.2);
  EXPECT_EQ(vary(s, "late=finish")->late, LateRule::finish);
  EXPECT_EQ(vary(s, "late=finish")->name, "x/late=finish");
  EXPECT_EQ(vary(s, "")->name, "x");
  for (const char* wrong : {"noise", "noise=much", "noise=2", "late=never", "luck=1"})
    EXPECT_FALSE(vary(s, wrong)) << wrong;
  EXPECT_TRUE(applies(s, "probability=0.9"));
  s.tasks.pop_back();
  EXPECT_FALSE(applies(s, "probability=0.9"));
}

}  // namespace
}  // namespace takt::tool
