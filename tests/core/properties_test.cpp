// Properties over seeded random runs. The virtual world checks at every step that segments come in order, that no lane
// or accelerator is oversubscribed, that slots are nobody else's, that each launch ends once and nothing allocates.
#include <gtest/gtest.h>

#include "support/random_run.hpp"

namespace takt::test {
namespace {

constexpr std::uint64_t kSeeds = 300;

TEST(RandomRuns, AnswerEveryFrameOnceAndGiveEverySlotBack) {
  CoreCounters sum;
  const char* policies[] = {"edf", "fcfs+early_drop", "llf+early_drop+fit", "edf+fit"};
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    RandomRun run(seed, {.policy = policies[seed % 4]});
    run.run();
    run.world().expect_settled();
    ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
    const CoreCounters& c = run.world().core().counters();
    for (std::size_t v = 0; v < kVerdicts; ++v) sum.verdicts[v] += c.verdicts[v];
    sum.recalls += c.recalls;
    sum.slot_waits += c.slot_waits;
  }
  // The runs must reach what they are to check.
  for (const Verdict v : {Verdict::done, Verdict::late, Verdict::missed, Verdict::dropped, Verdict::superseded,
                          Verdict::cancelled, Verdict::error})
    EXPECT_GT(sum.verdicts[static_cast<std::size_t>(v)], 40u) << to_string(v);
  EXPECT_GT(sum.recalls, 1000u);
}

TEST(RandomRuns, AreEqualForEqualSeeds) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const RunShape shape{.policy = "edf+early_drop+fit", .history = true};
    RandomRun one(seed, shape), two(seed, shape);
    one.run();
    two.run();
    ASSERT_GT(one.world().trace().size(), 1000u);
    ASSERT_TRUE(one.world().trace() == two.world().trace()) << "seed " << seed;
  }
}

TEST(RandomRuns, HaveNoResultAfterTheDeadlineCalledDone) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    RandomRun run(seed, {});
    run.run();
    for (const Frame& f : run.world().frames()) {
      const Answer& a = f.answer;
      const bool has_result = a.verdict == Verdict::done || a.verdict == Verdict::late;
      ASSERT_EQ(a.has_result, has_result);
      ASSERT_TRUE(a.verdict != Verdict::done || a.end <= a.deadline);
      ASSERT_TRUE(a.verdict != Verdict::late || a.end > a.deadline);
      ASSERT_TRUE(a.verdict != Verdict::missed || a.end >= a.deadline);
      ASSERT_TRUE(!has_result || (a.route.valid() && a.accelerator.valid() && a.first_start >= a.release));
      ASSERT_EQ(a.child_follows, !f.children.empty());
    }
  }
}

}  // namespace
}  // namespace takt::test
