// static: where streams are pinned, and who goes first there.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

TEST(Static, WaitsForTheBestAcceleratorWhileAnotherIsIdle) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(4)});
  catalog.set_factor(model, 1, 0.5);
  VirtualWorld w(catalog, {.core = serial_core(2), .policy = "static"});
  const StreamId s = w.open(soft(model, ms(50)));
  w.release(s);
  w.release(s);
  w.run();
  EXPECT_EQ(w.ran_of(s, 0)[0].accelerator, AcceleratorId{1u});
  EXPECT_EQ(w.ran_of(s, 1)[0].accelerator, AcceleratorId{1u});
  EXPECT_EQ(w.ran_of(s, 1)[0].start, at(ms(2)));
}

TEST(Static, PinsEqualStreamsWhereLeastLoadWasAssigned) {
  Catalog catalog(2);
  const ModelId large = catalog.chain({ms(4)}), small = catalog.chain({ms(1)});
  VirtualWorld w(catalog, {.core = serial_core(2), .policy = "static"});
  std::vector<StreamId> streams;
  for (const ModelId m : {large, small, small, large}) streams.push_back(w.open(soft(m, ms(20))));
  for (const StreamId s : streams) w.release(s);
  w.run();
  const auto where = [&](std::size_t k) { return w.ran_of(streams[k], 0)[0].accelerator.value; };
  EXPECT_EQ(where(0), 0u) << "file order";
  EXPECT_EQ(where(1), 1u);
  EXPECT_EQ(where(2), 1u) << "load 0.05 against 0.2";
  EXPECT_EQ(where(3), 1u) << "load 0.1 against 0.2";
}

TEST(Static, StartsTheEarliestDeadlineOfThoseThatArePinnedThere) {
  Catalog catalog(2);
  const ModelId left = catalog.chain({ms(2)}), right = catalog.chain({ms(2)});
  catalog.set_factor(left, 1, 2);
  catalog.set_factor(right, 1, 0.5);
  VirtualWorld w(catalog, {.core = serial_core(2), .policy = "static"});
  const StreamId l = w.open(soft(left, ms(50))), r = w.open(soft(right, ms(50)));
  w.release(l, at(ms(40)));
  w.release(l, at(ms(30)));
  w.release(r, at(ms(60)));
  w.run();
  EXPECT_EQ(w.ran_of(l, 1)[0].start, at(ms(0)));
  EXPECT_EQ(w.ran_of(l, 0)[0].start, at(ms(2)));
  EXPECT_EQ(w.ran_of(r, 0)[0].start, at(ms(0))) << "the latest deadline, but alone there";
}

TEST(Static, PinsAnewWhenAnAcceleratorIsLost) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(4)});
  catalog.set_factor(model, 1, 0.5);
  VirtualWorld w(catalog, {.core = serial_core(2), .policy = "static"});
  const StreamId s = w.open(soft(model, ms(50)));
  w.down(1);
  w.release(s);
  w.run();
  w.up(1);
  w.release(s);
  w.run();
  EXPECT_EQ(w.ran_of(s, 0)[0].accelerator, AcceleratorId{0u});
  EXPECT_EQ(w.ran_of(s, 1)[0].accelerator, AcceleratorId{1u});
}

}  // namespace
}  // namespace takt::test
