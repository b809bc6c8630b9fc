// The null driver: what other tests and benchmarks rely on.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "executor/driver_module.hpp"
#include "executor/null_models.hpp"
#include "files/model_file.hpp"
#include "live/monotonic_clock.hpp"
#include "takt/driver.hpp"

namespace takt::test {
namespace {

using std::chrono::milliseconds;

// A driver made while `name` has `value` in the environment.
std::unique_ptr<Driver> make_driver(const char* name = "TAKT_NULL_MODE", const char* value = "sleep") {
  ::setenv(name, value, 1);
  auto driver = executor::load_driver("null", TAKT_DRIVERS);
  ::unsetenv(name);
  return std::move(*driver);
}

Model parse(const std::string& xml) {
  return *files::parse_model(xml, "model.xml", "/nowhere", VariantId{0U});
}

// One job through every variant in turn, as far as a chain goes; slots of exactly the size the model asks for.
struct Chain {
  Model model;
  std::vector<std::byte> frame, result;
  std::vector<std::vector<std::byte>> slots;
  TensorDesc desc;
  std::array<float, kMaxMetrics> metrics{};

  explicit Chain(const std::string& xml) : model(parse(xml)), result(model.result_bytes()) {
    for (const Segment& segment : model.segments) slots.emplace_back(segment.activation_bytes);
  }
  Result<void> run(Driver& driver, std::size_t k, Duration expected = {}) {
    const TensorView view{&desc, frame.data()};
    JobIo job;
    if (k == 0) job.inputs = {&view, 1};
    if (k > 0) job.slot_in = slots[k - 1].data();
    if (k + 1 < model.segments.size()) job.slot_out = slots[k].data();
    if (k + 1 == model.segments.size()) {
      job.result = result;
      job.metrics = metrics.data();
    }
    return driver.run({0, &model, &model.variants[k], expected, {&job, 1}});
  }
  void give(DType dtype, std::vector<std::byte> bytes) {
    frame = std::move(bytes);
    desc = {.dtype = dtype, .rank = 1, .bytes = frame.size(), .dims = {static_cast<std::uint32_t>(frame.size())}};
  }
  std::uint64_t tag() const {
    ResultHeader header;
    std::memcpy(&header, result.data(), sizeof(header));
    std::uint64_t tag = 0;
    std::memcpy(&tag, result.data() + header.tensors[0].offset, sizeof(tag));
    return tag;
  }
};

TEST(NullDriver, CarriesTheFirstBytesOfTheFrameIntoAWellFormedResult) {
  const auto driver = make_driver();
  Chain chain(chain_model("chain"));
  chain.give(DType::u8, {std::byte{51}, std::byte{2}, std::byte{3}, std::byte{4}, std::byte{5}, std::byte{6},
                         std::byte{7}, std::byte{8}, std::byte{9}});
  for (std::size_t k = 0; k < 3; ++k) ASSERT_TRUE(chain.run(*driver, k));
  EXPECT_EQ(chain.tag(), 0x0807060504030233U);
  EXPECT_FLOAT_EQ(chain.metrics[0], 0.2F);
  ResultHeader header;
  std::memcpy(&header, chain.result.data(), sizeof(header));
  EXPECT_EQ(header.count, 1U);
  EXPECT_EQ(header.tensors[0].dtype, DType::f32);
  EXPECT_EQ(header.tensors[0].dims[0], 10U);
  EXPECT_EQ(header.tensors[0].offset % kResultAlignment, 0U);
  EXPECT_LE(header.tensors[0].offset + header.tensors[0].bytes, chain.result.size());
}

TEST(NullDriver, TakesTheFirstFloatAsMetric) {
  const auto driver = make_driver();
  Chain chain(chain_model("chain"));
  const std::array<float, 2> values{0.375F, 9.0F};
  chain.give(DType::f32, {std::as_bytes(std::span(values)).begin(), std::as_bytes(std::span(values)).end()});
  for (std::size_t k = 0; k < 3; ++k) ASSERT_TRUE(chain.run(*driver, k));
  EXPECT_EQ(chain.metrics[0], 0.375F);
}

TEST(NullDriver, KeepsInsideActivationsAndFramesOfAnySize) {
  const auto driver = make_driver("TAKT_NULL_READ", "1");
  for (const char* bytes : {"0", "1", "7", "9", "13"}) {
    Chain chain(chain_model("chain", "middle", bytes));
    for (const std::size_t frame : {0UL, 1UL, 3UL, 9UL, 100UL}) {
      chain.give(DType::u8, std::vector<std::byte>(frame, std::byte{7}));
      for (std::size_t k = 0; k < 3; ++k) EXPECT_TRUE(chain.run(*driver, k)) << bytes << " " << frame;
    }
  }
}

TEST(NullDriver, TakesAtLeastTheExpectedTimeSleepingOrSpinning) {
  for (const char* mode : {"sleep", "spin"}) {
    const auto driver = make_driver("TAKT_NULL_MODE", mode);
    Chain chain(chain_model("chain"));
    chain.give(DType::u8, std::vector<std::byte>(8));
    const Instant begin = live::monotonic_now();
    ASSERT_TRUE(chain.run(*driver, 0, milliseconds(5)));
    EXPECT_GE(live::monotonic_now() - begin, milliseconds(5)) << mode;
  }
}

TEST(NullDriver, NoiseStaysWithinItsShare) {
  const auto driver = make_driver("TAKT_NULL_NOISE", "0.1");
  Chain chain(chain_model("chain"));
  chain.give(DType::u8, std::vector<std::byte>(8));
  for (int i = 0; i < 20; ++i) {
    const Instant begin = live::monotonic_now();
    ASSERT_TRUE(chain.run(*driver, 0, milliseconds(1)));
    EXPECT_GE(live::monotonic_now() - begin, std::chrono::microseconds(900));
  }
}

TEST(NullDevice, QueuesTwoLaunchesAndEndsThemByTheClockInOrder) {
  const auto driver = make_driver("TAKT_NULL_DEVICE", "1");
  EXPECT_FALSE(driver->caps().shares_slots);
  EXPECT_EQ(driver->caps().depth, 2);
  ASSERT_TRUE(driver->make_slots(64, 4));
  Chain chain(chain_model("chain"));
  chain.give(DType::u8, std::vector<std::byte>(8, std::byte{5}));
  const TensorView view{&chain.desc, chain.frame.data()};
  std::array<JobIo, 3> jobs;
  jobs[0].inputs = {&view, 1};
  jobs[0].slot_out_number = jobs[1].slot_in_number = 2;
  jobs[1].slot_out_number = jobs[2].slot_in_number = 3;
  jobs[2].result = chain.result;
  std::array<Launch, 3> launches;
  for (std::size_t k = 0; k < 3; ++k)
    launches[k] = {0, &chain.model, &chain.model.variants[k], milliseconds(4), {&jobs[k], 1}};
  const Instant begin = live::monotonic_now();
  ASSERT_TRUE(driver->launch(launches[0]));
  ASSERT_TRUE(driver->launch(launches[1]));
  EXPECT_FALSE(driver->launch(launches[2])) << "its queue is full";
  EXPECT_EQ(driver->await(begin), false);
  EXPECT_EQ(driver->await(kNever), true);
  EXPECT_GE(live::monotonic_now() - begin, milliseconds(4));
  ASSERT_TRUE(driver->launch(launches[2]));
  EXPECT_EQ(driver->await(kNever), true);
  EXPECT_EQ(driver->await(kNever), true);
  EXPECT_GE(live::monotonic_now() - begin, milliseconds(12));
  EXPECT_EQ(chain.tag(), 0x0505050505050505U);
  EXPECT_FALSE(driver->await(kNever)) << "nothing is under way";
}

TEST(NullDevice, GrantsWhatItHasAndSaysSo) {
  const auto driver = make_driver("TAKT_NULL_DEVICE", "1");
  EXPECT_EQ(driver->open(0, {.sms = 32})->sms, 32);
  EXPECT_EQ(driver->open(0, {})->sms, 128);
  const auto less = driver->open(0, {.sms = 1000});
  EXPECT_EQ(less->sms, 128);
  EXPECT_NE(less->note.find("1000"), std::string::npos);
  const auto before = driver->health(0);
  ASSERT_TRUE(before);
  EXPECT_GT(before->energy_mj, 0);
  EXPECT_FALSE(make_driver()->health(0));
}

TEST(NullDriver, FailsWhereTheSegmentSaysSo) {
  const auto driver = make_driver();
  Chain chain(chain_model("chain", "fail_here"));
  chain.give(DType::u8, std::vector<std::byte>(8));
  EXPECT_TRUE(chain.run(*driver, 0));
  EXPECT_FALSE(chain.run(*driver, 1));
  EXPECT_TRUE(chain.run(*driver, 2));
}

}  // namespace
}  // namespace takt::test
