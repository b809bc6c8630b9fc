// Waiting for descriptors and one absolute timer: epoll without an allocation or a read per event.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <span>

#include "live/file_descriptor.hpp"
#include "takt/result.hpp"
#include "takt/time.hpp"

namespace takt::live {

// Wakes an EventLoop from another thread or process: an eventfd. Watch it with kEdge; then nobody need ever read it.
class Notifier {
 public:
  Notifier() = default;
  [[nodiscard]] static Result<Notifier> make();
  explicit Notifier(FileDescriptor fd) noexcept : fd_(std::move(fd)) {}
  // Any thread, also in a signal handler; one system call. Never give the descriptor to a process that is not ours: it
  // could fill the counter and make this block.
  void notify() const noexcept;
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  FileDescriptor fd_;
};

inline constexpr std::uint32_t kReadable = EPOLLIN;        // level-triggered
inline constexpr std::uint32_t kEdge = EPOLLIN | EPOLLET;  // once per arrival

struct Event {
  std::uint64_t token = 0;
  std::uint32_t events = 0;  // EPOLLIN, EPOLLHUP, ...
  [[nodiscard]] bool readable() const noexcept { return (events & EPOLLIN) != 0; }
  [[nodiscard]] bool hung_up() const noexcept { return (events & (EPOLLHUP | EPOLLERR)) != 0; }
};

// One thread. add, change and remove are for set-up; wait and set_timer are for the hot path and never allocate.
class EventLoop {
 public:
  static constexpr std::size_t kBatch = 64;

  [[nodiscard]] static Result<EventLoop> make();

  // Watches a descriptor, which stays the caller's; `token` comes back with its events. Any token but kTimerToken.
  [[nodiscard]] Result<void> add(int fd, std::uint64_t token, std::uint32_t events = kReadable);
  [[nodiscard]] Result<void> change(int fd, std::uint64_t token, std::uint32_t events);
  // Before the descriptor is closed. Events of it already returned by wait() are the caller's to ignore.
  void remove(int fd) noexcept;

  // wait() returns at `at` at the latest; kNever switches the timer off. A system call only if the time changed.
  void set_timer(Instant at) noexcept;
  // wait() returns at this time at the latest. One system call at most for the earliest of many times: a later time than
  // the one that is set changes nothing, and wait() then returns once too early.
  void wake_by(Instant at) noexcept {
    if (at < armed_) set_timer(at);
  }

  // Sleeps for events or the timer; spins first for `spin`. At most kBatch events, valid until the next call. Empty
  // when the timer is due or a signal came: look at the clock after every call.
  [[nodiscard]] std::span<const Event> wait(Duration spin = Duration{0}) noexcept;
  // What is there now, without sleeping.
  [[nodiscard]] std::span<const Event> poll() noexcept;

  static constexpr std::uint64_t kTimerToken = ~std::uint64_t{0};

 private:
  EventLoop(FileDescriptor epoll, FileDescriptor timer) noexcept : epoll_(std::move(epoll)), timer_(std::move(timer)) {}
  std::span<const Event> gather(int timeout_ms) noexcept;

  FileDescriptor epoll_, timer_;
  Instant armed_ = kNever;
  std::size_t count_ = 0;
  std::array<Event, kBatch> events_{};
  std::array<epoll_event, kBatch> raw_{};
};

}  // namespace takt::live
