// The timer heap: order, ties, removal from the middle.
#include "core/deadline_heap.hpp"

#include <gtest/gtest.h>

#include <set>

#include "support/catalog.hpp"
#include "support/random.hpp"

namespace takt::test {
namespace {

TEST(DeadlineHeap, IsNeverWhenEmpty) {
  DeadlineHeap heap(4);
  EXPECT_TRUE(heap.empty());
  EXPECT_EQ(heap.next(), kNever);
  heap.remove(3);
  EXPECT_TRUE(heap.empty());
}

TEST(DeadlineHeap, BreaksTiesByJobNumber) {
  DeadlineHeap heap(4);
  for (const std::uint32_t job : {2u, 0u, 3u, 1u}) heap.push(job, at(ms(1)));
  for (std::uint32_t job = 0; job < 4; ++job) {
    EXPECT_EQ(heap.front(), job);
    heap.remove(job);
  }
}

TEST(DeadlineHeap, AgreesWithASortedSetOverRandomOperations) {
  constexpr std::uint32_t kJobs = 50;
  Random random(1);
  DeadlineHeap heap(kJobs);
  std::set<std::pair<Instant, std::uint32_t>> expected;
  std::vector<Instant> at_of(kJobs);
  std::vector<bool> present(kJobs);
  for (int i = 0; i < 20000; ++i) {
    const auto job = static_cast<std::uint32_t>(random.below(kJobs));
    if (present[job]) {
      heap.remove(job);
      expected.erase({at_of[job], job});
    } else {
      at_of[job] = at(us(random.between(0, 30)));
      heap.push(job, at_of[job]);
      expected.insert({at_of[job], job});
    }
    present[job] = !present[job];
    ASSERT_EQ(heap.empty(), expected.empty());
    if (expected.empty()) continue;
    ASSERT_EQ(heap.next(), expected.begin()->first);
    ASSERT_EQ(heap.front(), expected.begin()->second);
  }
}

}  // namespace
}  // namespace takt::test
