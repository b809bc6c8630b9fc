// drop: gives up what cannot be in time, and nothing else.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

TEST(Drop, GivesUpAWaitingJobAsSoonAsItsSlackIsNegative) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4), ms(4)});
  VirtualWorld w(catalog, {.policy = "edf+drop"});
  const StreamId s = w.open(soft(model, ms(8)));
  w.release(s);
  w.release(s, at(ms(8) - Duration{1}));
  w.release(s, at(ms(9)));
  w.run();
  EXPECT_EQ(w.verdict_of(s, 1), Verdict::dropped);
  EXPECT_EQ(w.answer_of(s, 1).end, at(ms(0)));
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  EXPECT_EQ(w.verdict_of(s, 2), Verdict::dropped);
  EXPECT_EQ(w.answer_of(s, 2).end, at(ms(4))) << "feasible alone until then";
  w.expect_settled();
}

TEST(Drop, GivesUpBetweenSegmentsToo) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4), ms(4)}), urgent = catalog.chain({ms(3)});
  VirtualWorld w(catalog, {.policy = "edf+drop"});
  const StreamId s = w.open(soft(model, ms(10))), u = w.open(soft(urgent, ms(8)));
  w.release(s);
  w.release_at(at(us(500)), u);  // from 4 to 7
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::dropped);
  EXPECT_EQ(w.answer_of(s, 0).end, at(ms(7)));
  EXPECT_EQ(w.answer_of(s, 0).segments, 1u);
  w.expect_settled();
}

TEST(Drop, CountsTheFastestAcceleratorsThatAreUp) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(4)});
  catalog.set_factor(model, 1, 3);
  VirtualWorld w(catalog, {.core = serial_core(2), .policy = "edf+drop"});
  const StreamId s = w.open(soft(model, ms(10)));
  w.down(1);
  w.down(0);
  w.up(1);
  w.release(s);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::dropped);
  w.up(0);
  w.release(s);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 1), Verdict::done);
}

struct Nets {
  Catalog catalog;
  ModelId model = catalog.add(
      {{"full", 0.9F, {{"stem", ms(2)}, {"wide", ms(6)}}}, {"half", 0.7F, {{"stem", ms(2)}, {"slim", ms(1)}}}});
};

TEST(Drop, KeepsAJobThatALighterSubnetCouldStillSave) {
  Nets n;
  VirtualWorld w(n.catalog, {.policy = "edf+drop+fit"});
  const StreamId s = w.open(soft(n.model, ms(5)));
  w.release(s);
  w.release(s, at(ms(2)));  // not even the lighter one
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  EXPECT_EQ(w.answer_of(s, 0).route, RouteId{1u});
  EXPECT_EQ(w.verdict_of(s, 1), Verdict::dropped);
}

TEST(Drop, CountsOnlySubnetsWithinTheAccuracyBounds) {
  Nets n;
  VirtualWorld w(n.catalog, {.policy = "edf+drop+fit"});
  StreamSpec spec = soft(n.model, ms(5));
  spec.accuracy_floor = 0.8F;
  const StreamId s = w.open(spec);
  w.release(s);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::dropped);
}

TEST(Drop, DropsWhatIsWantedLateToo) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  VirtualWorld w(catalog, {.policy = "edf+drop"});
  StreamSpec spec = soft(model, ms(3));
  spec.late = LateRule::finish;
  const StreamId late = w.open(spec), never = w.open(soft(model, Duration{}));
  w.release(late);
  w.release(never);
  w.run();
  EXPECT_EQ(w.verdict_of(late, 0), Verdict::dropped);
  EXPECT_EQ(w.verdict_of(never, 0), Verdict::done);
}

TEST(Drop, LeavesARunningJobToItsDeadline) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  VirtualWorld w(catalog, {.policy = "edf+drop"});
  const StreamId s = w.open(soft(model, ms(4)));
  w.executors().set_time_of([](AcceleratorId, const Entry&) { return ms(6); });  // slower than expected
  w.release(s);
  w.release_at(at(ms(2)), s);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::missed);
}

}  // namespace
}  // namespace takt::test
