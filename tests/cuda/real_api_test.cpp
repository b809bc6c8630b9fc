// CUDA's own library without a driver: every call fails with 35 and nothing crashes. Where there is a driver this is
// skipped; what needs one has the label gpu.
#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "cuda/api.hpp"
#include "cuda/errors.hpp"

namespace takt::cuda {
namespace {

struct RealCuda : testing::Test {
  std::unique_ptr<Api> api = make_real_api();
  void SetUp() override {
    int count = 0;
    const Status status = api->device_count(count);
    ASSERT_TRUE(status != kOk || count > 0);
    if (status != 35) GTEST_SKIP() << "a driver is here: " << status;
  }
};

TEST_F(RealCuda, WithoutADriverNoDeviceIsFound) {
  int count = 7, least = 0, greatest = 0;
  DeviceInfo info;
  std::uint64_t free = 0, total = 0;
  EXPECT_EQ(api->device_count(count), 35);
  EXPECT_EQ(count, 0);
  EXPECT_EQ(api->use_device(0), 35);
  EXPECT_EQ(api->describe(0, info), 35);
  EXPECT_EQ(api->memory(free, total), 35);
  EXPECT_EQ(api->priorities(least, greatest), 35);
  EXPECT_EQ(meaning_of(api->device_count(count)).fault, Fault::no_driver);
}

TEST_F(RealCuda, WithoutADriverThereAreNoParts) {
  SmResource resource;
  std::array<GreenContext, 1> contexts{};
  std::array<int, 1> granted{};
  Stream stream = nullptr;
  EXPECT_FALSE(api->has_green_contexts());
  EXPECT_EQ(api->sm_resource(0, resource), 35);
  EXPECT_EQ(api->make_parts(0, 8, std::array{1}, false, contexts, granted), 35);
  EXPECT_EQ(contexts[0], nullptr);
  int nothing = 0;
  EXPECT_EQ(api->make_stream(reinterpret_cast<GreenContext>(&nothing), 0, stream), 35);
}

TEST_F(RealCuda, WithoutADriverNothingIsMade) {
  Stream stream = nullptr;
  Event event = nullptr;
  void* memory = nullptr;
  std::array<std::byte, 4096> pool{};
  EXPECT_EQ(api->make_stream(nullptr, 0, stream), 35);
  EXPECT_EQ(api->make_event(event), 35);
  EXPECT_EQ(api->device_alloc(4096, memory), 35);
  EXPECT_EQ(memory, nullptr);
  EXPECT_EQ(api->pinned_alloc(4096, memory), 35);
  EXPECT_EQ(api->host_register(pool.data(), pool.size(), true), 35);
  EXPECT_EQ(api->device_view(pool.data(), memory), 35);
  api->host_unregister(pool.data());
  api->device_free(nullptr);
}

TEST_F(RealCuda, NamesErrorsAlsoWithoutADriver) {
  EXPECT_STREQ(api->name_of(700), "cudaErrorIllegalAddress");
  EXPECT_STREQ(api->name_of(35), "cudaErrorInsufficientDriver");
}

}  // namespace
}  // namespace takt::cuda
