// keys: which graphs are recorded, in what order, and where they are found.
#include "cuda/keys.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace takt::cuda {
namespace {

// Two stages of widths 0.5 and 1 and a head, behind the preprocessing of two picture sizes; all eight subnets.
// Variants: 0, 1 preprocessing; 2, 3 stage 1 by width; 4 to 7 stage 2 by (in, out); 8, 9 the head by its input.
Model slim() {
  Model m;
  m.name = "slim";
  m.first_variant = VariantId{100u};
  m.forms = {{"small", PictureFormat::rgb, 32, 32, VariantId{100u}},
             {"large", PictureFormat::nv12, 1280, 720, VariantId{101u}}};
  m.segments = {{"preprocess", {}, 1000}, {"one", {"0.5", "1"}, 8000}, {"two", {"0.5", "1"}, 4000}, {"head", {}, 0}};
  m.variants = {{"small", 0, -1, -1, 0, 1000},    {"large", 0, -1, -1, 1, 1000},      {"one 0.5", 1, -1, 0, -1, 4000},
                {"one 1", 1, -1, 1, -1, 8000},    {"two 0.5>0.5", 2, 0, 0, -1, 2000}, {"two 0.5>1", 2, 0, 1, -1, 4000},
                {"two 1>0.5", 2, 1, 0, -1, 2000}, {"two 1>1", 2, 1, 1, -1, 4000},     {"head 0.5", 3, 0, -1, -1, 0},
                {"head 1", 3, 1, -1, -1, 0}};
  const auto path = [](unsigned a, unsigned b, unsigned c) {
    return std::vector<VariantId>{VariantId{100 + a}, VariantId{100 + b}, VariantId{100 + c}};
  };
  m.subnets = {{"0.5-0.5", 0.60f, 0, path(2, 4, 8)},
               {"0.5-1", 0.65f, 0, path(2, 5, 9)},
               {"1-0.5", 0.62f, 0, path(3, 6, 8)},
               {"1-1", 0.70f, 0, path(3, 7, 9)}};
  return m;
}
std::vector<std::uint16_t> variants(std::span<const Key> keys) {
  std::vector<std::uint16_t> list;
  for (const Key& key : keys) list.push_back(key.variant);
  return list;
}

TEST(Keys, ReadyMeansPreprocessingAndUniformWidthsAloneTheLargestFirst) {
  const KeyPlan plan = plan_keys(slim(), {}, {});
  ASSERT_EQ(plan.ready, 8u);
  EXPECT_EQ(plan.required, 8u);
  EXPECT_EQ(variants(std::span(plan.keys).first(8)), (std::vector<std::uint16_t>{1, 7, 3, 4, 2, 0, 9, 8}));
  for (std::size_t i = 0; i < plan.ready; ++i) EXPECT_EQ(plan.keys[i].batch, 1);
}

TEST(Keys, WidthsOfDifferentListsAreComparedAsWritten) {
  Model m = slim();
  m.segments[2].widths = {"1", "0.5"};
  EXPECT_FALSE(is_uniform(m, m.variants[4])) << "0.5 in, 1 out";
  EXPECT_TRUE(is_uniform(m, m.variants[5])) << "0.5 in, 0.5 out";
  EXPECT_TRUE(is_uniform(m, m.variants[2])) << "no width in";
  EXPECT_TRUE(is_uniform(m, m.variants[8])) << "no width out";
}

TEST(Keys, ThenComeSubnetsThatNoOtherBeats) {
  const KeyPlan plan = plan_keys(slim(), {}, {.batches = {1}});
  EXPECT_EQ(variants(std::span(plan.keys).subspan(plan.ready)), std::vector<std::uint16_t>{5})
      << "1-0.5 costs more than 0.5-1 and is less accurate: its mixed variant is left to the eager way";
}

TEST(Keys, MeasuredTimesDecideWhoIsBeaten) {
  std::vector<double> cost(10, 1.0);
  cost[5] = 10;  // 0.5-1 is slow on this device
  const KeyPlan plan = plan_keys(slim(), cost, {.batches = {1}});
  EXPECT_EQ(variants(std::span(plan.keys).subspan(plan.ready)), std::vector<std::uint16_t>{}) << "1-1 beats all";
  cost[7] = 20;
  const KeyPlan other = plan_keys(slim(), cost, {.batches = {1}});
  EXPECT_EQ(variants(std::span(other.keys).subspan(other.ready)), (std::vector<std::uint16_t>{6, 5}));
}

TEST(Keys, TheParetoSetIsInFallingAccuracy) {
  const Model m = slim();
  EXPECT_EQ(pareto_subnets(m, cost_by_width(m)), (std::vector<std::size_t>{3, 1, 0}));
}

TEST(Keys, OfEqualCostTheMoreAccurateSubnetIsKept) {
  const Model m = slim();
  EXPECT_EQ(pareto_subnets(m, std::vector<double>(10, 1.0)), std::vector<std::size_t>{3});
}

TEST(Keys, LargerBatchesFollowUniformOnesFirst) {
  const KeyPlan plan = plan_keys(slim(), {}, {.batches = {1, 2, 4}});
  ASSERT_EQ(plan.keys.size(), 8u + 1 + 6 + 6 + 1 + 1);
  const auto batch = [&](std::size_t i) { return plan.keys[i].batch; };
  EXPECT_EQ(batch(8), 1);
  EXPECT_EQ(batch(9), 2);
  EXPECT_EQ(plan.keys[9].variant, 7) << "the largest";
  EXPECT_EQ(batch(15), 4);
  EXPECT_EQ(plan.keys[21], (Key{5, 2}));
  EXPECT_EQ(plan.keys[22], (Key{5, 4}));
  for (const Key& key : plan.keys)
    if (key.variant < 2) {
      EXPECT_EQ(key.batch, 1) << "pictures come one at a time";
    }
}

TEST(Keys, NoKeyComesTwice) {
  const KeyPlan plan = plan_keys(slim(), {}, {});
  std::set<std::pair<int, int>> seen;
  for (const Key& key : plan.keys) EXPECT_TRUE(seen.emplace(key.variant, key.batch).second) << key.variant;
}

TEST(Keys, TheLimitCutsTheLeastImportant) {
  const KeyPlan all = plan_keys(slim(), {}, {});
  const KeyPlan plan = plan_keys(slim(), {}, {.graphs = 9});
  EXPECT_EQ(plan.keys.size(), 9u);
  EXPECT_EQ(plan.keys, std::vector<Key>(all.keys.begin(), all.keys.begin() + 9));
  EXPECT_EQ(plan.left_out, all.keys.size() - 9);
  EXPECT_EQ(plan.ready, 8u);
  EXPECT_NE(plan.text().find("leave out"), std::string::npos);
}

TEST(Keys, TheMemoryBudgetIsALimitToo) {
  EXPECT_EQ(plan_keys(slim(), {}, {.bytes = 10 << 20, .bytes_each = 1 << 20}).keys.size(), 10u);
  EXPECT_EQ(plan_keys(slim(), {}, {.bytes = 10 << 20, .bytes_each = 0}).left_out, 0u) << "nothing known of a graph";
}

TEST(Keys, LimitsTooSmallToBeReadyAreTold) {
  const KeyPlan plan = plan_keys(slim(), {}, {.graphs = 3});
  EXPECT_EQ(plan.ready, 3u);
  EXPECT_EQ(plan.required, 8u);
  EXPECT_NE(plan.text().find("8 were needed"), std::string::npos) << plan.text();
}

TEST(Keys, AModelWithoutWidthsIsAllReady) {
  Model m;
  m.first_variant = VariantId{0u};
  m.segments = {{"a", {}, 10}, {"b", {}, 0}};
  m.variants = {{"a", 0, -1, -1, -1, 10}, {"b", 1, -1, -1, -1, 0}};
  m.subnets = {{"all", 0.5f, 0, {VariantId{0u}, VariantId{1u}}}};
  const KeyPlan plan = plan_keys(m, {}, {.batches = {1, 16}});
  EXPECT_EQ(plan.ready, 2u);
  EXPECT_EQ(plan.keys.size(), 4u);
}

TEST(Shelf, FindsWhatWasPutAndNothingElse) {
  Shelf shelf(3);
  EXPECT_TRUE(shelf.put({2, 16}, 7));
  EXPECT_TRUE(shelf.put({0, 1}, 0));
  EXPECT_EQ(shelf.find(2, 16), 7u);
  EXPECT_EQ(shelf.find(0, 1), 0u);
  EXPECT_EQ(shelf.find(2, 15), Shelf::kNone);
  EXPECT_EQ(shelf.find(1, 1), Shelf::kNone);
  EXPECT_EQ(shelf.size(), 2u);
}

TEST(Shelf, HasNoPlaceForWrongKeys) {
  Shelf shelf(3);
  EXPECT_FALSE(shelf.put({3, 1}, 1));
  EXPECT_FALSE(shelf.put({0, 0}, 1));
  EXPECT_FALSE(shelf.put({0, 17}, 1));
  EXPECT_TRUE(shelf.put({1, 1}, 5));
  EXPECT_EQ(shelf.find(0, 17), Shelf::kNone) << "not the neighbour's";
  EXPECT_EQ(shelf.find(2, 0), Shelf::kNone);
  EXPECT_EQ(shelf.find(99, 1), Shelf::kNone);
  EXPECT_EQ(Shelf().find(0, 1), Shelf::kNone);
}

}  // namespace
}  // namespace takt::cuda
