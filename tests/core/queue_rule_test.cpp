// Queue rules: what a new frame does to older ones of its stream.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

StreamSpec ruled(ModelId model, QueueRule rule, std::uint32_t depth = 8) {
  StreamSpec spec = soft(model, ms(1000));
  spec.queue = rule;
  spec.queue_depth = depth;
  return spec;
}

TEST(Keep, LeavesEveryFrame) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(ruled(model, QueueRule::keep, 1));
  for (int i = 0; i < 5; ++i) w.release(s);
  w.run();
  for (std::uint32_t i = 0; i < 5; ++i) EXPECT_EQ(w.verdict_of(s, i), Verdict::done);
}

TEST(NewestWins, SupersedesOnlyFramesThatHaveNotBegun) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4), ms(4)}), urgent = catalog.chain({ms(3)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(ruled(model, QueueRule::newest_wins)), u = w.open(soft(urgent, ms(20)));
  w.release(s);                // begins at 0
  w.release_at(at(ms(1)), s);  // superseded at 5
  w.release_at(at(ms(2)), u);  // at the boundary at 4 frame 0 gives way: it waits, but it has begun
  w.release_at(at(ms(5)), s);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  EXPECT_EQ(w.verdict_of(s, 1), Verdict::superseded);
  EXPECT_EQ(w.answer_of(s, 1).end, at(ms(5)));
  EXPECT_EQ(w.verdict_of(s, 2), Verdict::done);
  w.expect_settled();
}

TEST(NewestWins, LeavesOtherStreamsAlone) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(ruled(model, QueueRule::newest_wins)), other = w.open(ruled(model, QueueRule::newest_wins));
  for (const StreamId id : {s, other, s, other, s}) w.release(id);
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::superseded);
  EXPECT_EQ(w.verdict_of(s, 1), Verdict::superseded);
  EXPECT_EQ(w.verdict_of(s, 2), Verdict::done);
  EXPECT_EQ(w.verdict_of(other, 0), Verdict::superseded);
  EXPECT_EQ(w.verdict_of(other, 1), Verdict::done);
}

TEST(NewestWins, MakesItsOwnRoomInAFullJobTable) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  CoreConfig core = serial_core();
  core.max_jobs = 2;
  VirtualWorld w(catalog, {.core = core});
  const StreamId s = w.open(ruled(model, QueueRule::newest_wins));
  w.release(s);
  w.decide();
  w.release(s);
  EXPECT_TRUE(w.release(s)) << "the frame it supersedes leaves its place";
  w.run();
  EXPECT_EQ(w.verdict_of(s, 1), Verdict::superseded);
  EXPECT_EQ(w.verdict_of(s, 2), Verdict::done);
  w.expect_settled();
}

TEST(DropOldest, KeepsAsManyWaitingFramesAsItsDepth) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  for (const std::uint32_t depth : {1u, 2u, 3u}) {
    VirtualWorld w(catalog);
    const StreamId s = w.open(ruled(model, QueueRule::drop_oldest, depth));
    w.release(s);
    w.decide();  // frame 0 runs and does not count
    constexpr std::uint32_t kMore = 6;
    for (std::uint32_t i = 0; i < kMore; ++i) w.release(s);
    EXPECT_EQ(w.core().jobs_in_flight(), 1 + depth);
    w.run();
    EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
    for (std::uint32_t i = 1; i <= kMore; ++i)
      EXPECT_EQ(w.verdict_of(s, i), i + depth > kMore ? Verdict::done : Verdict::dropped)
          << "frame " << i << " depth " << depth;
    w.expect_settled();
  }
}

TEST(NewestWins, GivesAHardStreamsTurnToTheNewFrame) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(9)});
  VirtualWorld w(catalog);
  StreamSpec spec = hard(model, ms(10), ms(10));
  spec.queue = QueueRule::newest_wins;
  const StreamId s = w.open(spec);
  w.release(s);
  for (int i = 2; i < 9; ++i) w.release_at(at(ms(i)), s);  // each too early, each takes its predecessor's turn at 10
  w.run();
  for (std::uint32_t i = 1; i < 7; ++i) EXPECT_EQ(w.verdict_of(s, i), Verdict::superseded);
  EXPECT_EQ(w.verdict_of(s, 7), Verdict::done);
  EXPECT_EQ(w.answer_of(s, 7).release, at(ms(10)));
  w.expect_settled();
}

}  // namespace
}  // namespace takt::test
