// epoll, timerfd, eventfd.
#include "live/event_loop.hpp"

#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <cerrno>

#include "live/monotonic_clock.hpp"

namespace takt::live {

Result<Notifier> Notifier::make() {
  FileDescriptor fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) return fail(Code::no_capacity, "cannot make an eventfd", errno);
  return Notifier(std::move(fd));
}

void Notifier::notify() const noexcept {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the watcher is awake already.
  [[maybe_unused]] const ssize_t written = ::write(fd_.get(), &one, sizeof(one));
}

Result<EventLoop> EventLoop::make() {
  FileDescriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail(Code::no_capacity, "cannot make an epoll descriptor", errno);
  FileDescriptor timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer) return fail(Code::no_capacity, "cannot make a timer descriptor", errno);
  EventLoop loop(std::move(epoll), std::move(timer));
  // Edge-triggered: one event per expiry, and setting the timer anew clears it; so it is never read.
  const Result<void> added = loop.add(loop.timer_.get(), kTimerToken, kEdge);
  if (!added) return tl::unexpected(added.error());
  return loop;
}

Result<void> EventLoop::add(int fd, std::uint64_t token, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    return fail(errno == EEXIST ? Code::already_exists : Code::system, "cannot watch a descriptor", errno);
  return {};
}

Result<void> EventLoop::change(int fd, std::uint64_t token, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0)
    return fail(errno == ENOENT ? Code::not_found : Code::system, "cannot change how a descriptor is watched", errno);
  return {};
}

void EventLoop::remove(int fd) noexcept {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::set_timer(Instant at) noexcept {
  if (at == armed_) return;
  armed_ = at;
  itimerspec when{};  // zero switches the timer off
  if (at != kNever) {
    const std::int64_t ns = to_ns(at) > 0 ? to_ns(at) : 1;
    when.it_value = {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  }
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

std::span<const Event> EventLoop::gather(int timeout_ms) noexcept {
  count_ = 0;
  const int got = ::epoll_wait(epoll_.get(), raw_.data(), static_cast<int>(raw_.size()), timeout_ms);
  for (int i = 0; i < got; ++i) {
    const epoll_event& e = raw_[static_cast<std::size_t>(i)];
    if (e.data.u64 == kTimerToken)
      armed_ = kNever;  // it went off: the same time must be set anew
    else
      events_[count_++] = {.token = e.data.u64, .events = e.events};
  }
  return {events_.data(), count_};
}

std::span<const Event> EventLoop::wait(Duration spin) noexcept {
  if (spin > Duration{0}) {
    const Instant end = monotonic_now() + spin;
    do {
      const bool timer_was_set = armed_ != kNever;
      if (!gather(0).empty() || (timer_was_set && armed_ == kNever)) return {events_.data(), count_};
    } while (monotonic_now() < end);
  }
  return gather(-1);
}

std::span<const Event> EventLoop::poll() noexcept {
  return gather(0);
}

}  // namespace takt::live
