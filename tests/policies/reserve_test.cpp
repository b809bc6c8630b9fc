// reserve: waits for a busy accelerator where that ends earlier, and plans the rest around it.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

// Fast on accelerator 0, five times slower on 1.
struct Uneven {
  Catalog catalog{2};
  ModelId model = catalog.chain({ms(4)});
  Uneven() { catalog.set_factor(model, 1, 5); }
};

TEST(Reserve, WaitsForABusyAcceleratorWhereThatEndsEarlier) {
  Uneven u;
  VirtualWorld w(u.catalog, {.core = serial_core(2), .policy = "reserve"});
  const StreamId s = w.open(soft(u.model, ms(100)));
  w.release(s);
  w.release(s);  // 4 + 4 on the fast one, 20 on the idle slow one
  w.run();
  EXPECT_EQ(w.answer_of(s, 1).end, at(ms(8)));
  EXPECT_EQ(w.answer_of(s, 1).accelerator, AcceleratorId{0u});
}

TEST(Reserve, TakesTheIdleOneWhenTheQueueForTheFastOneIsLongerThanThat) {
  Uneven u;
  VirtualWorld w(u.catalog, {.core = serial_core(2), .policy = "reserve"});
  const StreamId s = w.open(soft(u.model, ms(100)));
  for (int i = 0; i < 6; ++i) w.release(s);  // the sixth would end at 24
  w.run();
  EXPECT_EQ(w.answer_of(s, 5).accelerator, AcceleratorId{1u});
  EXPECT_EQ(w.answer_of(s, 5).end, at(ms(20)));
  EXPECT_EQ(w.answer_of(s, 4).end, at(ms(20)));
}

TEST(Reserve, PutsTheLongerOfTwoEqualDeadlinesFirst) {
  Catalog catalog;
  const ModelId small = catalog.chain({ms(2)}), large = catalog.chain({ms(6)});
  VirtualWorld w(catalog, {.policy = "reserve"});
  const StreamId a = w.open(soft(small, ms(20))), b = w.open(soft(large, ms(20)));
  w.release(a);
  w.release(b);
  w.run();
  EXPECT_EQ(w.answer_of(b, 0).end, at(ms(6)));
  EXPECT_EQ(w.answer_of(a, 0).end, at(ms(8)));
}

}  // namespace
}  // namespace takt::test
