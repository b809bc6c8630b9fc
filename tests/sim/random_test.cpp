// The simulator's random numbers: the values that every implementation of the format must draw.
#include "sim/random.hpp"

#include <gtest/gtest.h>

namespace takt::sim {
namespace {

TEST(Random, DrawsTheCheckValuesOfTheFormat) {
  EXPECT_EQ(u(1, Salt::trigger, 0, 0, 0), 0.1296456182997474);
  EXPECT_EQ(u(1, Salt::trigger, 2, 7, 0), 0.43990155118798513);
  EXPECT_EQ(u(42, Salt::skip, 3, 100, 5), 0.021181403611588823);
}

TEST(Random, IsAFunctionOfEveryArgument) {
  const double one = u(1, Salt::noise, 2, 3, 4);
  EXPECT_EQ(u(1, Salt::noise, 2, 3, 4), one);
  for (const double other : {u(2, Salt::noise, 2, 3, 4), u(1, Salt::skip, 2, 3, 4), u(1, Salt::noise, 1, 3, 4),
                             u(1, Salt::noise, 2, 2, 4), u(1, Salt::noise, 2, 3, 3)})
    EXPECT_NE(other, one);
}

TEST(Random, IsUniformFromZeroToUnderOne) {
  constexpr int kDraws = 100'000, kBins = 10;
  int bins[kBins] = {};
  for (std::uint64_t k = 0; k < kDraws; ++k) {
    const double value = u(1, Salt::jitter, 0, k);
    ASSERT_GE(value, 0);
    ASSERT_LT(value, 1);
    ++bins[static_cast<int>(value * kBins)];
  }
  for (const int bin : bins) EXPECT_NEAR(bin, kDraws / kBins, 500);
}

}  // namespace
}  // namespace takt::sim
