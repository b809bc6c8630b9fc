// The key-ordered dispatchers: whom they start first, and where.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

// Streams in the order in which their first frames started.
std::vector<StreamId> order_of_starts(VirtualWorld& w) {
  std::vector<StreamId> order;
  for (const Ran& ran : w.ran()) order.push_back(w.frames()[ran.frames[0]].stream);
  return order;
}

// Released while a blocker runs, in this order: an early loose one, a tight short one, a long one that must start soon.
std::vector<std::string> order_under(const std::string& policy) {
  Catalog catalog;
  const ModelId blocker = catalog.chain({ms(3)}), quick = catalog.chain({ms(1)}), large = catalog.chain({ms(16)});
  VirtualWorld w(catalog, {.policy = policy});
  const StreamId b = w.open(soft(blocker, ms(3))), loose = w.open(soft(quick, ms(90))),
                 tight = w.open(soft(quick, ms(20))), heavy = w.open(soft(large, ms(22)));
  w.release(b);
  w.decide();
  for (const StreamId s : {loose, tight, heavy}) w.release(s);
  w.run();
  std::vector<std::string> order;
  for (const StreamId s : order_of_starts(w))
    if (s != b) order.push_back(s == loose ? "loose" : s == tight ? "tight" : "heavy");
  return order;
}
using Order = std::vector<std::string>;

TEST(Fcfs, StartsTheEarliestRelease) {
  EXPECT_EQ(order_under("fcfs"), (Order{"loose", "tight", "heavy"}));
}
TEST(Edf, StartsTheEarliestDeadline) {
  EXPECT_EQ(order_under("edf"), (Order{"tight", "heavy", "loose"}));
}
TEST(Llf, StartsTheLeastSlack) {
  EXPECT_EQ(order_under("llf"), (Order{"heavy", "tight", "loose"}));
}

class KeyOrdered : public ::testing::TestWithParam<const char*> {};

TEST_P(KeyOrdered, StartsFirmJobsBeforeSoftOnes) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2)});
  VirtualWorld w(catalog, {.policy = GetParam()});
  StreamSpec firm_spec = soft(model, ms(90));
  firm_spec.criticality = Criticality::firm;
  const StreamId s = w.open(soft(model, ms(20))), f = w.open(firm_spec);
  w.release(s);
  w.release(s);
  w.release(f);
  w.run();
  EXPECT_EQ(order_of_starts(w), (std::vector<StreamId>{f, s, s}));
}

TEST_P(KeyOrdered, StartsWhereTheSegmentEndsFirst) {
  Catalog catalog(3);
  const ModelId model = catalog.chain({ms(4)});
  catalog.set_factor(model, 1, 0.5);
  VirtualWorld w(catalog, {.core = serial_core(3), .policy = GetParam()});
  const StreamId s = w.open(soft(model, ms(50)));
  for (int i = 0; i < 3; ++i) w.release(s);
  w.run();
  EXPECT_EQ(w.ran_of(s, 0)[0].accelerator, AcceleratorId{1u}) << "the fastest";
  EXPECT_EQ(w.ran_of(s, 1)[0].accelerator, AcceleratorId{0u}) << "the first of equals";
  EXPECT_EQ(w.ran_of(s, 2)[0].accelerator, AcceleratorId{2u});
}

TEST_P(KeyOrdered, LetsNobodyWaitForAJobThatCannotStart) {
  Catalog catalog(2);
  const ModelId here = catalog.chain({ms(4)}), anywhere = catalog.chain({ms(2)});
  catalog.set_factor(here, 1, 0);
  VirtualWorld w(catalog, {.core = serial_core(2), .policy = GetParam()});
  const StreamId bound = w.open(soft(here, ms(10))), free = w.open(soft(anywhere, ms(80)));
  w.release(bound);
  w.release(bound);
  w.release(free);
  w.run();
  EXPECT_EQ(w.ran_of(free, 0)[0].start, at(ms(0)));
  EXPECT_EQ(w.ran_of(bound, 1)[0].start, at(ms(4)));
}

TEST_P(KeyOrdered, BreaksTiesByReleaseThenStreamThenFrame) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2)});
  VirtualWorld w(catalog, {.policy = GetParam()});
  const StreamId a = w.open(soft(model, ms(80))), b = w.open(soft(model, ms(80)));
  for (const StreamId s : {b, a, b, a}) w.release(s, at(ms(70)));
  w.run();
  EXPECT_EQ(order_of_starts(w), (std::vector<StreamId>{a, a, b, b}));
  EXPECT_LT(w.ran_of(a, 0)[0].start, w.ran_of(a, 1)[0].start);
}

TEST_P(KeyOrdered, StartsJobsWithoutADeadlineToo) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2)});
  VirtualWorld w(catalog, {.policy = GetParam()});
  const StreamId s = w.open(soft(model, ms(50))), never = w.open(soft(model, Duration{}));
  w.release(never);
  w.release(s);
  w.run();
  EXPECT_EQ(order_of_starts(w), (std::vector<StreamId>{s, never}));
  EXPECT_EQ(w.verdict_of(never, 0), Verdict::done);
}

INSTANTIATE_TEST_SUITE_P(Policies, KeyOrdered, ::testing::Values("fcfs", "edf", "llf"),
                         [](const auto& policy) { return std::string(policy.param); });

// 16 ms of work here, but only 2 on the other accelerator: the mean counts.
TEST(Llf, CountsTheMeanOverAccelerators) {
  Catalog catalog(2);
  const ModelId uneven = catalog.chain({ms(16)}), even = catalog.chain({ms(10)}), blocker = catalog.chain({ms(1)});
  catalog.set_factor(uneven, 1, 0.125);  // mean 9
  VirtualWorld w(catalog, {.core = serial_core(2), .policy = "llf"});
  const StreamId b = w.open(soft(blocker, ms(1))), u = w.open(soft(uneven, ms(100))), e = w.open(soft(even, ms(100)));
  w.release(b);
  w.release(b);
  w.decide();
  w.release(u);
  w.release(e);
  w.run_until(at(ms(2)));
  EXPECT_EQ(w.executors().running(AcceleratorId{0u}, Lane::normal), true);
  EXPECT_LT(w.trace().find("start,t2"), w.trace().find("start,t1")) << w.trace();
}

TEST(Fcfs, NeverTakesBackWhatWasPostedAheadForALaterJob) {
  Catalog catalog;
  const ModelId chain = catalog.chain({ms(2), ms(2)}), quick = catalog.chain({ms(1)});
  VirtualWorld w(catalog, {.core = serial_core(1, 1), .policy = "fcfs"});
  const StreamId s = w.open(soft(chain, ms(90))), q = w.open(soft(quick, ms(6)));
  w.release(s);
  w.release_at(at(ms(1)), q);
  w.run();
  EXPECT_EQ(w.count("recall"), 0u);
  EXPECT_EQ(w.ran_of(q, 0)[0].start, at(ms(4)));
}

TEST(Llf, TakesBackWhatWasPostedAheadForAJobWithLessSlack) {
  Catalog catalog;
  const ModelId chain = catalog.chain({ms(2), ms(2)}), large = catalog.chain({ms(20)});
  VirtualWorld w(catalog, {.core = serial_core(1, 1), .policy = "llf"});
  const StreamId s = w.open(soft(chain, ms(20))), l = w.open(soft(large, ms(24)));
  w.release(s);
  w.release_at(at(ms(1)), l);  // due later, but with 4 ms of slack against 17
  w.run();
  EXPECT_EQ(w.count("recall"), 1u);
  EXPECT_EQ(w.ran_of(l, 0)[0].start, at(ms(2)));
  EXPECT_EQ(w.verdict_of(l, 0), Verdict::done);
}

}  // namespace
}  // namespace takt::test
