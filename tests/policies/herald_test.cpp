// herald: the best accelerator as far as loads are in balance, then gaps. A segment takes 1 on the second accelerator
// and 4 on the first; n frames come at once.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

struct Burst {
  Catalog catalog{2};
  ModelId model = catalog.chain({ms(4)});
  std::unique_ptr<VirtualWorld> world;
  StreamId stream;

  explicit Burst(int frames) {
    catalog.set_factor(model, 1, 0.25);
    world = std::make_unique<VirtualWorld>(catalog, WorldOptions{.core = serial_core(2), .policy = "herald"});
    stream = world->open(soft(model, ms(50)));
    for (int i = 0; i < frames; ++i) world->release(stream);
    world->run();
  }
  // Frames that ran on the slow accelerator.
  std::vector<std::uint32_t> on_slow() {
    std::vector<std::uint32_t> frames;
    for (std::uint32_t i = 0; i < world->frames().size(); ++i)
      if (world->ran_of(stream, i)[0].accelerator == AcceleratorId{0u}) frames.push_back(i);
    return frames;
  }
};
using Frames = std::vector<std::uint32_t>;

TEST(Herald, WaitsForTheBestAcceleratorWhileAnotherWouldNotEndSooner) {
  Burst b(4);
  EXPECT_EQ(b.on_slow(), Frames{});
  EXPECT_EQ(b.world->ran_of(b.stream, 3)[0].end, at(ms(4)));
}

// The fifth would wait until 4 and end at 5: in balance, but the other one is idle and ends it at 4.
TEST(Herald, FillsAnIdleGapWithTheFirstThatEndsSoonerThere) {
  Burst b(5);
  EXPECT_EQ(b.on_slow(), Frames{4});
  EXPECT_EQ(b.world->ran_of(b.stream, 4)[0].start, at(ms(0)));
}

// The seventh would bring the load of the best one to 7, more than 1.5 times the 4 of the next best. The fifth and
// sixth stay behind the other four and find no gap any more.
TEST(Herald, TakesTheNextBestOutOfBalance) {
  Burst b(7);
  EXPECT_EQ(b.on_slow(), Frames{6});
  EXPECT_EQ(b.world->ran_of(b.stream, 6)[0].start, at(ms(0)));
  EXPECT_EQ(b.world->ran_of(b.stream, 5)[0].end, at(ms(6)));
}

}  // namespace
}  // namespace takt::test
