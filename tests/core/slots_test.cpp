// Activation slots: a counted resource that no started job may run without.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

using Starts = std::vector<Instant>;
constexpr SlotPoolId kPool{0u};

TEST(Slots, LimitHowManyJobsMayBeBetweenSegments) {
  for (const std::uint32_t slots : {1u, 2u}) {
    Catalog catalog;
    const ModelId model = catalog.chain({ms(2), ms(2)});
    VirtualWorld w(catalog, {.core = serial_core(1, 0, slots)});
    const StreamId loose = w.open(soft(model, ms(100))), tight = w.open(soft(model, ms(50)));
    w.release(loose);
    w.release_at(at(ms(1)), tight);
    w.run();
    const Instant expected = slots == 1 ? at(ms(4)) : at(ms(2));
    EXPECT_EQ(w.starts_of(tight, 0).front(), expected) << slots << " slots";
    w.expect_settled();
  }
}

TEST(Slots, AreNotNeededByAJobOfOneSegment) {
  Catalog catalog;
  const ModelId chain = catalog.chain({ms(2), ms(2)}), single = catalog.chain({ms(1)});
  VirtualWorld w(catalog, {.core = serial_core(1, 0, 1)});
  const StreamId loose = w.open(soft(chain, ms(100))), tight = w.open(soft(single, ms(50)));
  w.release(loose);
  w.release_at(at(ms(1)), tight);
  w.run();
  EXPECT_EQ(w.starts_of(tight, 0), Starts{at(ms(2))});
}

TEST(Slots, BindAJobToTheAcceleratorsOfItsPool) {
  Catalog catalog(2);
  const ModelId chain = catalog.chain({ms(4), ms(4)}), single = catalog.chain({ms(3)});
  CoreConfig core = serial_core(2);
  core.slot_pools = {2, 2};
  core.accelerators[1].pool = SlotPoolId{1u};
  VirtualWorld w(catalog, {.core = core});
  const StreamId a = w.open(soft(chain, ms(100))), b = w.open(soft(single, ms(20)));
  w.release(a);
  w.release_at(at(ms(1)), b);  // accelerator 1
  w.release_at(at(ms(3)), b);  // at 4 both are idle; it goes first, to accelerator 0
  w.run();
  ASSERT_EQ(w.ran_of(a, 0).size(), 2u);
  EXPECT_EQ(w.ran_of(a, 0)[0].accelerator, w.ran_of(a, 0)[1].accelerator);
  EXPECT_EQ(w.starts_of(a, 0)[1], at(ms(7))) << "it waits for its own accelerator";
  w.expect_settled();
}

// How a job that holds the only slot can end. Each must give it back at once.
class SlotIsBack : public ::testing::TestWithParam<Verdict> {};

TEST_P(SlotIsBack, AfterTheVerdict) {
  Catalog catalog;
  const ModelId chain = catalog.chain({ms(2), ms(2), ms(2)}), quick = catalog.chain({ms(3)});
  VirtualWorld w(catalog, {.core = serial_core(1, 0, 1)});
  StreamSpec spec = soft(chain, ms(100));
  if (GetParam() == Verdict::missed) spec.relative_deadline = ms(3);
  if (GetParam() == Verdict::late) spec.relative_deadline = ms(3), spec.late = LateRule::finish;
  const StreamId s = w.open(spec), other = w.open(soft(quick, ms(4)));
  const auto frame = w.release(s);
  if (GetParam() == Verdict::missed) w.release_at(at(ms(1)), other, at(us(2900)));  // waits at its deadline
  w.run_until(at(ms(1)));
  EXPECT_EQ(w.core().free_slots(kPool), 0u);
  if (GetParam() == Verdict::cancelled) w.cancel(*frame);
  if (GetParam() == Verdict::error) w.executors().fail_next(AcceleratorId{0u});
  while (w.frame(s, 0).answers == 0) ASSERT_TRUE(w.step());
  EXPECT_EQ(w.verdict_of(s, 0), GetParam());
  EXPECT_EQ(w.core().free_slots(kPool), 1u);
  w.run();
  w.expect_settled();
}

INSTANTIATE_TEST_SUITE_P(Verdicts, SlotIsBack,
                         ::testing::Values(Verdict::done, Verdict::late, Verdict::missed, Verdict::cancelled,
                                           Verdict::error),
                         [](const auto& verdict) { return std::string(to_string(verdict.param)); });

TEST(Slots, AreKeptForHardStreams) {
  Catalog catalog;
  const ModelId chain = catalog.chain({ms(2), ms(2)});
  VirtualWorld w(catalog, {.core = serial_core(1, 0, 2)});
  const StreamId h = w.open(hard(chain, ms(20), ms(12)));
  const StreamId loose = w.open(soft(chain, ms(200))), tight = w.open(soft(chain, ms(150)));
  w.release(loose);
  w.release_at(at(ms(1)), tight);  // would take the second slot at 2
  w.release_at(at(us(2500)), h);
  w.run();
  EXPECT_EQ(w.starts_of(h, 0), (Starts{at(ms(4)), at(ms(6))}));
  EXPECT_EQ(w.verdict_of(h, 0), Verdict::done);
  EXPECT_EQ(w.starts_of(tight, 0).front(), at(ms(8))) << "one slot is soft jobs' own";
  w.expect_settled();
}

TEST(Slots, AreKeptFromBatchesToo) {
  Catalog catalog;
  const ModelId chain = catalog.chain({ms(2), ms(2)});
  catalog.set_batches(chain, 0.1);
  VirtualWorld w(catalog, {.core = serial_core(1, 0, 3)});
  w.open(hard(chain, ms(50), ms(40)));
  const StreamId s = w.open(soft(chain, ms(200)));
  for (int i = 0; i < 4; ++i) w.release(s);
  w.decide();
  EXPECT_EQ(w.core().free_slots(kPool), 1u);
  w.run();
  EXPECT_EQ(w.answer_of(s, 0).largest_batch, 2u);
  w.expect_settled();
}

TEST(Slots, AreRefusedToMoreHardStreamsThanThereAreSlots) {
  Catalog catalog;
  const ModelId chain = catalog.chain({ms(1), ms(1)}), single = catalog.chain({ms(1)});
  VirtualWorld w(catalog, {.core = serial_core(1, 0, 1)});
  const StreamId first = w.open(hard(chain, ms(100), ms(90)));
  const Admission second = w.ask(hard(chain, ms(100), ms(90)));
  EXPECT_EQ(second.outcome, Admission::Outcome::refused);
  EXPECT_EQ(second.reason, Admission::Reason::no_capacity);
  EXPECT_EQ(second.feasible_period, Duration{}) << "no period would help";
  w.open(hard(single, ms(100), ms(90)));  // needs none
  w.close(first);
  w.open(hard(chain, ms(100), ms(90)));
}

// The slots were all taken when the hard stream came: it must wait for one, and nobody may wait for ever.
TEST(Slots, ThatAreAllTakenComeBackToAWaitingHardJob) {
  for (const Duration hop : {Duration{}, us(100)}) {
    Catalog catalog;
    const ModelId chain = catalog.chain({ms(2), ms(2), ms(2)}), single = catalog.chain({ms(1)});
    VirtualWorld w(catalog, {.core = serial_core(1, 0, 1), .hops = {.to_worker = hop}});
    const StreamId s = w.open(soft(chain, Duration{})), other = w.open(soft(single, ms(100)));
    w.release(s);
    w.release(other);
    w.run_until(at(us(1500)));
    StreamSpec spec = hard(chain, ms(100), ms(50));
    spec.late = LateRule::finish;
    const StreamId h = w.open(spec);
    w.release(h);
    w.run();
    EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
    EXPECT_EQ(w.verdict_of(h, 0), Verdict::done);
    w.expect_settled();
  }
}

}  // namespace
}  // namespace takt::test
