// The search of two weights by itself: its defaults are those of the semantics of scenarios, its other rules on
// request.
#include "policies/support/pattern_search.hpp"

#include <gtest/gtest.h>

#include <initializer_list>

namespace takt {
namespace {

void measure(PatternSearch& search, std::initializer_list<double> costs) {
  for (const double cost : costs) search.measured(cost);
}

TEST(PatternSearch, KeepsTheDirectionThatHelpedAndGoesToTheNextOneAfterAFailure) {
  PatternSearch search;
  EXPECT_EQ(search.point(), (Weights{1, 1}));
  search.measured(10);
  EXPECT_EQ(search.point(), (Weights{1.5, 1}));
  search.measured(9);
  EXPECT_EQ(search.point(), (Weights{2, 1}));
  search.measured(9);  // no better
  EXPECT_EQ(search.point(), (Weights{1, 1}));
  EXPECT_EQ(search.best(), (Weights{1.5, 1}));
  EXPECT_EQ(search.steps(), 1u);
}

TEST(PatternSearch, CountsAProbeThatIsClippedToTheBestPointAsAFailure) {
  PatternSearch search({2, 2});
  measure(search, {1, 5});  // +alpha is clipped, -alpha fails, +beta is clipped
  EXPECT_EQ(search.point(), (Weights{2, 1.5}));
  search.measured(5);
  EXPECT_EQ(search.radius(), 0.25);
}

TEST(PatternSearch, BeginsWithTheRadiusItIsGivenAndBeginsAgainWithIt) {
  PatternSearch search({1, 1}, {.first_radius = 1});
  search.measured(4);
  EXPECT_EQ(search.point(), (Weights{2, 1}));
  measure(search, {3, 9, 9, 9});
  ASSERT_EQ(search.radius(), 0.5);
  search.restart();
  EXPECT_EQ(search.point(), (Weights{2, 1}));
  search.measured(7.25);
  EXPECT_EQ(search.best_cost(), 7.25) << "nothing of the workload before is left";
  EXPECT_EQ(search.point(), (Weights{1, 1}));
}

TEST(PatternSearch, MeasuresTheBestPointAgainAfterEveryStepWhenTold) {
  PatternSearch search({1, 1}, {.remeasure = true});
  measure(search, {4, 2});
  EXPECT_EQ(search.point(), (Weights{1.5, 1})) << "the new best point once more";
  search.measured(3);
  EXPECT_EQ(search.best_cost(), 2.5) << "the mean of its two windows";
  EXPECT_EQ(search.point(), (Weights{2, 1}));
  measure(search, {9, 9, 9, 9});
  EXPECT_EQ(search.radius(), 0.25);
  EXPECT_EQ(search.point(), (Weights{1.5, 1}));
  search.measured(4);
  EXPECT_EQ(search.best_cost(), 3) << "2, 3 and 4";
  EXPECT_EQ(search.point(), (Weights{1.75, 1}));
}

}  // namespace
}  // namespace takt
