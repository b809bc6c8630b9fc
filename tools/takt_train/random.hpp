// Random numbers that are a function of (seed, purpose, position): nothing to save, the same on every machine.
#pragma once

#include <cstdint>

namespace takt::train {

// SplitMix64 (Steele, Lea, Flood 2014). Each purpose and position starts a stream of its own, so a resumed run draws
// what the uninterrupted one would have drawn.
class Random {
 public:
  enum class Purpose : uint64_t { order = 1, augmentation, subnets, calibration };

  Random(uint64_t seed, Purpose purpose, uint64_t position)
      : state_(mix(mix(seed + kStep * static_cast<uint64_t>(purpose)) + position)) {}

  [[nodiscard]] uint64_t next() { return mix(state_ += kStep); }
  // Uniform in [0, bound), bound below 2^32: multiplication instead of a remainder, biased by less than 2^-32.
  [[nodiscard]] int64_t below(int64_t bound) {
    return static_cast<int64_t>(((next() >> 32U) * static_cast<uint64_t>(bound)) >> 32U);
  }

 private:
  static constexpr uint64_t kStep = 0x9E3779B97F4A7C15;

  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EB;
    return z ^ (z >> 31U);
  }

  uint64_t state_;
};

}  // namespace takt::train
