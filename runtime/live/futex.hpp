// Sleeping on a 32-bit word in memory that several processes share.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

#include "takt/time.hpp"

namespace takt::live {

// Sleeps until woken, unless `word` is no longer `expected`; may also return for no reason. Any thread; blocks.
inline void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected) noexcept {
  ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, nullptr, nullptr, 0);
}

// The same, at the latest until `deadline` (CLOCK_MONOTONIC).
inline void futex_wait_until(std::atomic<std::uint32_t>& word, std::uint32_t expected, Instant deadline) noexcept {
  const std::int64_t ns = to_ns(deadline);
  const timespec at{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, expected, &at, nullptr, FUTEX_BITSET_MATCH_ANY);
}

// Wakes at most `threads` sleepers. Any thread; one system call, never blocks. Harmless if `word` is garbage.
inline void futex_wake(std::atomic<std::uint32_t>& word, int threads = INT_MAX) noexcept {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, threads, nullptr, nullptr, 0);
}

}  // namespace takt::live
