// The machine's monotonic clock for lanes.
#pragma once

#include <time.h>

#include "cuda/lane.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace takt::cuda {

class RealClock final : public LaneClock {
 public:
  [[nodiscard]] Instant now() const noexcept override {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return instant_ns(std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec);
  }
  void sleep_until(Instant t) noexcept override {
    const timespec at{.tv_sec = to_ns(t) / 1'000'000'000, .tv_nsec = to_ns(t) % 1'000'000'000};
    while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) != 0) {
    }
  }
  void relax() noexcept override {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
};

}  // namespace takt::cuda
