// What cyclictest measures, inside a benchmark's rounds: how late a sleeping SCHED_FIFO thread is woken by its timer.
#pragma once

#include <thread>

#include "support/placement.hpp"
#include "support/statistics.hpp"

namespace takt::bench {

inline Samples timer_wakes(int cpu, int count, std::int64_t pace_ns) {
  constexpr int kAboveAllWorkers = 48;
  Samples late;
  late.reserve(static_cast<std::size_t>(count));
  std::thread([&] {
    place_thread(cpu, kAboveAllWorkers);
    std::int64_t due = now_ns();
    for (int i = 0; i < count; ++i) {
      due += pace_ns;
      sleep_until(due);
      late.push_back(now_ns() - due);
    }
  }).join();
  return late;
}

}  // namespace takt::bench
