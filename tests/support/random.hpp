// Random numbers that are the same everywhere, for seeded tests.
#pragma once

#include <cstdint>

#include "takt/time.hpp"

namespace takt::test {

// splitmix64.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}
  std::uint64_t next() noexcept {
    std::uint64_t x = state_ += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }
  // 0 .. n - 1
  std::uint64_t below(std::uint64_t n) noexcept { return next() % n; }
  bool chance(double probability) noexcept { return unit() < probability; }
  double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }
  // low .. high, both included
  std::int64_t between(std::int64_t low, std::int64_t high) noexcept {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
  }
  Duration between(Duration low, Duration high) noexcept { return Duration{between(low.count(), high.count())}; }

 private:
  std::uint64_t state_;
};

}  // namespace takt::test
