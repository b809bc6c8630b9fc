// What an entry may ask for, and that everything else is refused instead of followed.
#include "executor/launch_builder.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "executor/in_process.hpp"

namespace takt::executor {
namespace {

class Builder : public ::testing::Test {
 protected:
  test::InProcess session_;
  LaunchBuilder builder_{0};
  wire::StartEntry entry_;
  std::array<std::array<float, kMaxMetrics>, kMaxBatch> metrics_{};

  void SetUp() override {
    session_.describe(1, 42);
    start(0, true, false, {1, wire::kNoSlot, 5});
  }
  void start(std::uint32_t variant, bool first, bool last, wire::StartJob job) {
    entry_.variant = variant;
    entry_.first_segment = first;
    entry_.last_segment = last;
    entry_.count = 1;
    entry_.jobs[0] = job;
  }
  wire::JobRecord& record() { return session_.shared.job(1); }
  Result<const Launch*> build() { return builder_.build(session_.view, entry_, metrics_); }
};

TEST_F(Builder, GivesTheFirstSegmentItsFrameAndAnOutputSlot) {
  const auto launch = build();
  ASSERT_TRUE(launch);
  ASSERT_EQ((*launch)->jobs.size(), 1U);
  const JobIo& job = (*launch)->jobs[0];
  ASSERT_EQ(job.inputs.size(), 1U);
  EXPECT_EQ(std::to_integer<int>(job.inputs[0].data[0]), 42);
  EXPECT_EQ(job.slot_in, nullptr);
  EXPECT_EQ(job.slot_out, session_.shared.slot(5));
  EXPECT_TRUE(job.result.empty());
  EXPECT_EQ(job.metrics, nullptr);
}

TEST_F(Builder, GivesTheLastSegmentASlotAndTheResultArea) {
  start(2, false, true, {1, 7, wire::kNoSlot});
  const auto launch = build();
  ASSERT_TRUE(launch);
  const JobIo& job = (*launch)->jobs[0];
  EXPECT_TRUE(job.inputs.empty());
  EXPECT_EQ(job.slot_in, session_.shared.slot(7));
  EXPECT_EQ(job.slot_out, nullptr);
  EXPECT_EQ(job.result.size(), session_.model.result_bytes());
  EXPECT_EQ(job.metrics, metrics_[0].data());
}

TEST_F(Builder, NamesSlotsByNumberToo) {
  start(1, false, false, {1, 7, 5});
  const auto launch = build();
  ASSERT_TRUE(launch);
  EXPECT_EQ((*launch)->jobs[0].slot_in_number, 7U);
  EXPECT_EQ((*launch)->jobs[0].slot_out_number, 5U);
  start(0, true, false, {1, 9, 5});  // a first segment reads no slot, whatever the entry says
  const auto first = build();
  ASSERT_TRUE(first);
  EXPECT_EQ((*first)->jobs[0].slot_in_number, kNoSlotNumber);
}

TEST_F(Builder, GivesNumbersOnlyWhereTheDriverKeepsActivations) {
  session_.view.slots = nullptr;
  start(1, false, false, {1, 7, 5});
  const auto launch = build();
  ASSERT_TRUE(launch);
  const JobIo& job = (*launch)->jobs[0];
  EXPECT_EQ(job.slot_in, nullptr);
  EXPECT_EQ(job.slot_out, nullptr);
  EXPECT_EQ(job.slot_in_number, 7U);
  EXPECT_EQ(job.slot_out_number, 5U);
  start(1, false, false, {1, test::FakeSession::kSlots, 5});
  EXPECT_FALSE(build());
  start(1, false, false, {1, 5, test::FakeSession::kSlots});
  EXPECT_FALSE(build());
}

TEST_F(Builder, RefusesVariantsThatAreNotLoaded) {
  for (const std::uint32_t variant : {3U, 1000U, 0xffffffffU}) {
    entry_.variant = variant;
    EXPECT_FALSE(build()) << variant;
  }
}

TEST_F(Builder, RefusesBatchesOutOfRange) {
  for (const std::uint16_t count : {std::uint16_t{0}, std::uint16_t{kMaxBatch + 1}, std::uint16_t{0xffff}}) {
    entry_.count = count;
    EXPECT_FALSE(build()) << count;
  }
}

TEST_F(Builder, RefusesEntriesThatDisagreeWithTheModel) {
  entry_.first_segment = 0;
  EXPECT_FALSE(build());
  start(0, true, true, {1, wire::kNoSlot, 5});
  EXPECT_FALSE(build());
}

TEST_F(Builder, RefusesSlotsAndJobsOutOfRange) {
  for (const std::uint32_t slot : {std::uint32_t{test::FakeSession::kSlots}, wire::kNoSlot}) {
    start(0, true, false, {1, wire::kNoSlot, slot});
    EXPECT_FALSE(build()) << slot;
    start(1, false, false, {1, slot, 5});
    EXPECT_FALSE(build()) << slot;
  }
  start(0, true, false, {test::FakeSession::kJobs, wire::kNoSlot, 5});
  EXPECT_FALSE(build());
}

TEST_F(Builder, RefusesInputsOutsideOfTheirPool) {
  const wire::JobRecord good = record();
  const auto refused = [&](auto&& spoil) {
    record() = good;
    spoil(record());
    return !build().has_value();
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& r) { r.input[0].pool = 99; }));
  EXPECT_TRUE(refused([](auto& r) { r.input[0].pool = 0xffffffffU; }));
  EXPECT_TRUE(refused([](auto& r) { r.input[0].pool = test::InProcess::kResults; }));
  EXPECT_TRUE(refused([](auto& r) { r.input[0].offset = 1 << 16; }));
  EXPECT_TRUE(refused([](auto& r) { r.input[0].offset = ~std::uint64_t{255}; }));
  EXPECT_TRUE(refused([](auto& r) { r.input[0].bytes = ~std::uint64_t{0}; }));
  EXPECT_TRUE(refused([](auto& r) { r.input[0].dims[0] = 65; }));
  EXPECT_TRUE(refused([](auto& r) { r.input[0].strides[0] = 1 << 20; }));
  EXPECT_TRUE(refused([](auto& r) { r.inputs = 0; }));
  EXPECT_TRUE(refused([](auto& r) { r.inputs = 200; }));
}

TEST_F(Builder, RefusesResultAreasOutsideOfTheirPool) {
  start(2, false, true, {1, 7, wire::kNoSlot});
  const wire::JobRecord good = record();
  const auto refused = [&](auto&& spoil) {
    record() = good;
    spoil(record());
    return !build().has_value();
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& r) { r.result_pool = test::InProcess::kFrames; }));
  EXPECT_TRUE(refused([](auto& r) { r.result_pool = 70'000; }));
  EXPECT_TRUE(refused([](auto& r) { r.result_offset = 1 << 16; }));
  EXPECT_TRUE(refused([](auto& r) { r.result_offset = ~std::uint64_t{63}; }));
  EXPECT_TRUE(refused([](auto& r) { r.result_offset = 4; }));
  EXPECT_TRUE(refused([](auto& r) { r.result_bytes -= 1; }));
  EXPECT_TRUE(refused([](auto& r) { r.result_bytes = ~std::uint64_t{0}; }));
}

TEST_F(Builder, RefusesAPoolThatIsNoLongerMapped) {
  ASSERT_TRUE(build());
  ASSERT_TRUE(session_.view.pools.unmap(test::InProcess::kFrames));
  EXPECT_FALSE(build());
}

TEST(PoolTable, RefusesWhatCouldShrinkOrIsTooShort) {
  PoolTable pools;
  const live::FileDescriptor unsealed(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(unsealed.get(), 4096), 0);
  EXPECT_FALSE(pools.map(1, unsealed.get(), 4096, wire::PoolKind::frames));
  const test::FakePool good(4096);
  EXPECT_FALSE(pools.map(1, good.fd.get(), 8192, wire::PoolKind::frames));
  EXPECT_FALSE(pools.map(wire::kMaxExecutorPools, good.fd.get(), 4096, wire::PoolKind::frames));
  ASSERT_TRUE(pools.map(1, good.fd.get(), 4096, wire::PoolKind::frames));
  EXPECT_FALSE(pools.map(1, good.fd.get(), 4096, wire::PoolKind::frames));
  EXPECT_EQ(pools.mapped(), 1U);
  EXPECT_FALSE(pools.unmap(2));
  EXPECT_TRUE(pools.unmap(1));
  EXPECT_EQ(pools.find(1), nullptr);
}

}  // namespace
}  // namespace takt::executor
