// The clients' buffer pools as this process has them mapped: frames read-only, results writable.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "live/shared_memory.hpp"
#include "takt/result.hpp"
#include "wire/executor_protocol.hpp"

namespace takt::executor {

struct Pool {
  live::Mapping memory;
  wire::PoolKind kind = wire::PoolKind::frames;
};

// A fixed table of atomic pointers: the main thread maps and unmaps while workers look up without a lock.
class PoolTable {
 public:
  PoolTable();
  ~PoolTable();
  PoolTable(const PoolTable&) = delete;
  PoolTable& operator=(const PoolTable&) = delete;

  // Main thread. Checks the descriptor's seals and size; its pages are mapped at once. Fails with no_capacity (number),
  // already_exists, unsupported, no_memory.
  [[nodiscard]] Result<void> map(std::uint32_t number, int fd, std::uint64_t bytes, wire::PoolKind kind);
  // Main thread, once no launch uses the pool any more: whoever asks has seen their completions. not_found if there is
  // none.
  [[nodiscard]] Result<void> unmap(std::uint32_t number);
  [[nodiscard]] std::size_t mapped() const noexcept { return mapped_; }  // main thread
  // Main thread. Calls use(pool) for each that is mapped.
  template <class Use>
  void each(Use use) const {
    for (std::uint32_t i = 0, left = static_cast<std::uint32_t>(mapped_); left > 0; ++i)
      if (const Pool* const pool = find(i); pool != nullptr) --left, use(*pool);
  }

  // Any thread; null if there is none. Valid until it is unmapped.
  [[nodiscard]] const Pool* find(std::uint32_t number) const noexcept {
    return number < wire::kMaxExecutorPools ? table_[number].load(std::memory_order_acquire) : nullptr;
  }

 private:
  std::unique_ptr<std::atomic<Pool*>[]> table_;
  std::size_t mapped_ = 0;
};

}  // namespace takt::executor
