// Which CPU each process of a chain runs on, and under which scheduling class; the same for every contender.
#pragma once

#include <array>
#include <string>

#include "live/monotonic_clock.hpp"
#include "live/realtime.hpp"
#include "support/machine.hpp"

namespace takt::bench {

inline constexpr int kBrokerPriority = 20, kWorkerPriority = 15;  // of SCHED_FIFO, as takt.xml's defaults

struct Placement {
  const char* name;
  int client, broker, worker;
};

inline constexpr Placement kOneCpu{"one CPU", 0, 0, 0};
inline constexpr Placement kTwoCpus{"two CPUs, every hop crosses", 1, 0, 1};

// Puts the calling thread on a CPU; priority 0 is SCHED_OTHER.
inline void place_thread(int cpu, int priority = 0) {
  const std::array<int, 1> cores{cpu};
  if (auto ok = live::pin_thread(cores); !ok) give_up("cannot run on CPU " + std::to_string(cpu));
  if (priority == 0) return;
  if (const live::Grant fifo = live::take_fifo(priority); !fifo.granted) give_up(fifo.text);
}

inline std::int64_t now_ns() noexcept {
  return to_ns(live::monotonic_now());
}

inline void sleep_until(std::int64_t ns) noexcept {
  const timespec at{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) != 0) {
  }
}

}  // namespace takt::bench
