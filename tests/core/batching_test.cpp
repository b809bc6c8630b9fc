// Batches: who may share a launch, and who must not.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

// Frames of each launch, in order of their ends.
std::vector<std::size_t> sizes(const VirtualWorld& w) {
  std::vector<std::size_t> n;
  for (const Ran& ran : w.ran()) n.push_back(ran.frames.size());
  return n;
}
using Sizes = std::vector<std::size_t>;

TEST(Batch, IsSharedByJobsOfTwoStreams) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2), ms(4)});
  catalog.set_batches(model, 0.5);
  VirtualWorld w(catalog);
  const StreamId a = w.open(soft(model, ms(50))), b = w.open(soft(model, ms(60)));
  w.release(a);
  w.release(b);
  w.run();
  EXPECT_EQ(sizes(w), (Sizes{2, 2}));
  EXPECT_EQ(w.answer_of(a, 0).end, at(ms(9)));  // 3 + 6
  EXPECT_EQ(w.answer_of(b, 0).end, at(ms(9)));
  EXPECT_EQ(w.answer_of(b, 0).largest_batch, 2u);
  w.expect_settled();
}

TEST(Batch, IsNotLargerThanConfigured) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  catalog.set_batches(model, 0.1);
  for (const std::uint32_t most : {1u, 3u, 8u}) {
    CoreConfig core = serial_core();
    core.max_batch = most;
    VirtualWorld w(catalog, {.core = core});
    const StreamId s = w.open(soft(model, ms(500)));
    for (int i = 0; i < 10; ++i) w.release(s);
    w.run();
    EXPECT_EQ(w.ran().front().frames.size(), most);
    for (const Ran& ran : w.ran()) EXPECT_LE(ran.frames.size(), most);
    w.expect_settled();
  }
}

TEST(Batch, IsNotMadeWhereItsTimeIsUnknown) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  catalog.set_batches(model, 0.1, 2);
  VirtualWorld w(catalog);
  const StreamId s = w.open(soft(model, ms(500)));
  for (int i = 0; i < 5; ++i) w.release(s);
  w.run();
  EXPECT_EQ(sizes(w), (Sizes{2, 2, 1}));
}

TEST(Batch, DoesNotMixSegmentsOrModels) {
  Catalog catalog;
  const ModelId one = catalog.chain({ms(2), ms(2)}), two = catalog.chain({ms(2), ms(2)});
  for (const ModelId m : {one, two}) catalog.set_batches(m, 0.1);
  VirtualWorld w(catalog);
  const StreamId a = w.open(soft(one, ms(50))), b = w.open(soft(two, ms(60))), c = w.open(soft(one, ms(70)));
  w.release(a);
  w.release(b);
  w.release_at(at(ms(1)), c);  // a is a segment ahead
  w.run();
  for (const Ran& ran : w.ran()) EXPECT_EQ(ran.frames.size(), 1u);
}

TEST(Batch, DoesNotMakeTheLeadLate) {
  for (const bool tight : {false, true}) {
    Catalog catalog;
    const ModelId model = catalog.chain({ms(4), ms(3)});
    catalog.set_batches(model, 0.5);
    VirtualWorld w(catalog);
    const StreamId lead = w.open(soft(model, tight ? ms(10) : ms(11))), other = w.open(soft(model, ms(90)));
    w.release(lead);
    w.release(other);
    w.run();
    EXPECT_EQ(w.ran().front().frames.size(), tight ? 1u : 2u);  // 6 + 4.5 if they stay together
    EXPECT_EQ(w.verdict_of(lead, 0), Verdict::done);
    w.expect_settled();
  }
}

TEST(Batch, DoesNotMakeOneThatJoinsLate) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)}), blocker = catalog.chain({ms(1)});
  catalog.set_batches(model, 1.0);
  VirtualWorld w(catalog);
  const StreamId first = w.open(soft(blocker, ms(2))), s = w.open(soft(model, ms(500)));
  w.release(first);
  w.decide();
  w.release(s, at(ms(20)));  // leads at 1
  w.release(s, at(ms(21)));  // in time with two (9), not with three or four (17): those are one class
  w.release(s, at(ms(16)));
  w.run();
  EXPECT_EQ(w.ran()[1].frames.size(), 2u);
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(w.verdict_of(s, i), Verdict::done) << "frame " << i;
}

// A lead that is late anyway holds nobody back, but who joined before must still be kept in time.
TEST(Batch, OfALateLeadStillKeepsItsMembersInTime) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  catalog.set_batches(model, 1.0);
  VirtualWorld w(catalog);
  StreamSpec late = soft(model, ms(3));
  late.late = LateRule::finish;
  const StreamId lead = w.open(late), s = w.open(soft(model, ms(500)));
  w.release(lead);
  w.release(s, at(ms(10)));   // in time with two (8)
  w.release(s, at(ms(400)));  // would make it four (16)
  w.run();
  EXPECT_EQ(w.ran().front().frames.size(), 2u);
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
}

// What remains after the segment is taken where it is fastest, whatever the segment itself costs here.
TEST(Batch, OnASlowAcceleratorCountsTheWholeRest) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(1), ms(1)}), blocker = catalog.chain({ms(30)});
  catalog.set_batches(model, 0.2);
  catalog.set_factor(model, 1, 10);
  catalog.set_factor(blocker, 1, 0);
  VirtualWorld w(catalog, {.core = serial_core(2)});
  const StreamId b = w.open(soft(blocker, ms(31))), s = w.open(soft(model, ms(500)));
  w.release(b, at(ms(31)));
  w.decide();
  w.release(s, at(us(12500)));  // alone 10 + 1, with another 12 + 1
  w.release(s, at(ms(300)));
  w.run();
  EXPECT_EQ(w.ran().front().frames.size(), 1u);
}

TEST(Batch, TakesNoMoreJobsThanThereAreSlots) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2), ms(2)});
  catalog.set_batches(model, 0.1);
  VirtualWorld w(catalog, {.core = serial_core(1, 0, 3)});
  const StreamId s = w.open(soft(model, ms(500)));
  for (int i = 0; i < 5; ++i) w.release(s);
  w.run();
  EXPECT_EQ(w.ran().front().frames.size(), 3u);
  w.expect_settled();
}

TEST(Batch, StaysWithinWhatHardStreamsAllow) {
  Catalog catalog;
  const ModelId tiny = catalog.chain({ms(1)}), model = catalog.chain({ms(3)});
  catalog.set_batches(model, 0.5);  // 3, 4.5, 7.5
  VirtualWorld w(catalog);
  w.open(hard(tiny, ms(6), ms(6)));  // leaves 5 ms
  const StreamId s = w.open(soft(model, ms(500)));
  for (int i = 0; i < 4; ++i) w.release(s);
  w.run();
  EXPECT_EQ(sizes(w), (Sizes{2, 2}));
}

TEST(Batch, PartsWhenOneOfItIsCancelled) {
  for (const unsigned ahead : {0u, 1u}) {
    Catalog catalog;
    const ModelId model = catalog.chain({ms(2), ms(2)});
    catalog.set_batches(model, 0.5);
    VirtualWorld w(catalog, {.core = serial_core(1, ahead)});
    const StreamId a = w.open(soft(model, ms(50))), b = w.open(soft(model, ms(60)));
    w.release(a);
    const auto frame = w.release(b);
    w.run_until(at(ms(1)));
    w.cancel(*frame);
    w.run();
    EXPECT_EQ(w.verdict_of(b, 0), Verdict::cancelled);
    EXPECT_EQ(w.answer_of(b, 0).end, at(ms(3)));
    EXPECT_EQ(w.verdict_of(a, 0), Verdict::done);
    EXPECT_EQ(w.answer_of(a, 0).end, at(ms(5)));
    w.expect_settled();
  }
}

TEST(Batch, FailsAsAWhole) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2)});
  catalog.set_batches(model, 0.5);
  VirtualWorld w(catalog);
  const StreamId a = w.open(soft(model, ms(50))), b = w.open(soft(model, ms(60)));
  w.release(a);
  w.release(b);
  w.executors().fail_next(AcceleratorId{0u});
  w.run();
  EXPECT_EQ(w.verdict_of(a, 0), Verdict::error);
  EXPECT_EQ(w.verdict_of(b, 0), Verdict::error);
  w.expect_settled();
}

}  // namespace
}  // namespace takt::test
