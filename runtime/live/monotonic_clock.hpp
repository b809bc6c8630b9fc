// The live engine's clock: CLOCK_MONOTONIC.
#pragma once

#include <time.h>

#include "takt/time.hpp"

namespace takt::live {

// Any thread; never blocks; no system call where the kernel offers its clock in user space.
[[nodiscard]] inline Instant monotonic_now() noexcept {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return instant_ns(std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec);
}

class MonotonicClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const noexcept override { return monotonic_now(); }
};

}  // namespace takt::live
