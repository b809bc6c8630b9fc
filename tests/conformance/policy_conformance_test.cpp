// What every policy of the table must keep, alone and composed. A new file in policies/ is picked up by itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "policies/support/compose.hpp"
#include "support/random_run.hpp"

namespace takt::test {
namespace {

// Every dispatcher alone, with each dropper, and with each dropper and selector; every whole policy.
std::vector<std::string> compositions() {
  std::vector<std::string> names;
  for (const PolicyEntry* d : policy_table()) {
    if (d->whole != nullptr || d->dispatcher != nullptr) names.emplace_back(d->name);
    if (d->dispatcher == nullptr) continue;
    for (const PolicyEntry* x : policy_table()) {
      if (x->dropper == nullptr) continue;
      const std::string dropping = std::string(d->name) + "+" + std::string(x->name);
      names.push_back(dropping);
      for (const PolicyEntry* s : policy_table())
        if (s->selector != nullptr) names.push_back(dropping + "+" + std::string(s->name));
    }
  }
  return names;
}

TEST(PolicyTable, IsSortedAndEachEntryIsOneThing) {
  const auto table = policy_table();
  ASSERT_FALSE(table.empty());
  EXPECT_TRUE(
      std::is_sorted(table.begin(), table.end(), [](const auto* a, const auto* b) { return a->name < b->name; }));
  std::set<std::string_view> names;
  for (const PolicyEntry* e : table) {
    EXPECT_TRUE(names.insert(e->name).second) << e->name;
    EXPECT_FALSE(e->summary.empty()) << e->name;
    EXPECT_EQ((e->dispatcher != nullptr) + (e->selector != nullptr) + (e->dropper != nullptr) + (e->whole != nullptr),
              1)
        << e->name;
    EXPECT_EQ(e->name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), std::string_view::npos) << e->name;
  }
}

// Sanitizers make a run ten times as long: a part of the seeds and frames will do there.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kPart = 20;
#else
constexpr std::size_t kPart = 1;
#endif

class EachPolicy : public ::testing::TestWithParam<std::string> {
 protected:
  // Policies work otherwise where a launch takes several jobs: half of the seeds have one a launch.
  [[nodiscard]] static RunShape shape(std::uint64_t seed) {
    const bool single = seed % 2 == 0;
    return {.policy = GetParam(), .least_batch = single ? 1u : 2u, .most_batch = single ? 1u : 8u};
  }
};

// The world fails the test on any allocation in release, completed, decide, cancel or the answers within.
TEST_P(EachPolicy, AllocatesNothingAndAnswersEveryFrameInAHundredThousand) {
  constexpr std::size_t kSeeds = 4, kFrames = 25'000 / kPart;
  std::size_t frames = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    RunShape of_seed = shape(seed);
    of_seed.frames = kFrames;
    RandomRun run(seed, of_seed);
    run.run();
    run.world().expect_settled();
    frames += run.world().frames().size();
  }
  EXPECT_GE(frames, kSeeds * kFrames);
}

TEST_P(EachPolicy, AnswersEveryFrameOnceOnAnyMachine) {
  for (std::uint64_t seed = 1000; seed < 1000 + std::max<std::size_t>(40 / kPart, 8); ++seed) {
    RandomRun run(seed, shape(seed));
    run.run();
    run.world().expect_settled();
    EXPECT_EQ(run.world().core().counters().refused_plans, 0u) << "a policy of ours asks for nothing impossible";
    ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
  }
}

TEST_P(EachPolicy, DecidesTheSameInEqualRuns) {
  for (std::uint64_t seed = 1; seed <= std::max<std::size_t>(6 / kPart, 2); ++seed) {
    RunShape with_history = shape(seed);
    with_history.history = true;
    RandomRun one(seed, with_history), two(seed, with_history);
    one.run();
    two.run();
    ASSERT_TRUE(one.world().trace() == two.world().trace()) << "seed " << seed;
  }
}

TEST_P(EachPolicy, ServesALoadThatIsEasy) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(1), ms(2)});
  for (const std::uint32_t batch : {1u, 8u}) {
    CoreConfig core = serial_core(2, 1);
    core.max_batch = batch;
    VirtualWorld w(catalog, {.core = core, .policy = GetParam()});
    const StreamId a = w.open(soft(model, ms(20))), b = w.open(soft(model, ms(30)));
    constexpr std::uint32_t kFrames = 50;
    for (std::uint32_t i = 0; i < kFrames; ++i) {
      w.release_at(at(ms(20 * i)), a);
      w.release_at(at(ms(20 * i + 7)), b);
    }
    w.run();
    for (const StreamId s : {a, b})
      for (std::uint32_t i = 0; i < kFrames; ++i) EXPECT_EQ(w.verdict_of(s, i), Verdict::done);
    w.expect_settled();
  }
}

INSTANTIATE_TEST_SUITE_P(Table, EachPolicy, ::testing::ValuesIn(compositions()), [](const auto& policy) {
  std::string name = policy.param;
  std::replace(name.begin(), name.end(), '+', '_');
  return name;
});

}  // namespace
}  // namespace takt::test
