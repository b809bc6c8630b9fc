// Validation of what executors and the broker tell each other: good ones pass unchanged, each way of being wrong is
// refused.
#include "wire/executor_decode.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "wire/decode.hpp"
#include "wire/rings.hpp"

namespace takt::wire {
namespace {

using Op = ExecutorOp;

template <class T>
T message(Op op) {
  T m{};
  m.header = {.op = op, .bytes = sizeof m, .number = 3};
  return m;
}

template <class T>
Result<T> round(const T& m) {
  std::vector<std::byte> bytes(sizeof m);
  std::memcpy(bytes.data(), &m, sizeof m);
  return decode_executor<T>(bytes);
}

// That `m` is good, and that it is refused with this code after `change`.
template <class T, class Change>
void expect_refused(T m, const Change& change, Code code = Code::invalid_argument) {
  const auto before = round(m);
  ASSERT_TRUE(before) << before.error().text;
  change(m);
  const auto after = round(m);
  ASSERT_FALSE(after);
  EXPECT_EQ(after.error().code, code) << after.error().text;
  EXPECT_STRNE(after.error().text, "");
}

OpenAccelerator open_accelerator() {
  auto m = message<OpenAccelerator>(Op::accelerator);
  m.unit = 2;
  m.sms = 32;
  m.others = 1;
  m.other_sms[0] = 96;
  set_text(m.name, "gpu0");
  return m;
}

Ready ready() {
  auto m = message<Ready>(Op::ready);
  m.about = Op::accelerator;
  m.sms = 114;
  set_text(m.text, "120 were asked for");
  return m;
}

DeviceHealth health() {
  auto m = message<DeviceHealth>(Op::device_health);
  m.energy_mj = 12;
  m.power_w = 250.5F;
  m.busy = 1;
  m.pace = 1.25F;
  return m;
}

TEST(ExecutorDecode, PassesGoodMessagesUnchanged) {
  const auto open = round(open_accelerator());
  ASSERT_TRUE(open) << open.error().text;
  EXPECT_EQ(open->unit, 2U);
  EXPECT_EQ(open->sms, 32U);
  EXPECT_EQ(open->other_sms[0], 96U);
  EXPECT_EQ(open->precision, 1) << "half, unless something else is said";
  const auto answered = round(ready());
  ASSERT_TRUE(answered) << answered.error().text;
  EXPECT_EQ(answered->sms, 114U);
  EXPECT_EQ(text_of(answered->text), "120 were asked for");
  const auto healthy = round(health());
  ASSERT_TRUE(healthy) << healthy.error().text;
  EXPECT_EQ(healthy->power_w, 250.5F);
  EXPECT_EQ(healthy->temperature_c, -1);
  EXPECT_TRUE(round(message<ExecutorHello>(Op::hello)));
  EXPECT_TRUE(round(message<Attach>(Op::attach)));
  EXPECT_TRUE(round(message<LoadModel>(Op::load_model)));
  EXPECT_TRUE(round(message<MapPool>(Op::map_pool)));
  for (const Op op : {Op::unmap_pool, Op::start_workers, Op::quit}) EXPECT_TRUE(round(message<ExecutorSimple>(op)));
}

TEST(ExecutorDecode, RefusesFramingAndOtherVersions) {
  expect_refused(
      ready(), [](auto& m) { m.header.magic ^= 1; }, Code::corrupt);
  expect_refused(
      ready(), [](auto& m) { m.header.major = 1; }, Code::unsupported);
  expect_refused(
      ready(), [](auto& m) { m.header.bytes -= 1; }, Code::corrupt);
  expect_refused(
      ready(), [](auto& m) { m.header.op = Op::quit; }, Code::corrupt);
  expect_refused(
      message<ExecutorSimple>(Op::quit), [](auto& m) { m.header.op = Op::hello; }, Code::corrupt);
  EXPECT_FALSE(check_executor_header({}));
  auto m = ready();
  m.header.bytes = sizeof(Ready) - 8;
  EXPECT_FALSE(decode_executor<Ready>(std::as_bytes(std::span(&m, 1)).first(sizeof(Ready) - 8)));
}

TEST(ExecutorDecode, RefusesAcceleratorsOutOfRange) {
  const auto refused = [](auto change) { expect_refused(open_accelerator(), change); };
  refused([](auto& m) { m.header.number = kMaxExecutorAccelerators; });
  refused([](auto& m) { m.threads = 0; });
  refused([](auto& m) { m.threads = 65; });
  refused([](auto& m) { m.cores = 65; });
  refused([](auto& m) { m.realtime_worker = 2; });
  refused([](auto& m) { m.precision = 2; });
  refused([](auto& m) { m.unit = kMaxUnit + 1; });
  refused([](auto& m) { m.sms = kMaxSms + 1; });
  refused([](auto& m) { m.others = kMaxExecutorAccelerators; });
  refused([](auto& m) { m.other_sms[14] = kMaxSms + 1; });
  refused([](auto& m) { m.reserved[5] = 1; });
  refused([](auto& m) { m.name.fill('x'); });
}

TEST(ExecutorDecode, RefusesAnswersToNothingAndAbsurdGrants) {
  const auto refused = [](auto change) { expect_refused(ready(), change); };
  refused([](auto& m) { m.about = Op::hello; });
  refused([](auto& m) { m.about = Op::quit; });
  refused([](auto& m) { m.failed = 2; });
  refused([](auto& m) { m.realtime = 2; });
  refused([](auto& m) { m.sms = kMaxSms + 1; });
  refused([](auto& m) { m.reserved[0] = 1; });
  refused([](auto& m) { m.text.fill('x'); });
}

TEST(ExecutorDecode, RefusesHealthThatCannotBe) {
  const auto refused = [](auto change) { expect_refused(health(), change); };
  refused([](auto& m) { m.header.number = kMaxExecutorAccelerators; });
  refused([](auto& m) { m.energy_mj = -2; });
  refused([](auto& m) { m.power_w = std::numeric_limits<float>::quiet_NaN(); });
  refused([](auto& m) { m.temperature_c = std::numeric_limits<float>::infinity(); });
  refused([](auto& m) { m.busy = 1.5F; });
  refused([](auto& m) { m.pace = -0.5F; });
  refused([](auto& m) { m.clock_mhz = -2; });
  refused([](auto& m) { m.memory_clock_mhz = -2; });
  refused([](auto& m) { m.others = -2; });
  refused([](auto& m) { m.late_allocations = -2; });
  refused([](auto& m) { m.throttled = 2; });
  refused([](auto& m) { m.reserved[2] = 1; });
}

TEST(ExecutorDecode, RefusesTheOtherMessagesOutOfRange) {
  expect_refused(message<ExecutorHello>(Op::hello), [](auto& m) { m.shares_slots = 2; });
  expect_refused(message<ExecutorHello>(Op::hello), [](auto& m) { m.preemption = 3; });
  expect_refused(message<ExecutorHello>(Op::hello), [](auto& m) { m.held[15].fill('x'); });
  expect_refused(message<ExecutorHello>(Op::hello), [](auto& m) { m.reserved[0] = 1; });
  expect_refused(message<LoadModel>(Op::load_model), [](auto& m) { m.directory.fill('x'); });
  expect_refused(message<LoadModel>(Op::load_model), [](auto& m) { m.reserved = 1; });
  expect_refused(message<MapPool>(Op::map_pool), [](auto& m) { m.kind = static_cast<PoolKind>(9); });
}

// Flips bytes of good messages: whatever is still accepted is in range.
TEST(ExecutorDecode, AcceptsOnlyWhatIsInRangeAfterMutations) {
  std::mt19937_64 random(5);
  int accepted = 0, refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto h = health();
    auto o = open_accelerator();
    auto* const bytes = reinterpret_cast<unsigned char*>(&h);
    auto* const more = reinterpret_cast<unsigned char*>(&o);
    const std::size_t framing = sizeof(ExecutorHeader) - sizeof(std::uint32_t);  // the number behind it may change
    bytes[framing + random() % (sizeof h - framing)] = static_cast<unsigned char>(random());
    more[framing + random() % (sizeof o - framing)] = static_cast<unsigned char>(random());
    if (const auto good = round(h)) {
      ++accepted;
      ASSERT_TRUE(good->header.number < kMaxExecutorAccelerators && good->busy <= 1 && std::isfinite(good->power_w));
    } else {
      ++refused;
    }
    if (const auto good = round(o)) {
      ASSERT_TRUE(good->header.number < kMaxExecutorAccelerators && good->cores <= good->core.size());
      ASSERT_TRUE(good->others <= good->other_sms.size() && good->sms <= kMaxSms && good->precision <= 1);
    }
  }
  EXPECT_GT(accepted, 100);
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace takt::wire
