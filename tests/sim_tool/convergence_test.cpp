// The count of a tuner's steps, on paths written by hand.
#include "convergence.hpp"

#include <gtest/gtest.h>

namespace takt::tool {
namespace {

// A window that ended with so many steps and this best point.
TunerWindow window(double steps, double best_alpha, double best_beta) {
  return {.steps = steps, .best_alpha = best_alpha, .best_beta = best_beta};
}

TEST(WeightGrid, HasEightyOnePointsAQuarterApartUpToTwo) {
  const std::vector<Weights> grid = weight_grid();
  ASSERT_EQ(grid.size(), 81u);
  EXPECT_EQ(grid.front(), (Weights{0, 0}));
  EXPECT_EQ(grid[1], (Weights{0, 0.25}));
  EXPECT_EQ(grid[9], (Weights{0.25, 0}));
  EXPECT_EQ(grid[40], (Weights{1, 1}));
  EXPECT_EQ(grid.back(), (Weights{2, 2}));
}

TEST(PointsByStep, AreTheBestOnesAfterEachMoveOrHalving) {
  const TunerPath path{.scenario = "s",
                       .windows = {window(0, 1, 1), window(0, 1, 1), window(1, 0.5, 1), window(2, 0.5, 1)}};
  EXPECT_EQ(points_by_step(path, 3), (std::vector<Weights>{{1, 1}, {0.5, 1}, {0.5, 1}, {0.5, 1}}))
      << "it made two steps and stays";
}

TEST(PointsByStep, TakeAMoveAndTheHalvingsOfOneWindowForThatManySteps) {
  const TunerPath path{.scenario = "s", .windows = {window(0, 1, 1), window(2, 2, 2), window(3, 1.5, 2)}};
  EXPECT_EQ(points_by_step(path, 3), (std::vector<Weights>{{1, 1}, {2, 2}, {2, 2}, {1.5, 2}}));
  EXPECT_TRUE(points_by_step({}, 3).empty());
}

TEST(StepsNeeded, AreThoseAfterWhichItStaysWithinFivePercent) {
  EXPECT_EQ(steps_needed(std::vector{1.04, 1.0, 1.02}, 1), 0u);
  EXPECT_EQ(steps_needed(std::vector{1.2, 1.06, 1.05}, 1), 2u) << "5 % is within";
  EXPECT_EQ(steps_needed(std::vector{1.2, 0.9, 1.01}, 1), 1u) << "better than the grid is within";
}

TEST(StepsNeeded, AreNoneIfItLeavesAgain) {
  EXPECT_EQ(steps_needed(std::vector{1.0, 1.0, 1.06}, 1), std::nullopt);
  EXPECT_EQ(steps_needed(std::vector{1.2, 1.04, 1.06, 1.03}, 1), 3u);
  EXPECT_EQ(steps_needed(std::vector<double>{}, 1), std::nullopt);
}

}  // namespace
}  // namespace takt::tool
