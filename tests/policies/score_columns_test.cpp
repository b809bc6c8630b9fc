// The vectorised scores of sdrm3 and their one-by-one reference: the same bits, so the same starts.
#include "policies/support/score_columns.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "support/catalog.hpp"
#include "support/decision_world.hpp"

namespace takt::test {
namespace {

class EachKernel : public ::testing::TestWithParam<score::Kernels> {};

// Numerators and divisors as durations give them, and such whose quotients lie next to the middle of two doubles.
std::pair<double, double> fraction(Random& random) {
  const auto whole = [&](int bits) { return static_cast<double>(random.next() >> (64 - bits)) + 1; };
  if (random.chance(0.3))
    return {whole(1 + static_cast<int>(random.below(60))), whole(1 + static_cast<int>(random.below(53))) / 4};
  const double b = whole(53);
  if (random.chance(0.5)) return {std::nextafter(b * whole(10), random.chance(0.5) ? 0 : 1e300), b};
  return {random.unit() * 1e12 - 2e11, random.unit() * 1e9 + 1e-3};
}

TEST_P(EachKernel, DividesAsTheProcessorDoes) {
  Random random(1);
  std::array<double, score::kBlock> x{}, divisor{}, inverse{}, result{};
  for (int n = 0; n < 40'000; ++n) {
    for (std::size_t k = 0; k < score::kBlock; ++k) {
      std::tie(x[k], divisor[k]) = fraction(random);
      inverse[k] = 1 / divisor[k];
    }
    GetParam().quotients(x.data(), divisor.data(), inverse.data(), result.data());
    for (std::size_t k = 0; k < score::kBlock; ++k)
      ASSERT_EQ(std::bit_cast<std::uint64_t>(result[k]), std::bit_cast<std::uint64_t>(x[k] / divisor[k]))
          << x[k] << " / " << divisor[k];
  }
}

ScoreRule random_rule(Random& random) {
  constexpr std::array kLate{LateUrgency::cap, LateUrgency::clamp, LateUrgency::negative};
  return {.starvation_ceiling = random.chance(0.5) ? 10.0 : 0.0,
          .capped = random.chance(0.7),
          .late = kLate[random.below(3)]};
}
ScoreWeights random_weights(Random& random) {
  const auto weight = [&] { return random.chance(0.3) ? 0 : 2 * random.unit(); };
  return {weight(), weight()};
}
// What hard streams, slots and other machines do to accelerators now and then.
void shake(DecisionWorld& w, std::size_t accelerators) {
  AcceleratorView& v = w.accelerator(w.random().below(accelerators));
  if (w.random().chance(0.02)) v.soft_limit = w.random().chance(0.5) ? kForever : w.random().between(us(200), ms(4));
  if (w.random().chance(0.02)) v.exchange.nj_per_byte = w.random().chance(0.5) ? 0 : 0.046;
  if (w.random().chance(0.1)) v.free_slots = w.random().chance(0.5) ? 0 : 3;
  if (w.random().chance(0.05)) v.up = !v.up;
}

TEST_P(EachKernel, ChoosesTheStartThatTheReferenceChooses) {
  std::size_t started = 0;
  for (const std::size_t jobs : {std::size_t{1}, std::size_t{5}, std::size_t{64}, std::size_t{200}}) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      constexpr std::size_t kAccelerators = 3;
      DecisionWorld w(jobs, kAccelerators, 1 + seed % kAccelerators, seed);
      ScoreColumns columns(GetParam());
      columns.prepare({.jobs = w.capacity(), .streams = w.streams(), .accelerators = kAccelerators});
      for (int n = 0; n < 4000; ++n) {
        w.advance();
        shake(w, kAccelerators);
        const Snapshot& s = w.snapshot();
        columns.follow(s);
        const ScoreRule rule = random_rule(w.random());
        const ScoreWeights weights = random_weights(w.random());
        const ScoredPair expected = best_pair(s, rule, weights), pair = columns.best(s, rule, weights);
        ASSERT_EQ(pair.job, expected.job) << jobs << " jobs, seed " << seed << ", decision " << n;
        ASSERT_TRUE(expected.job == s.waiting.size || pair.accelerator == expected.accelerator);
        started += expected.job < s.waiting.size;
        w.replace(expected.job < s.waiting.size ? s.waiting.job[expected.job] : w.any());
      }
    }
  }
  EXPECT_GT(started, 50'000u);
}

INSTANTIATE_TEST_SUITE_P(OfThisMachine, EachKernel,
                         ::testing::ValuesIn(score::all_kernels().begin(), score::all_kernels().end()),
                         [](const auto& kernels) { return std::string(kernels.param.name); });

}  // namespace
}  // namespace takt::test
