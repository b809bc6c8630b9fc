// early_drop: gives up the head of the line where that lets the others run in batches, and nothing else.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

// One segment of 4; eight together take 8, so that a full batch takes two and alone each takes 32 in all.
struct Batched {
  Catalog catalog;
  ModelId model = catalog.chain({ms(4)});
  Batched() { catalog.set_batches(model, 1.0 / 7, 8); }
};

std::size_t verdicts(VirtualWorld& w, StreamId s, std::uint32_t frames, Verdict v) {
  std::size_t n = 0;
  for (std::uint32_t i = 0; i < frames; ++i) n += w.verdict_of(s, i) == v;
  return n;
}

TEST(EarlyDrop, LetsGoOfTheFirstSoThatTheOthersFillABatch) {
  Batched b;
  VirtualWorld w(b.catalog, {.policy = "edf+early_drop"});
  const StreamId s = w.open(soft(b.model, ms(9)));
  w.release(s, at(ms(5)));  // in time alone, but the others would then be late
  for (int i = 0; i < 8; ++i) w.release(s);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::dropped);
  EXPECT_EQ(verdicts(w, s, 9, Verdict::done), 8u);
  w.expect_settled();
}

TEST(EarlyDrop, KeepsTheFirstIfAllAreInTimeOneByOne) {
  Batched b;
  VirtualWorld w(b.catalog, {.policy = "edf+early_drop"});
  const StreamId s = w.open(soft(b.model, ms(40)));
  w.release(s, at(ms(5)));
  for (int i = 0; i < 8; ++i) w.release(s);
  w.run();
  EXPECT_EQ(verdicts(w, s, 9, Verdict::done), 9u);
}

TEST(EarlyDrop, CountsOnlyJobsThatWaitForTheSameSegment) {
  Batched b;
  const ModelId other = b.catalog.chain({ms(4)});
  b.catalog.set_batches(other, 1.0 / 7, 8);
  VirtualWorld w(b.catalog, {.policy = "edf+early_drop"});
  const StreamId s = w.open(soft(b.model, ms(5))), many = w.open(soft(other, ms(20)));
  w.release(s);
  for (int i = 0; i < 8; ++i) w.release(many);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done) << "it is alone with its model";
  EXPECT_EQ(verdicts(w, many, 8, Verdict::done), 8u);
}

TEST(EarlyDrop, LeavesFirmJobsAndThoseThatAreWantedLate) {
  Batched b;
  VirtualWorld w(b.catalog, {.policy = "edf+early_drop"});
  StreamSpec firm = soft(b.model, ms(9));
  firm.criticality = Criticality::firm;
  StreamSpec late = soft(b.model, ms(1));
  late.late = LateRule::finish;
  const StreamId f = w.open(firm), l = w.open(late), s = w.open(soft(b.model, ms(9)));
  w.release(f, at(ms(5)));
  w.release(l);
  for (int i = 0; i < 8; ++i) w.release(s);
  w.run();
  EXPECT_EQ(w.verdict_of(f, 0), Verdict::done);
  EXPECT_EQ(w.verdict_of(l, 0), Verdict::late);
}

TEST(EarlyDrop, GivesUpWhatCannotBeInTimeAlone) {
  Batched b;
  VirtualWorld w(b.catalog, {.policy = "edf+early_drop"});
  const StreamId s = w.open(soft(b.model, ms(9)));
  w.release(s, at(ms(4) - Duration{1}));
  w.release(s);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::dropped);
  EXPECT_EQ(w.verdict_of(s, 1), Verdict::done);
}

}  // namespace
}  // namespace takt::test
