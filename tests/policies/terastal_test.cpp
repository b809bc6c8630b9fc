// terastal: order by virtual deadlines, lighter subnets when they are missed, backfill.
#include <gtest/gtest.h>

#include "policies/support/compose.hpp"
#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

// The first segment has a tenth of 20 ms and must start by 1; the other job, due at 8, only by 4. Then the second
// segment can wait until 11.
TEST(Terastal, StartsTheLeastSlackToTheVirtualDeadline) {
  Catalog catalog;
  const ModelId chain = catalog.chain({ms(1), ms(9)}), single = catalog.chain({ms(4)});
  VirtualWorld w(catalog, {.policy = "terastal"});
  const StreamId c = w.open(soft(chain, ms(20))), s = w.open(soft(single, ms(8)));
  w.release(s);
  w.release(c);
  w.run();
  EXPECT_EQ(w.starts_of(c, 0), (std::vector<Instant>{at(ms(0)), at(ms(5))}));
  EXPECT_EQ(w.starts_of(s, 0), std::vector<Instant>{at(ms(1))});
}

struct Nets {
  Catalog catalog;
  ModelId model = catalog.add(
      {{"full", 0.9F, {{"stem", ms(2)}, {"wide", ms(6)}}}, {"half", 0.7F, {{"stem", ms(2)}, {"slim", ms(1)}}}});
  ModelId urgent = catalog.chain({ms(3)});
};

TEST(Terastal, TakesALighterSubnetOnlyWhereTheFullOneMissesItsBudget) {
  Nets n;
  VirtualWorld w(n.catalog, {.policy = "terastal"});
  const StreamId loose = w.open(soft(n.model, ms(8))), tight = w.open(soft(n.model, ms(8) - Duration{4}));
  w.release(loose);
  w.run();
  w.release(tight);
  w.run();
  EXPECT_EQ(w.answer_of(loose, 0).route, RouteId{0u});
  EXPECT_EQ(w.answer_of(tight, 0).route, RouteId{1u});
  EXPECT_EQ(w.verdict_of(tight, 0), Verdict::done);
}

// The urgent job takes the time from 2 to 5; six more would end at 11, the light one's segment at 6.
TEST(Terastal, TurnsToALighterSubnetBetweenSegments) {
  Nets n;
  VirtualWorld w(n.catalog, {.policy = "terastal"});
  const StreamId s = w.open(soft(n.model, ms(9))), u = w.open(soft(n.urgent, us(4500)));
  w.release(s);
  w.release_at(at(ms(1)), u);
  w.run();
  EXPECT_EQ(w.ran_of(u, 0)[0].start, at(ms(2)));
  EXPECT_EQ(w.answer_of(s, 0).route, RouteId{1u});
  EXPECT_EQ(w.answer_of(s, 0).end, at(ms(6)));
}

// 4 ms on the first accelerator, which the first frame keeps until 4; the second one of the given speed is idle.
std::vector<Ran> second_frame(double factor) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(4)});
  catalog.set_factor(model, 1, factor);
  VirtualWorld w(catalog, {.core = serial_core(2), .policy = "terastal"});
  StreamSpec spec = soft(model, ms(7));
  spec.late = LateRule::finish;
  const StreamId s = w.open(spec);
  w.release(s);
  w.release(s);
  w.run();
  return w.ran_of(s, 1);
}

TEST(Terastal, BackfillsWithWhatNoAcceleratorEndsSooner) {
  EXPECT_EQ(second_frame(1.75)[0].start, at(ms(0))) << "feasible";
  EXPECT_EQ(second_frame(1.9)[0].start, at(ms(0))) << "7.6 is late, but before 8";
  EXPECT_EQ(second_frame(2.5)[0].start, at(ms(4))) << "10 is after 8";
}

// When the urgent job ends at 3, one job can no longer be in time, the other has missed the budget of its first segment
// only.
TEST(Terastal, BackfillsWithWhatIsLostLast) {
  Nets n;
  const ModelId chain = n.catalog.chain({ms(1), ms(9)});
  VirtualWorld w(n.catalog, {.policy = "terastal"});
  const StreamId u = w.open(soft(n.urgent, ms(20))), lost = w.open(soft(n.model, ms(5))),
                 c = w.open(soft(chain, ms(20)));
  w.release(u);
  w.decide();
  w.release(lost);
  w.release(c);
  w.run();
  EXPECT_EQ(w.starts_of(c, 0)[0], at(ms(3)));
  EXPECT_EQ(w.verdict_of(lost, 0), Verdict::missed);
}

TEST(Terastal, DropsWhatIsLostOnlyAsAVariant) {
  for (const bool drops : {false, true}) {
    Nets n;
    VirtualWorld w(n.catalog, {.policy = drops ? "terastal:drop" : "terastal"});
    const StreamId s = w.open(soft(n.model, ms(3) - Duration{1})), u = w.open(soft(n.urgent, ms(20)));
    w.release(s);
    w.release(u);
    w.run();
    EXPECT_EQ(w.verdict_of(s, 0), drops ? Verdict::dropped : Verdict::missed);
    EXPECT_EQ(w.ran_of(u, 0)[0].start, at(ms(0))) << "what is lost comes last";
  }
}

TEST(Terastal, RefusesVariantsAndSettingsItDoesNotHave) {
  const auto with = [](std::string setting) { return std::vector<std::string>{std::move(setting)}; };
  EXPECT_TRUE(compose_policy("terastal", with("budget=release")));
  EXPECT_FALSE(compose_policy("terastal", with("budget=none")));
  EXPECT_FALSE(compose_policy("terastal:full"));
}

}  // namespace
}  // namespace takt::test
