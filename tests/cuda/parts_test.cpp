// parts: how wishes for multiprocessors become groups of one split.
#include "cuda/parts.hpp"

#include <gtest/gtest.h>

#include <random>

namespace takt::cuda {
namespace {

constexpr SmResource kH200{132, 8, 8, 16}, kOrin{16, 4, 2, 4}, kL40S{142, 4, 2, 35};

// By wish, in the order of the wishes.
std::vector<int> sizes(const Partition& partition) {
  std::vector<int> sizes(partition.parts.size());
  for (const Part& part : partition.parts) sizes[part.wish] = part.sms;
  return sizes;
}
std::vector<int> divided(const SmResource& device, const std::vector<Wish>& wishes) {
  const Parsed<Partition> partition = divide(device, wishes);
  if (!partition) ADD_FAILURE() << partition.error().text;
  return partition ? sizes(*partition) : std::vector<int>{};
}
std::string refusal(const SmResource& device, const std::vector<Wish>& wishes) {
  const Parsed<Partition> partition = divide(device, wishes);
  EXPECT_FALSE(partition);
  return partition ? "" : partition.error().text;
}

TEST(Parts, WhatTheOthersLeaveIncludesTheRestOfTheSplit) {
  const Parsed<Partition> p = divide(kH200, std::vector<Wish>{{"critical", 32}, {"bulk", 0}});
  ASSERT_TRUE(p);
  EXPECT_EQ(p->unit, 8);
  EXPECT_EQ(p->groups(), (std::vector<int>{4, 12}));
  EXPECT_TRUE(p->rest_to_last);
  EXPECT_EQ(sizes(*p), (std::vector<int>{32, 100}));
}

TEST(Parts, WhoGetsTheRestComesLast) {
  const Parsed<Partition> p = divide(kH200, std::vector<Wish>{{"bulk", 0}, {"critical", 32}});
  ASSERT_TRUE(p);
  ASSERT_EQ(p->parts.size(), 2u);
  EXPECT_EQ(p->parts[0].wish, 1u);
  EXPECT_EQ(p->parts[1].wish, 0u);
  EXPECT_EQ(p->groups(), (std::vector<int>{4, 12}));
}

TEST(Parts, OneAcceleratorHasTheWholeDevice) {
  EXPECT_EQ(divided(kH200, {{"all", 0}}), std::vector<int>{132});
  EXPECT_EQ(divided(kH200, {{"all", 132}}), std::vector<int>{132});
}

TEST(Parts, AWishIsRoundedToTheNearestGroup) {
  EXPECT_EQ(divided(kH200, {{"a", 30}, {"b", 0}}), (std::vector<int>{32, 100}));
  EXPECT_EQ(divided(kH200, {{"a", 27}, {"b", 0}}), (std::vector<int>{24, 108}));
  EXPECT_EQ(divided(kH200, {{"a", 1}, {"b", 0}}), (std::vector<int>{8, 124})) << "a group at least";
}

TEST(Parts, TheRestGoesToTheWishItBringsNearer) {
  EXPECT_EQ(divided(kH200, {{"a", 32}, {"b", 100}}), (std::vector<int>{32, 100}));
  EXPECT_EQ(divided(kH200, {{"a", 100}, {"b", 32}}), (std::vector<int>{100, 32}));
  EXPECT_EQ(divided(kH200, {{"a", 66}, {"b", 66}}), (std::vector<int>{64, 64})) << "68 is no nearer than 64";
  EXPECT_EQ(divided(kH200, {{"a", 32}, {"b", 32}}), (std::vector<int>{32, 32})) << "nobody needs it";
}

TEST(Parts, RoundingUpGivesWayWhereItDoesNotFit) {
  EXPECT_EQ(divided(kH200, {{"a", 44}, {"b", 44}, {"c", 44}}), (std::vector<int>{44, 40, 48}));
  EXPECT_EQ(divided(kH200, {{"a", 70}, {"b", 62}}), (std::vector<int>{68, 64}));
}

TEST(Parts, SeveralShareWhatIsLeft) {
  EXPECT_EQ(divided(kH200, {{"a", 32}, {"b", 0}, {"c", 0}}), (std::vector<int>{32, 48, 52}));
  EXPECT_EQ(divided(kH200, {{"a", 0}, {"b", 0}, {"c", 0}}), (std::vector<int>{48, 40, 44}));
}

TEST(Parts, SmallDevicesHaveSmallGroups) {
  EXPECT_EQ(divided(kOrin, {{"a", 4}, {"b", 4}, {"c", 0}}), (std::vector<int>{4, 4, 8}));
  EXPECT_EQ(divided(kL40S, {{"a", 120}, {"b", 0}}), (std::vector<int>{120, 22}));
  EXPECT_EQ(divided({8, 4, 2, 2}, {{"a", 4}, {"b", 0}}), (std::vector<int>{4, 4})) << "Orin NX";
}

TEST(Parts, TheDriversCountOfGroupsIsBelieved) {
  const SmResource odd{142, 4, 2, 28};  // fewer than 142 / 4
  EXPECT_EQ(divided(odd, {{"a", 100}, {"b", 0}}), (std::vector<int>{100, 42}));
  EXPECT_NE(refusal(odd, {{"a", 112}, {"b", 16}}), "");
}

TEST(Parts, AGroupIsAMultipleOfTheStep) {
  const Parsed<Partition> p = divide({60, 10, 4, 0}, std::vector<Wish>{{"a", 24}, {"b", 0}});
  ASSERT_TRUE(p);
  EXPECT_EQ(p->unit, 12);
  EXPECT_EQ(p->groups(), (std::vector<int>{2, 3}));
  EXPECT_FALSE(p->rest_to_last) << "there is none";
}

TEST(Parts, RefusesMoreThanThereIs) {
  EXPECT_EQ(refusal(kH200, {{"a", 96}, {"b", 64}}), "the parts ask for 160 of 132 multiprocessors");
  const Parsed<Partition> one = divide(kH200, std::vector<Wish>{{"a", 8}, {"huge", 160}});
  ASSERT_FALSE(one);
  EXPECT_EQ(one.error().key, "huge");
  EXPECT_EQ(one.error().text, "asks for 160 of 132 multiprocessors");
}

TEST(Parts, RefusesMorePartsThanGroupsAndSaysHowManyFit) {
  EXPECT_EQ(refusal(kOrin, {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 1}}),
            "the device has 16 multiprocessors, in 4 groups of 4: at most 4 accelerators fit, not 5");
}

TEST(Parts, RefusesWhereNothingIsLeftForWhoTakesWhatIsLeft) {
  const std::string text = refusal(kH200, {{"a", 128}, {"b", 0}});
  EXPECT_EQ(text,
            "the device has 132 multiprocessors, in 16 groups of 8: the parts need 17 groups: ask for 120 together at "
            "most, and leave a group for each part that takes what is left");
  EXPECT_EQ(divided(kH200, {{"a", 120}, {"b", 0}}), (std::vector<int>{120, 12}));
}

TEST(Parts, RefusesNegativeNumbers) {
  EXPECT_NE(refusal(kH200, {{"a", -8}, {"b", 0}}), "");
}

TEST(Parts, AnyPartitionUsesEachWishOnceAndNoMoreThanThereIs) {
  std::mt19937 random(7);
  std::size_t granted = 0, refused = 0;
  for (int round = 0; round < 20000; ++round) {
    SmResource device = guideline(7 + static_cast<int>(random() % 3), 8 + static_cast<int>(random() % 150));
    std::vector<Wish> wishes(1 + random() % 5);
    for (Wish& wish : wishes) wish.sms = random() % 4 == 0 ? 0 : static_cast<int>(random() % 80);
    const Parsed<Partition> p = divide(device, wishes);
    if (!p) {
      ++refused;
      EXPECT_NE(p.error().text, "");
      continue;
    }
    ++granted;
    int sum = 0, groups = 0;
    std::vector<int> seen(wishes.size());
    for (const Part& part : p->parts) {
      ++seen[part.wish];
      sum += part.sms, groups += part.groups;
      EXPECT_GE(part.groups, 1);
      const int wish = wishes[part.wish].sms;
      if (wish >= p->unit) {
        EXPECT_LT(std::abs(part.sms - wish), p->unit) << "round " << round;
      }
    }
    EXPECT_EQ(seen, std::vector<int>(wishes.size(), 1)) << "round " << round;
    EXPECT_LE(sum, device.sms) << "round " << round;
    EXPECT_LE(groups, device.sms / p->unit) << "round " << round;
    EXPECT_EQ(p->unit % device.step, 0);
  }
  EXPECT_GT(granted, 1000u);
  EXPECT_GT(refused, 1000u);
}

TEST(Parts, TheGuidelineKnowsTheGenerations) {
  EXPECT_EQ(guideline(7, 40).least, 2);
  EXPECT_EQ(guideline(8, 16).least, 4);
  EXPECT_EQ(guideline(8, 16).step, 2);
  EXPECT_EQ(guideline(9, 132).least, 8);
  EXPECT_EQ(guideline(12, 170).step, 8);
}

TEST(Parts, ANoteSaysWhatWasGrantedInstead) {
  EXPECT_EQ(grant_note({"a", 32}, 32, 8), "");
  EXPECT_EQ(grant_note({"a", 0}, 100, 8), "");
  EXPECT_EQ(grant_note({"a", 30}, 32, 8),
            "accelerator a asked for 30 multiprocessors and has 32: the device gives groups of 8");
}

TEST(Parts, SharingIsToldOnlyWhereSomethingIsLost) {
  EXPECT_EQ(shared_note(std::vector<Wish>{{"a", 0}}, 132), "");
  EXPECT_EQ(shared_note(std::vector<Wish>{{"a", 132}}, 132), "");
  EXPECT_NE(shared_note(std::vector<Wish>{{"a", 32}}, 132), "");
  const std::string text = shared_note(std::vector<Wish>{{"a", 32}, {"b", 0}}, 132);
  EXPECT_NE(text.find("a, b share all 132"), std::string::npos) << text;
}

TEST(Parts, HardWorkersHaveTheGreatestPriority) {
  EXPECT_EQ(priority_of(Criticality::hard, 0, -5), -5);
  EXPECT_EQ(priority_of(Criticality::firm, 0, -5), -2);
  EXPECT_EQ(priority_of(Criticality::soft, 0, -5), 0);
}

}  // namespace
}  // namespace takt::cuda
