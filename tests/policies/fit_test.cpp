// fit: the most accurate subnet that meets the slack, within the stream's bounds and what has already run.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

struct Nets {
  Catalog catalog;
  ModelId model =
      catalog.add({{"full", 0.9F, {{"a", ms(8)}}}, {"half", 0.7F, {{"b", ms(4)}}}, {"least", 0.5F, {{"c", ms(1)}}}});
};

std::uint32_t chosen(Duration deadline, float floor = 0, float ceiling = 1) {
  Nets n;
  VirtualWorld w(n.catalog, {.policy = "edf+fit"});
  StreamSpec spec = soft(n.model, deadline);
  spec.accuracy_floor = floor;
  spec.accuracy_ceiling = ceiling;
  const StreamId s = w.open(spec);
  w.release(s);
  w.run();
  return w.answer_of(s, 0).route.value;
}

TEST(Fit, TakesTheMostAccurateSubnetThatMeetsTheSlack) {
  // 8 and 4 of work, planned with nine tenths of the slack.
  EXPECT_EQ(chosen(us(8889)), 0u);
  EXPECT_EQ(chosen(us(8888)), 1u);
  EXPECT_EQ(chosen(us(4445)), 1u);
  EXPECT_EQ(chosen(us(4444)), 2u);
}

TEST(Fit, StaysBetweenFloorAndCeiling) {
  EXPECT_EQ(chosen(ms(100), 0, 0.8F), 1u);
  EXPECT_EQ(chosen(ms(2), 0.6F), 1u) << "nothing lighter is allowed";
  EXPECT_EQ(chosen(ms(5), 0.6F), 1u);
}

TEST(Fit, TakesTheLightestWhenNoneMeetsTheSlack) {
  Nets n;
  VirtualWorld w(n.catalog, {.policy = "edf+fit"});
  StreamSpec spec = soft(n.model, us(500));
  spec.late = LateRule::finish;
  const StreamId s = w.open(spec);
  w.release(s);
  w.run();
  EXPECT_EQ(w.answer_of(s, 0).route, RouteId{2u});
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::late);
}

TEST(Fit, GoesLighterUnderLoadAndBackWhenItIsOver) {
  Nets n;
  VirtualWorld w(n.catalog, {.policy = "edf+fit"});
  const StreamId s = w.open(soft(n.model, ms(10)));
  w.release(s);
  w.release(s);
  w.release(s);
  w.run();
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(w.verdict_of(s, i), Verdict::done) << "frame " << i;
  EXPECT_NE(w.answer_of(s, 2).route, RouteId{0u});
  w.run_until(at(ms(50)));
  w.release(s);
  w.run();
  EXPECT_EQ(w.answer_of(s, 3).route, RouteId{0u});
}

TEST(Fit, TakesOneSubnetForAllThatWaitSoThatTheyShareBatches) {
  Nets n;
  n.catalog.set_batches(n.model, 1.0 / 7, 8);
  VirtualWorld w(n.catalog, {.policy = "edf+fit"});
  const StreamId s = w.open(soft(n.model, ms(12))), t = w.open(soft(n.model, ms(20)));
  for (int i = 0; i < 4; ++i) w.release(s), w.release(t);
  w.run();
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(w.answer_of(s, i).route, w.answer_of(t, i).route);
    EXPECT_EQ(w.answer_of(s, i).largest_batch, 8u);
  }
}

TEST(Fit, IsNotHeldDownByAJobThatIsLateAnyway) {
  Nets n;
  VirtualWorld w(n.catalog, {.policy = "edf+fit"});
  StreamSpec overdue = soft(n.model, us(500));
  overdue.late = LateRule::finish;
  const StreamId o = w.open(overdue), s = w.open(soft(n.model, ms(12)));
  w.release(o);
  w.release(s);
  w.run();
  EXPECT_EQ(w.answer_of(o, 0).route, RouteId{2u});
  EXPECT_EQ(w.answer_of(s, 0).route, RouteId{0u});
}

TEST(Fit, DoesNotCountWhatWasJustDropped) {
  Nets n;
  const ModelId hopeless = n.catalog.chain({ms(6)});
  VirtualWorld w(n.catalog, {.policy = "edf+drop+fit"});
  const StreamId h = w.open(soft(hopeless, ms(3))), s = w.open(soft(n.model, ms(10)));
  w.release(h);
  w.release(s);
  w.run();
  EXPECT_EQ(w.verdict_of(h, 0), Verdict::dropped);
  EXPECT_EQ(w.answer_of(s, 0).route, RouteId{0u});
}

// Both subnets begin alike; after the wide second segment only the wide third one may follow.
struct Branching {
  Catalog catalog;
  ModelId model = catalog.add({{"full", 0.9F, {{"stem", ms(1)}, {"wide", ms(2)}, {"wide", ms(4)}}},
                               {"half", 0.7F, {{"stem", ms(1)}, {"slim", ms(1)}, {"slim", ms(1)}}}});
  ModelId urgent = catalog.chain({ms(3)});
};

TEST(Fit, MayChangeTheSubnetWhereBothHaveBegunAlike) {
  Branching b;
  VirtualWorld w(b.catalog, {.policy = "edf+fit"});
  const StreamId s = w.open(soft(b.model, ms(8))), u = w.open(soft(b.urgent, ms(5)));
  w.release(s);
  w.release_at(at(us(500)), u);  // from 1 to 4: the wide rest takes 6 of the 4 left
  w.run();
  EXPECT_EQ(w.answer_of(s, 0).route, RouteId{1u});
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
}

TEST(Fit, KeepsTheSubnetOnceItsOwnSegmentHasRun) {
  Branching b;
  VirtualWorld w(b.catalog, {.policy = "edf+fit"});
  const StreamId s = w.open(soft(b.model, ms(10))), u = w.open(soft(b.urgent, ms(5)));
  w.release(s);
  w.release_at(at(us(1500)), u);
  w.release_at(at(us(1500)), u);  // from 3 to 9: 4 of the 1 left, and no way back
  w.run();
  EXPECT_EQ(w.answer_of(s, 0).segments, 3u);
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::missed);
  EXPECT_EQ(w.core().counters().refused_plans, 0u);
}

// A plan that changes to a subnet with another beginning is refused and counted.
TEST(Reroute, IsRefusedWhereTheBeginningsDiffer) {
  Branching b;
  struct Changing final : Policy {
    void decide(const Snapshot& s, Plan& plan) noexcept override {
      if (s.first && s.waiting.segment[0] == 2) {
        plan.reroutes.push({s.waiting.job[0], RouteId{1u}});
      } else if (!s.first) {
        plan.starts.push({s.waiting.job[0], AcceleratorId{0u}, 1});
      }
    }
  } policy;
  VirtualWorld w(b.catalog, {.custom = &policy});
  const StreamId s = w.open(soft(b.model, ms(50)));
  w.release(s);
  w.run();
  EXPECT_EQ(w.answer_of(s, 0).route, RouteId{0u});
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  EXPECT_EQ(w.core().counters().refused_plans, 1u);
}

}  // namespace
}  // namespace takt::test
