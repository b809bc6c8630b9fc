// Faults that are asked for come when they are asked for, and stay if CUDA's would.
#include "cuda/faulty_api.hpp"

#include <gtest/gtest.h>

#include "cuda/fake_api.hpp"

namespace takt {
namespace {

TEST(FaultyApi, FailsOnceAfterSoManyCallsOfThatName) {
  cuda::FaultyApi api(std::make_unique<test::FakeApi>(), {"device_alloc", 2, 2});
  int count = 0;
  void* memory = nullptr;
  ASSERT_EQ(api.device_count(count), cuda::kOk);
  ASSERT_EQ(api.use_device(0), cuda::kOk);
  for (const cuda::Status want : {0, 0, 2, 0, 0}) EXPECT_EQ(api.device_alloc(64, memory), want);
}

TEST(FaultyApi, StaysBrokenAfterAStickyError) {
  cuda::FaultyApi api(std::make_unique<test::FakeApi>(), {"device_alloc", 700, 0});
  void* memory = nullptr;
  int count = 0;
  EXPECT_EQ(api.device_alloc(64, memory), 700);
  EXPECT_EQ(api.device_count(count), 700);
}

TEST(FaultyApi, BelievesOnlyWholeInjections) {
  const cuda::Injection good = cuda::Injection::parse("launch 700 1000");
  EXPECT_EQ(good.call, "launch");
  EXPECT_EQ(good.status, 700);
  EXPECT_EQ(good.after, 1000U);
  for (const char* const text : {"", "launch", "launch 700", "launch seven 1"})
    EXPECT_EQ(cuda::Injection::parse(text).call, "") << text;
}

}  // namespace
}  // namespace takt
