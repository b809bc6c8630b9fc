// The trace on its way out: the scheduler thread writes events into a ring, the control thread prints them.
#pragma once

#include <atomic>
#include <memory>

#include "live/event_loop.hpp"
#include "takt/trace.hpp"

namespace takt::daemon {

// record() by the scheduler thread, drain() by the control thread. When the ring is full events are lost and counted.
class TraceRing final : public TraceSink {
 public:
  // `capacity` is rounded up to a power of two. One wake-up a drain, however many events came.
  TraceRing(std::size_t capacity, live::Notifier notifier) : notifier_(std::move(notifier)) {
    while (size_ < capacity) size_ *= 2;
    events_ = std::make_unique<TraceEvent[]>(size_);
  }
  [[nodiscard]] int fd() const noexcept { return notifier_.fd(); }

  void record(const TraceEvent& event) noexcept override {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head - tail_.load(std::memory_order_acquire) == size_) {
      lost_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    events_[head & (size_ - 1)] = event;
    head_.store(head + 1, std::memory_order_release);
    if (!asked_.exchange(true, std::memory_order_acq_rel)) notifier_.notify();
  }

  // Calls print(event) for everything there is.
  template <class Print>
  void drain(Print print) {
    asked_.store(false, std::memory_order_release);
    const std::size_t head = head_.load(std::memory_order_acquire);
    std::size_t tail = tail_.load(std::memory_order_relaxed);
    for (; tail != head; ++tail) print(events_[tail & (size_ - 1)]);
    tail_.store(tail, std::memory_order_release);
  }
  [[nodiscard]] std::uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

 private:
  live::Notifier notifier_;
  std::size_t size_ = 1024;
  std::unique_ptr<TraceEvent[]> events_;
  alignas(64) std::atomic<std::size_t> head_{0};
  alignas(64) std::atomic<std::size_t> tail_{0};
  std::atomic<bool> asked_{false};
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace takt::daemon
