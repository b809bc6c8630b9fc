// Real-time rights: granted or plainly refused, never half.
#include "live/realtime.hpp"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include <thread>

namespace takt::live {
namespace {

// On a thread of its own, so that nothing sticks to the test's.
void on_thread(const std::function<void()>& work) {
  std::thread(work).join();
}

TEST(Realtime, FifoIsGrantedOrRefusedWithARemedy) {
  on_thread([] {
    const Grant grant = take_fifo(5);
    const int policy = ::sched_getscheduler(0);
    if (grant.granted) {
      EXPECT_EQ(policy, SCHED_FIFO | SCHED_RESET_ON_FORK);
      leave_fifo();
      EXPECT_EQ(::sched_getscheduler(0) & ~SCHED_RESET_ON_FORK, SCHED_OTHER);
    } else {
      EXPECT_EQ(policy, SCHED_OTHER);
      EXPECT_NE(grant.error, 0);
      EXPECT_NE(grant.text.find("denied"), std::string::npos);
      EXPECT_NE(grant.text.find(": "), std::string::npos);
    }
  });
}

TEST(Realtime, ThreadsStartedByAFifoThreadAreNotFifo) {
  on_thread([] {
    if (!take_fifo(5).granted) GTEST_SKIP() << "no right to SCHED_FIFO";
    on_thread([] { EXPECT_EQ(::sched_getscheduler(0), SCHED_OTHER); });
  });
}

TEST(Realtime, AnImpossiblePriorityIsRefused) {
  on_thread([] {
    const Grant grant = take_fifo(1000);
    EXPECT_FALSE(grant.granted);
    EXPECT_EQ(::sched_getscheduler(0), SCHED_OTHER);
  });
}

TEST(Threads, ArePinnedToTheGivenCpus) {
  on_thread([] {
    EXPECT_TRUE(pin_thread(std::array{0}));
    EXPECT_EQ(::sched_getcpu(), 0);
    EXPECT_TRUE(pin_thread({}));
    EXPECT_EQ(::sched_getcpu(), 0);
    EXPECT_FALSE(pin_thread(std::array{1023}));
    EXPECT_FALSE(pin_thread(std::array{-1}));
    EXPECT_FALSE(pin_thread(std::array{1 << 20}));
  });
}

TEST(Threads, LongNamesAreCut) {
  on_thread([] {
    name_thread("accelerator-with-a-long-name");
    char name[16] = {};
    ::pthread_getname_np(::pthread_self(), name, sizeof(name));
    EXPECT_STREQ(name, "accelerator-wit");
  });
}

TEST(Threads, StackIsTouchedWithoutHarm) {
  on_thread([] { prefault_stack(); });
}

}  // namespace
}  // namespace takt::live
