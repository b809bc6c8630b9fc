// budget: device memory is refused before it runs out.
#include "cuda/budget.hpp"

#include <gtest/gtest.h>

namespace takt::cuda {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

TEST(Budget, RefusesBeforeTheReserveIsTouched) {
  Budget budget(1000 * kMiB, 600 * kMiB, 100 * kMiB);
  EXPECT_TRUE(budget.take(Use::weights, 400 * kMiB, 600 * kMiB));
  const Result<void> refused = budget.take(Use::slots, 101 * kMiB, 600 * kMiB);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::no_memory);
  EXPECT_NE(std::string(refused.error().text).find("slots"), std::string::npos);
  EXPECT_EQ(budget.used(Use::slots), 0u);
  EXPECT_TRUE(budget.take(Use::slots, 100 * kMiB, 600 * kMiB));
  EXPECT_EQ(budget.left(600 * kMiB), 0u);
}

TEST(Budget, OthersUseOfTheDeviceCounts) {
  Budget budget(1000 * kMiB, 600 * kMiB, 100 * kMiB);
  EXPECT_FALSE(budget.take(Use::activations, 60 * kMiB, 150 * kMiB)) << "somebody else has taken it";
  EXPECT_TRUE(budget.take(Use::activations, 50 * kMiB, 150 * kMiB));
  EXPECT_EQ(budget.left(90 * kMiB), 0u) << "less free than the reserve";
}

TEST(Budget, WhatIsGivenBackCanBeTakenAgain) {
  Budget budget(1000 * kMiB, 200 * kMiB, 0);
  EXPECT_TRUE(budget.take(Use::slots, 200 * kMiB, 200 * kMiB));
  EXPECT_FALSE(budget.take(Use::weights, 1, 200 * kMiB));
  budget.give_back(Use::slots, 150 * kMiB);
  EXPECT_TRUE(budget.take(Use::weights, 150 * kMiB, 200 * kMiB));
  budget.give_back(Use::slots, 999 * kMiB);
  EXPECT_EQ(budget.used(Use::slots), 0u) << "never below nothing";
}

TEST(Budget, GraphsAreMeasuredByTheMemoryThatWent) {
  Budget budget(1000 * kMiB, 500 * kMiB, 0);
  EXPECT_EQ(budget.bytes_per_graph(), kMiB) << "assumed";
  for (int i = 0; i < 8; ++i) budget.count_graph(500 * kMiB, i % 4 == 0 ? 498 * kMiB : 500 * kMiB);
  EXPECT_EQ(budget.used(Use::graphs), 4 * kMiB);
  EXPECT_EQ(budget.graphs(), 8u);
  EXPECT_EQ(budget.bytes_per_graph(), kMiB / 2);
  budget.count_graph(100, 200);
  EXPECT_EQ(budget.used(Use::graphs), 4 * kMiB) << "others freed something";
}

TEST(Budget, GraphsThatCostNothingYetAreNotTakenForFree) {
  Budget budget(1000 * kMiB, 500 * kMiB, 0);
  for (int i = 0; i < 20; ++i) budget.count_graph(500 * kMiB, 500 * kMiB);
  EXPECT_EQ(budget.bytes_per_graph(), kMiB / 16);
}

TEST(Budget, AGraphIsRefusedWhereItWouldNotFit) {
  const Budget budget(1000 * kMiB, 500 * kMiB, 100 * kMiB);
  EXPECT_TRUE(budget.room_for_graph(101 * kMiB));
  EXPECT_FALSE(budget.room_for_graph(101 * kMiB - 1));
}

TEST(Budget, TellsTheOperatorWhereItWent) {
  Budget budget(1000 * kMiB, 600 * kMiB, 100 * kMiB);
  EXPECT_EQ(budget.text(600 * kMiB), "nothing of 1000 MiB, 500 MiB left");
  ASSERT_TRUE(budget.take(Use::weights, 95 * kMiB, 600 * kMiB));
  ASSERT_TRUE(budget.take(Use::slots, 5 * kMiB, 600 * kMiB));
  EXPECT_EQ(budget.text(300 * kMiB), "weights 95 MiB, slots 5 MiB of 1000 MiB, 200 MiB left");
}

TEST(Budget, ADeviceWithLessThanTheReserveGivesNothing) {
  Budget budget(1000 * kMiB, 50 * kMiB, 100 * kMiB);
  EXPECT_EQ(budget.left(50 * kMiB), 0u);
  EXPECT_EQ(budget.left(900 * kMiB), 0u) << "what others free later was never ours";
  EXPECT_FALSE(budget.take(Use::weights, 1, 50 * kMiB));
}

}  // namespace
}  // namespace takt::cuda
