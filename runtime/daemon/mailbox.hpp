// A lock-free mailbox between exactly two threads: fixed room, one writer, one reader, one wake-up.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "live/event_loop.hpp"

namespace takt::daemon {

// push() by one thread, pop() by another; neither blocks or allocates. The reader watches fd() with kEdge and drains.
template <class T, std::size_t N>
class Mailbox {
 public:
  explicit Mailbox(live::Notifier notifier) : notifier_(std::move(notifier)), items_(std::make_unique<T[]>(N)) {}

  [[nodiscard]] int fd() const noexcept { return notifier_.fd(); }

  // Items on their way; exact for the writer, who alone adds.
  [[nodiscard]] std::size_t used() const noexcept {
    return head_.load(std::memory_order_relaxed) - tail_.load(std::memory_order_acquire);
  }
  // The next free place, to be filled and then sent; null if the reader is N items behind.
  [[nodiscard]] T* place() noexcept {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head - tail_.load(std::memory_order_acquire) == N) return nullptr;
    return &items_[head % N];
  }
  // Release: who sees the head sees the item.
  void send() noexcept {
    head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    notifier_.notify();
  }
  // The oldest item, valid until taken(); null if there is none.
  [[nodiscard]] T* front() noexcept {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    return tail == head_.load(std::memory_order_acquire) ? nullptr : &items_[tail % N];
  }
  void taken() noexcept { tail_.store(tail_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

 private:
  live::Notifier notifier_;
  std::unique_ptr<T[]> items_;
  alignas(64) std::atomic<std::size_t> head_{0};
  alignas(64) std::atomic<std::size_t> tail_{0};
};

}  // namespace takt::daemon
