// Real-time rights of threads and memory: ask for them, and say plainly what was denied and what to do about it.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "takt/result.hpp"

namespace takt::live {

// Whether a right was granted; if not, errno and a sentence for the operator with the remedy.
struct Grant {
  bool granted = false;
  int error = 0;
  std::string text;
};

// All of these concern the calling thread unless they say otherwise. They are for set-up: they allocate and do system
// calls.

// Shown by ps and traces; cut to 15 characters.
void name_thread(const std::string& name) noexcept;

// Runs only on these CPUs from now on. Empty: no change. Fails with invalid_argument if none of them can be used.
[[nodiscard]] Result<void> pin_thread(std::span<const int> cores) noexcept;

// SCHED_FIFO with `priority` (1..99), reset on fork. Denied: the thread stays as it was.
[[nodiscard]] Grant take_fifo(int priority);

// Back to SCHED_OTHER.
void leave_fifo() noexcept;

// SCHED_OTHER threads sleep up to 50 us longer than asked by default; this makes it 1 ns.
void set_timer_slack() noexcept;

// Touches the next `bytes` of the stack, so that they cost no page fault later.
void prefault_stack(std::size_t bytes = 512 * 1024) noexcept;

// Locks all present and future memory of the process. Only for processes that map little: see README.md.
[[nodiscard]] Grant lock_memory();

}  // namespace takt::live
