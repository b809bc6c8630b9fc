// veltair: the smallest accelerator that fits a block's share of the deadline, and how long blocks are.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

// 2 ms on the first accelerator, 4 on the second, smaller one.
struct LargeAndSmall {
  Catalog catalog{2};
  ModelId model = catalog.chain({ms(4)}), blocker = catalog.chain({ms(1)});
  LargeAndSmall() {
    catalog.set_factor(model, 0, 0.5);
    catalog.set_factor(blocker, 1, 0);
  }
};

TEST(Veltair, TakesTheSmallestAcceleratorWhoseTimeFits) {
  LargeAndSmall m;
  VirtualWorld w(m.catalog, {.core = serial_core(2), .policy = "veltair"});
  const StreamId loose = w.open(soft(m.model, ms(4))), tight = w.open(soft(m.model, ms(4) - Duration{1}));
  w.release(loose);
  w.run();
  w.release(tight);
  w.run();
  EXPECT_EQ(w.ran_of(loose, 0)[0].accelerator, AcceleratorId{1u});
  EXPECT_EQ(w.ran_of(tight, 0)[0].accelerator, AcceleratorId{0u});
}

TEST(Veltair, WaitsForABusyAcceleratorThatFitsRatherThanStartWhereItDoesNot) {
  LargeAndSmall m;
  VirtualWorld w(m.catalog, {.core = serial_core(2), .policy = "veltair"});
  const StreamId b = w.open(soft(m.blocker, ms(50))), s = w.open(soft(m.model, ms(3)));
  w.release(b);
  w.decide();
  w.release(s);
  w.run();
  EXPECT_EQ(w.ran_of(s, 0)[0].start, at(ms(1)));
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
}

// When a job of four segments of 1 ms lets another in that came at 0.5 with an earlier deadline.
Instant let_in(Duration others_deadline) {
  Catalog catalog;
  const ModelId chain = catalog.chain({ms(1), ms(1), ms(1), ms(1)}), quick = catalog.chain({ms(1)});
  VirtualWorld w(catalog, {.policy = "veltair"});
  const StreamId s = w.open(soft(chain, ms(80))), other = w.open(soft(quick, others_deadline));
  w.release(s);
  w.release_at(at(us(500)), other);
  w.run();
  EXPECT_EQ(w.verdict_of(other, 0), Verdict::done);
  return w.ran_of(other, 0)[0].start;
}

// A block is at most a tenth of the shortest deadline among the streams: 4, 3 and 1 segments.
TEST(Veltair, KeepsABlockTogetherAndMakesItShorterWhereDeadlinesAreTighter) {
  EXPECT_EQ(let_in(ms(50)), at(ms(4)));
  EXPECT_EQ(let_in(ms(35)), at(ms(3)));
  EXPECT_EQ(let_in(ms(15)), at(ms(1)));
}

TEST(Veltair, EndsABlockForAFirmJob) {
  Catalog catalog;
  const ModelId chain = catalog.chain({ms(1), ms(1), ms(1), ms(1)});
  VirtualWorld w(catalog, {.policy = "veltair"});
  StreamSpec firm = soft(chain, ms(40));
  firm.criticality = Criticality::firm;
  const StreamId s = w.open(soft(chain, ms(30))), f = w.open(firm);
  w.release(s);
  w.release_at(at(us(500)), f);
  w.run();
  EXPECT_EQ(w.ran_of(f, 0)[0].start, at(ms(1)));
}

}  // namespace
}  // namespace takt::test
