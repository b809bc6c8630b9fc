// The event loop: descriptors, the timer, notifiers, and that waiting allocates nothing.
#include "live/event_loop.hpp"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "live/futex.hpp"
#include "live/monotonic_clock.hpp"
#include "live/unix_socket.hpp"
#include "support/allocation_counter.hpp"

namespace takt::live {
namespace {

using std::chrono::milliseconds;

EventLoop make_loop() {
  return std::move(*EventLoop::make());
}

TEST(EventLoop, ReturnsTheTokensOfWhatIsReadable) {
  EventLoop loop = make_loop();
  Result<SocketPair> a = make_socket_pair(), b = make_socket_pair();
  ASSERT_TRUE(loop.add(a->second.get(), 7) && loop.add(b->second.get(), 8));
  EXPECT_TRUE(loop.poll().empty());
  ASSERT_TRUE(send_message(b->first.get(), 1));
  ASSERT_EQ(loop.wait().size(), 1U);
  EXPECT_EQ(loop.wait()[0].token, 8U);  // level-triggered: still there
  EXPECT_TRUE(loop.wait()[0].readable());
  ASSERT_TRUE(send_message(a->first.get(), 1));
  std::set<std::uint64_t> tokens;
  for (const Event& e : loop.wait()) tokens.insert(e.token);
  EXPECT_EQ(tokens, (std::set<std::uint64_t>{7, 8}));
  loop.remove(a->second.get());
  loop.remove(b->second.get());
  EXPECT_TRUE(loop.poll().empty());
}

TEST(EventLoop, TellsAHangUp) {
  EventLoop loop = make_loop();
  Result<SocketPair> pair = make_socket_pair();
  ASSERT_TRUE(loop.add(pair->second.get(), 1));
  pair->first.reset();
  ASSERT_EQ(loop.wait().size(), 1U);
  EXPECT_TRUE(loop.wait()[0].hung_up());
}

TEST(EventLoop, WakesAtTheTimerAndNotBefore) {
  EventLoop loop = make_loop();
  const Instant at = monotonic_now() + milliseconds(20);
  loop.set_timer(at);
  while (monotonic_now() < at) EXPECT_TRUE(loop.wait().empty());
  EXPECT_GE(monotonic_now(), at);
}

TEST(EventLoop, ATimeInThePastWakesAtOnceAndCanBeSetAgain) {
  EventLoop loop = make_loop();
  const Instant past = monotonic_now() - milliseconds(5);
  for (int i = 0; i < 3; ++i) {
    loop.set_timer(past);
    EXPECT_TRUE(loop.wait().empty());
  }
  loop.set_timer(instant_ns(0));
  EXPECT_TRUE(loop.wait().empty());
}

TEST(EventLoop, ATimerMovedOrSwitchedOffDoesNotWake) {
  EventLoop loop = make_loop();
  Result<SocketPair> pair = make_socket_pair();
  ASSERT_TRUE(loop.add(pair->second.get(), 1));
  loop.set_timer(monotonic_now() + milliseconds(5));
  loop.set_timer(kNever);
  std::thread sender([&] {
    std::this_thread::sleep_for(milliseconds(40));
    EXPECT_TRUE(send_message(pair->first.get(), 1));
  });
  EXPECT_EQ(loop.wait().size(), 1U);
  sender.join();
}

TEST(EventLoop, SpinningSeesEventsAndTheTimer) {
  EventLoop loop = make_loop();
  Result<SocketPair> pair = make_socket_pair();
  ASSERT_TRUE(loop.add(pair->second.get(), 1));
  const Instant at = monotonic_now() + milliseconds(5);
  loop.set_timer(at);
  EXPECT_TRUE(loop.wait(std::chrono::seconds(30)).empty());
  EXPECT_LT(monotonic_now() - at, std::chrono::seconds(20));
  ASSERT_TRUE(send_message(pair->first.get(), 1));
  EXPECT_EQ(loop.wait(std::chrono::seconds(30)).size(), 1U);
}

TEST(Notifier, WakesOnceForEachNotificationWithoutBeingRead) {
  EventLoop loop = make_loop();
  const Result<Notifier> notifier = Notifier::make();
  ASSERT_TRUE(loop.add(notifier->fd(), 5, kEdge));
  for (int i = 0; i < 3; ++i) {
    std::thread([&] { notifier->notify(); }).join();
    ASSERT_EQ(loop.wait().size(), 1U);
    EXPECT_TRUE(loop.poll().empty());
  }
}

TEST(EventLoop, WaitingAndSettingTheTimerAllocateNothing) {
  EventLoop loop = make_loop();
  Result<SocketPair> pair = make_socket_pair();
  const Result<Notifier> notifier = Notifier::make();
  ASSERT_TRUE(loop.add(pair->second.get(), 1) && loop.add(notifier->fd(), 2, kEdge));
  std::array<std::byte, 64> room{};
  Packet packet;
  const std::uint64_t before = test::allocations_seen();
  const test::WatchAllocations watch;
  for (int i = 0; i < 100; ++i) {
    notifier->notify();
    (void)send_message(pair->first.get(), i);
    loop.set_timer(monotonic_now() + milliseconds(i));
    (void)loop.wait();
    (void)receive_packet(pair->second.get(), room, packet);
  }
  EXPECT_EQ(test::allocations_seen(), before);
}

TEST(Futex, WakesASleeperAndReturnsWhenTheWordHasChanged) {
  std::atomic<std::uint32_t> word{0};
  futex_wait(word, 1);  // returns at once
  std::thread sleeper([&] {
    while (word.load() == 0) futex_wait(word, 0);
  });
  word.store(1);
  futex_wake(word);
  sleeper.join();
  const Instant deadline = monotonic_now() + milliseconds(5);
  while (monotonic_now() < deadline) futex_wait_until(word, 1, deadline);
}

}  // namespace
}  // namespace takt::live
