// The fake of CUDA's calls behaves as CUDA does, where tests of lanes and of the driver count on it.
#include "cuda/fake_api.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <thread>

#include "cuda/errors.hpp"

namespace takt::test {
namespace {

using cuda::CopyNode;
using cuda::kNotReady;
using cuda::kOk;

constexpr Duration us(std::int64_t n) {
  return std::chrono::microseconds(n);
}
constexpr std::uint64_t kMiB = 1 << 20;

// A stream, a word of the host, device memory that holds 1.
struct Desk {
  FakeApi api;
  cuda::Stream stream = nullptr;
  std::uint32_t *one = nullptr, *word = nullptr;

  explicit Desk(FakeMachine machine = {}) : api(std::move(machine)) {
    void *device = nullptr, *host = nullptr;
    if (api.make_stream(nullptr, 0, stream) != kOk) ADD_FAILURE();
    if (api.device_alloc(64, device) != kOk || api.pinned_alloc(64, host) != kOk) ADD_FAILURE();
    one = static_cast<std::uint32_t*>(device);
    word = static_cast<std::uint32_t*>(host);
    *one = 1;
  }
  [[nodiscard]] cuda::GraphExec make(std::vector<FakeNode> nodes) {
    cuda::GraphExec exec = nullptr;
    EXPECT_EQ(api.instantiate(api.add_graph(std::move(nodes)), stream, exec), kOk);
    return exec;
  }
};

TEST(FakeCuda, WithoutADriverEverythingFailsWith35) {
  FakeApi api({.driver = false});
  int count = 7, least = 0, greatest = 0;
  cuda::DeviceInfo info;
  cuda::SmResource resource;
  void* memory = nullptr;
  EXPECT_EQ(api.device_count(count), 35);
  EXPECT_EQ(count, 0);
  EXPECT_EQ(api.use_device(0), 35);
  EXPECT_EQ(api.describe(0, info), 35);
  EXPECT_EQ(api.sm_resource(0, resource), 35);
  EXPECT_FALSE(api.has_green_contexts());
  EXPECT_EQ(api.priorities(least, greatest), 35);
  EXPECT_EQ(api.device_alloc(1, memory), 35);
}

TEST(FakeCuda, ACopyArrivesWhenItsTimeHasCome) {
  Desk d;
  EXPECT_EQ(d.api.copy(d.word, d.one, 4, d.stream), kOk);
  EXPECT_EQ(*d.word, 0u);
  EXPECT_EQ(d.api.query(d.stream), kNotReady);
  d.api.advance(us(1));
  EXPECT_EQ(*d.word, 0u) << "a copy takes 2 us";
  d.api.advance(us(1));
  EXPECT_EQ(*d.word, 1u);
  EXPECT_EQ(d.api.query(d.stream), kOk);
}

TEST(FakeCuda, AGraphRunsItsNodesInOrderAndTellsLast) {
  Desk d;
  std::vector<int> ran;
  const cuda::GraphExec exec = d.make(
      {kernel_node([&] { ran.push_back(1); }), kernel_node([&] { ran.push_back(2); }), copy_node(d.word, d.one, 4)});
  EXPECT_EQ(d.api.launch(exec, d.stream), kOk);
  d.api.advance(us(21));
  EXPECT_EQ(ran, (std::vector<int>{1, 2}));
  EXPECT_EQ(*d.word, 0u);
  EXPECT_EQ(d.api.pending(d.stream), 1u);
  EXPECT_EQ(d.api.finish(), 1u);
  EXPECT_EQ(*d.word, 1u);
  EXPECT_EQ(d.api.now(), Instant{us(22)});
}

TEST(FakeCuda, StreamsRunBesideEachOther) {
  Desk d;
  cuda::Stream other = nullptr;
  ASSERT_EQ(d.api.make_stream(nullptr, -9, other), kOk);
  EXPECT_EQ(d.api.facts_of(other).priority, -5) << "clamped";
  std::vector<int> ran;
  EXPECT_EQ(d.api.queue(d.stream, {kernel_node([&] { ran.push_back(1); }, us(30))}), kOk);
  EXPECT_EQ(d.api.queue(other, {kernel_node([&] { ran.push_back(2); }, us(10))}), kOk);
  EXPECT_EQ(d.api.queue(other, {kernel_node([&] { ran.push_back(3); }, us(10))}), kOk);
  EXPECT_EQ(d.api.pending(), 3u);
  EXPECT_EQ(d.api.finish(2), 2u);
  EXPECT_EQ(ran, (std::vector<int>{2, 3}));
  EXPECT_EQ(d.api.synchronize(d.stream), kOk);
  EXPECT_EQ(d.api.now(), Instant{us(30)});
  EXPECT_EQ(d.api.finish(9), 0u);
}

TEST(FakeCuda, EndsOfCopiesAreThoseOfTheLaunch) {
  Desk d;
  d.one[1] = 7;
  const cuda::GraphExec exec = d.make({copy_node(d.word, d.one, 4)});
  std::array<CopyNode, 4> copies;
  std::size_t count = 0;
  const cuda::Graph graph =
      d.api.add_graph({copy_node(d.word, d.one, 4), kernel_node({}), copy_node(d.word + 1, d.one, 4)});
  ASSERT_EQ(d.api.copies(graph, copies, count), kOk);
  ASSERT_EQ(count, 2u);
  EXPECT_EQ(copies[1].to, d.word + 1);
  cuda::GraphExec second = nullptr;
  ASSERT_EQ(d.api.instantiate(graph, d.stream, second), kOk);
  EXPECT_EQ(d.api.launch(second, d.stream), kOk);
  copies[0].from = d.one + 1;
  EXPECT_EQ(d.api.set_copy(second, copies[0]), kOk);
  EXPECT_EQ(d.api.finish(), 1u);
  EXPECT_EQ(*d.word, 1u) << "what is launched already keeps its ends";
  EXPECT_EQ(d.api.launch(second, d.stream), kOk);
  EXPECT_EQ(d.api.finish(), 1u);
  EXPECT_EQ(*d.word, 7u);
  EXPECT_EQ(d.api.set_copy(exec, copies[0]), 1) << "a node of another graph";
}

TEST(FakeCuda, AnEndStaysInItsKindOfMemory) {
  Desk d;
  const cuda::Graph graph = d.api.add_graph({copy_node(d.word, d.one, 4)});
  cuda::GraphExec exec = nullptr;
  std::array<CopyNode, 1> copies;
  std::size_t count = 0;
  ASSERT_EQ(d.api.instantiate(graph, d.stream, exec), kOk);
  ASSERT_EQ(d.api.copies(graph, copies, count), kOk);
  CopyNode changed = copies[0];
  std::uint32_t own = 0;
  changed.to = &own;
  EXPECT_EQ(d.api.set_copy(exec, changed), 1) << "not registered";
  changed.to = d.one + 1;
  EXPECT_EQ(d.api.set_copy(exec, changed), 1) << "the device's instead of the host's";
  EXPECT_EQ(d.api.host_register(&own, 4, false), kOk);
  changed.to = &own;
  EXPECT_EQ(d.api.set_copy(exec, changed), kOk);
  EXPECT_EQ(d.api.launch(exec, d.stream), kOk);
  EXPECT_EQ(d.api.synchronize(d.stream), kOk);
  EXPECT_EQ(own, 1u);
}

TEST(FakeCuda, AGraphDoesNotCopyMemoryOfTheCpuAlone) {
  Desk d;
  std::uint32_t own = 0;
  const cuda::Graph graph = d.api.add_graph({copy_node(&own, d.one, 4)});
  cuda::GraphExec exec = nullptr;
  std::array<CopyNode, 1> copies;
  std::size_t count = 0;
  ASSERT_EQ(d.api.instantiate(graph, d.stream, exec), kOk);
  ASSERT_EQ(d.api.copies(graph, copies, count), kOk);
  EXPECT_EQ(d.api.set_copy(exec, copies[0]), 1);
  EXPECT_EQ(d.api.launch(exec, d.stream), kOk);
  EXPECT_EQ(d.api.synchronize(d.stream), 700);
  EXPECT_EQ(own, 0u);
}

TEST(FakeCuda, MemoryOfTheCpuAloneIsReadAtOnce) {
  Desk d;
  std::uint32_t own = 5;
  EXPECT_EQ(d.api.copy(d.one, &own, 4, d.stream), kOk);
  own = 6;
  EXPECT_EQ(d.api.copy(&own, d.one, 4, d.stream), kOk);
  EXPECT_EQ(own, 5u) << "and written before the call returns";
}

TEST(FakeCuda, RowsAreCopiedBetweenPitches) {
  Desk d;
  const std::array<char, 8> from = {'a', 'b', '-', '-', 'c', 'd', '-', '-'};
  EXPECT_EQ(d.api.copy_rows(d.one, 3, from.data(), 4, 2, 2, d.stream), kOk);
  EXPECT_EQ(d.api.pending(), 1u);
  EXPECT_EQ(d.api.finish(), 1u);
  EXPECT_EQ(std::memcmp(d.one, "ab\0cd", 5), 0);
}

TEST(FakeCuda, ACopyOutOfItsAllocationPoisons) {
  Desk d;
  EXPECT_EQ(d.api.queue(d.stream, {copy_node(d.word, d.one, 65)}), kOk);
  d.api.advance(us(10));
  EXPECT_EQ(d.api.query(d.stream), 700);
}

TEST(FakeCuda, ReadOnlyMemoryIsNotWritten) {
  Desk d;
  std::array<std::uint32_t, 4> pool{};
  ASSERT_EQ(d.api.host_register(pool.data(), sizeof pool, true), kOk);
  EXPECT_EQ(d.api.copy(d.one, pool.data(), 4, d.stream), kOk);
  EXPECT_EQ(d.api.synchronize(d.stream), kOk);
  EXPECT_EQ(d.api.copy(pool.data(), d.one, 4, d.stream), kOk);
  EXPECT_EQ(d.api.synchronize(d.stream), 700);
}

TEST(FakeCuda, RegistrationIsRefusedTwiceAndWhereTheDeviceCannot) {
  std::array<std::byte, 64> pool;
  FakeApi api;
  EXPECT_EQ(api.host_register(pool.data(), 64, false), kOk);
  EXPECT_EQ(api.host_register(pool.data() + 32, 8, false), 712);
  EXPECT_EQ(api.registered(), 1u);
  api.host_unregister(pool.data());
  EXPECT_EQ(api.registered(), 0u);
  FakeMachine orin;
  orin.devices[0].info.registers_read_only = false;
  FakeApi other(orin);
  EXPECT_EQ(other.host_register(pool.data(), 64, true), 801);
  EXPECT_TRUE(other.misuses().empty());
  other.host_unregister(pool.data());
  EXPECT_EQ(other.misuses().size(), 1u);
}

TEST(FakeCuda, AFaultOfTheDevicePoisonsEveryLaterCall) {
  Desk d;
  d.api.fault_work(719, 1);
  EXPECT_EQ(d.api.copy(d.word, d.one, 4, d.stream), kOk);
  EXPECT_EQ(d.api.copy(d.word + 1, d.one, 4, d.stream), kOk);
  EXPECT_EQ(d.api.copy(d.word + 2, d.one, 4, d.stream), kOk);
  d.api.advance(us(2));
  EXPECT_EQ(d.api.query(d.stream), kNotReady);
  d.api.advance(us(100));
  void* memory = nullptr;
  EXPECT_EQ(d.api.query(d.stream), 719);
  EXPECT_EQ(d.api.device_alloc(4, memory), 719);
  EXPECT_EQ(d.word[0], 1u);
  EXPECT_EQ(d.word[1], 0u) << "the word never comes";
  EXPECT_EQ(d.word[2], 0u) << "nor what was queued behind it";
  EXPECT_EQ(d.api.calls_after_poison(), 2u);
}

TEST(FakeCuda, WorkThatHangsNeverEndsNorWhatIsBehindIt) {
  Desk d;
  d.api.hang_work();
  EXPECT_EQ(d.api.queue(d.stream, {kernel_node({})}), kOk);
  EXPECT_EQ(d.api.copy(d.word, d.one, 4, d.stream), kOk);
  d.api.advance(std::chrono::hours(1));
  EXPECT_EQ(d.api.query(d.stream), kNotReady);
  EXPECT_EQ(*d.word, 0u);
  EXPECT_EQ(d.api.synchronize(d.stream), 909);
  EXPECT_EQ(d.api.misuses().size(), 1u) << "a real wait would not have come back";
}

TEST(FakeCuda, FailuresHitTheCallTheyNameAsOftenAsTheySay) {
  Desk d;
  const cuda::GraphExec exec = d.make({kernel_node({})});
  d.api.fail("launch", 2, 1, 2);
  EXPECT_EQ(d.api.launch(exec, d.stream), kOk);
  EXPECT_EQ(d.api.launch(exec, d.stream), 2);
  EXPECT_EQ(d.api.launch(exec, d.stream), 2);
  EXPECT_EQ(d.api.launch(exec, d.stream), kOk);
  EXPECT_EQ(d.api.calls("launch"), 4u);
  d.api.fail("query", 700);
  EXPECT_EQ(d.api.query(d.stream), 700);
  EXPECT_EQ(d.api.launch(exec, d.stream), 700) << "one that ends processes stays";
}

TEST(FakeCuda, MemoryRunsOutAsOnADevice) {
  FakeMachine small;
  small.devices[0].info.memory = 600 * kMiB;
  small.devices[0].context_bytes = 500 * kMiB;
  FakeApi api(small);
  std::uint64_t free = 0, total = 0;
  void *a = nullptr, *b = nullptr;
  ASSERT_EQ(api.memory(free, total), kOk);
  EXPECT_EQ(free, 100 * kMiB);
  EXPECT_EQ(api.device_alloc(99 * kMiB, a), kOk);
  ASSERT_EQ(api.memory(free, total), kOk);
  EXPECT_EQ(free, 0u) << "given out in blocks of 2 MiB";
  EXPECT_EQ(api.device_alloc(kMiB, b), kOk) << "in the last block";
  EXPECT_EQ(api.device_alloc(1, b), 2);
  EXPECT_EQ(b, nullptr);
  api.device_free(a);
  EXPECT_EQ(api.used(0), kMiB);
  api.take_memory(0, 90 * kMiB);
  EXPECT_EQ(api.device_alloc(20 * kMiB, a), 2);
}

TEST(FakeCuda, GraphsTakeMemoryInSteps) {
  Desk d;
  std::uint64_t before = 0, after = 0, total = 0;
  std::vector<std::uint64_t> went;
  for (int i = 0; i < 12; ++i) {
    ASSERT_EQ(d.api.memory(before, total), kOk);
    (void)d.make({kernel_node({})});
    ASSERT_EQ(d.api.memory(after, total), kOk);
    went.push_back(before - after);
  }
  EXPECT_EQ(std::ranges::count(went, 0), 11);
  EXPECT_EQ(std::ranges::count(went, 2 * kMiB), 1);
}

TEST(FakeCuda, PartsAreGroupsOfOneSplit) {
  FakeApi api;
  std::array<cuda::GreenContext, 2> contexts{};
  std::array<int, 2> granted{};
  EXPECT_EQ(api.make_parts(0, 8, std::array{4, 12}, true, contexts, granted), kOk);
  EXPECT_EQ(granted, (std::array{32, 100}));
  EXPECT_NE(contexts[0], contexts[1]);
  EXPECT_EQ(api.make_parts(0, 8, std::array{4, 13}, true, contexts, granted), 1);
  EXPECT_EQ(api.make_parts(0, 4, std::array{4, 4}, true, contexts, granted), 1) << "smaller than a part may be";
  EXPECT_EQ(api.make_parts(0, 0, std::array{4, 4}, true, contexts, granted), 1);
  api.set_grants({30, 98});
  EXPECT_EQ(api.make_parts(0, 8, std::array{4, 12}, true, contexts, granted), kOk);
  EXPECT_EQ(granted, (std::array{30, 98}));
}

TEST(FakeCuda, OldDriversHaveNoParts) {
  FakeApi api({.green_contexts = false});
  cuda::SmResource resource;
  EXPECT_FALSE(api.has_green_contexts());
  EXPECT_EQ(api.sm_resource(0, resource), 500);
}

TEST(FakeCuda, AnEventIsOverWhenWhatIsBeforeItIs) {
  Desk d;
  cuda::Event event = nullptr;
  ASSERT_EQ(d.api.make_event(event), kOk);
  EXPECT_EQ(d.api.wait(event), kOk) << "never recorded";
  EXPECT_EQ(d.api.queue(d.stream, {kernel_node({}, us(10))}), kOk);
  EXPECT_EQ(d.api.record(event, d.stream), kOk);
  EXPECT_EQ(d.api.queue(d.stream, {kernel_node({}, us(10))}), kOk);
  EXPECT_EQ(d.api.wait(event), kOk);
  EXPECT_EQ(d.api.now(), Instant{us(10)});
  EXPECT_EQ(d.api.pending(), 1u);
}

TEST(FakeCuda, AWaitMaySleepUntilAnotherThreadMovesTime) {
  Desk d;
  d.api.block_in_waits();
  EXPECT_EQ(d.api.copy(d.word, d.one, 4, d.stream), kOk);
  std::atomic<bool> moved = false;
  std::thread other([&] {
    while (d.api.calls("synchronize") == 0) std::this_thread::yield();
    moved = true;
    d.api.finish();
  });
  EXPECT_EQ(d.api.synchronize(d.stream), kOk);
  EXPECT_TRUE(moved);
  other.join();
  EXPECT_EQ(*d.word, 1u);
}

TEST(FakeCuda, QueriesMayTakeTime) {
  Desk d;
  d.api.set_query_step(us(1));
  EXPECT_EQ(d.api.copy(d.word, d.one, 4, d.stream), kOk);
  EXPECT_EQ(d.api.query(d.stream), kNotReady);
  EXPECT_EQ(d.api.query(d.stream), kOk);
}

TEST(FakeCuda, WritesDownWhatMayNotBeDoneWhileServing) {
  Desk d;
  const cuda::GraphExec exec = d.make({kernel_node({})});
  cuda::Stream other = nullptr;
  void* memory = nullptr;
  ASSERT_EQ(d.api.make_stream(nullptr, 0, other), kOk);
  d.api.forbid_allocation();
  EXPECT_EQ(d.api.launch(exec, d.stream), kOk);
  EXPECT_TRUE(d.api.misuses().empty());
  EXPECT_EQ(d.api.device_alloc(8, memory), kOk);
  EXPECT_EQ(d.api.launch(exec, other), kOk);
  EXPECT_EQ(d.api.misuses().size(), 2u);
}

TEST(FakeCuda, EachThreadHasItsDevice) {
  FakeMachine two;
  two.devices.resize(2);
  two.devices[1].info.memory = 1 << 30;
  FakeApi api(two);
  std::uint64_t free = 0, total = 0;
  ASSERT_EQ(api.use_device(1), kOk);
  ASSERT_EQ(api.memory(free, total), kOk);
  EXPECT_EQ(total, 1u << 30);
  std::thread([&] { EXPECT_EQ(api.memory(free, total), kOk); }).join();
  EXPECT_EQ(total, std::uint64_t{80} << 30);
  EXPECT_EQ(api.use_device(2), 101);
}

}  // namespace
}  // namespace takt::test
