// What a session asks of the driver, in which order, and what of its answers the broker hears.
#include "executor/session.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "executor/in_process.hpp"
#include "live/unix_socket.hpp"
#include "models/temporary_folder.hpp"
#include "wire/decode.hpp"

namespace takt::executor {
namespace {

using std::chrono::seconds;

// Writes down what it is asked for; a device that keeps activations and measures itself.
class TellingDriver final : public Driver {
 public:
  [[nodiscard]] DriverCaps caps() const noexcept override { return {Preemption::queued, false, 2}; }
  [[nodiscard]] Result<Opened> open(std::uint32_t, const AcceleratorConfig& config) override {
    note("open");
    asked = config;
    return Opened{114, "120 were asked for"};
  }
  [[nodiscard]] Result<void> load(const Model&) override {
    note("load");
    return {};
  }
  [[nodiscard]] Result<void> make_slots(std::uint64_t bytes, std::uint32_t count) override {
    note("make_slots");
    slot_bytes = bytes;
    slots = count;
    return slots_result;
  }
  [[nodiscard]] Result<void> map_pool(std::span<const std::byte> memory, bool results) override {
    note(results ? "map results" : "map frames");
    seen = memory;
    return map_result;
  }
  void unmap_pool(std::span<const std::byte> memory) noexcept override {
    note("unmap");
    touched = touched && memory.data() == seen.data() && memory.front() == std::byte{0};  // it is still there
  }
  [[nodiscard]] Result<DeviceHealth> health(std::uint32_t) override {
    if (!measures) return fail(Code::unsupported, "nothing");
    DeviceHealth h;
    h.power_w = 75;
    h.others = 3;
    h.late_allocations = 0;
    return h;
  }
  [[nodiscard]] Result<void> enter(std::uint32_t, Criticality) override { return {}; }
  [[nodiscard]] Result<void> prepare(std::uint32_t, Criticality worker) override {
    note("prepare");
    return worker == Criticality::hard ? prepare_result : Result<void>{};
  }
  [[nodiscard]] Result<void> run(const Launch&) noexcept override { return {}; }

  void note(const char* what) {
    const std::lock_guard lock(mutex);
    asked_for.emplace_back(what);
  }
  std::mutex mutex;
  std::vector<std::string> asked_for;
  AcceleratorConfig asked;
  std::uint64_t slot_bytes = 0;
  std::uint32_t slots = 0;
  std::span<const std::byte> seen;
  bool touched = true, measures = false;
  Result<void> slots_result, map_result, prepare_result;
};

class SessionWithABroker : public ::testing::Test {
 protected:
  test::TemporaryFolder folder_;
  test::FakeBroker broker_{folder_ / "exec.sock"};
  test::FakeSession shared_;
  TellingDriver* driver_ = new TellingDriver;  // the device's
  Device device_{std::unique_ptr<Driver>(driver_)};
  std::optional<Session> session_;

  void SetUp() override { connect(); }
  void TearDown() override {
    device_.stop(Worker::Stop::now);
    ASSERT_TRUE(device_.wait_idle(live::monotonic_now() + seconds(20)));
  }
  void connect() {
    session_.emplace(device_, test::must(live::connect_to(folder_ / "exec.sock")));
    ASSERT_TRUE(session_->greet("gpu0", "cuda"));
    const auto hello = broker_.accept();
    ASSERT_TRUE(hello);
    EXPECT_EQ(hello->shares_slots, 0);
    broker_.attach(shared_);
    ASSERT_EQ(session_->receive(), Session::Next::go_on);
  }
  template <class T>
  wire::Ready ask(const T& message, wire::ExecutorOp op, std::uint32_t number, std::span<const int> descriptors = {}) {
    broker_.send(message, op, number, descriptors);
    EXPECT_EQ(session_->receive(), Session::Next::go_on);
    return broker_.answer();
  }
  wire::Ready open() {
    wire::OpenAccelerator m{};
    m.unit = 1;
    m.sms = 120;
    m.others = 2;
    m.other_sms = {8, 0};
    m.precision = 0;
    wire::set_text(m.name, "gpu0");
    return ask(m, wire::ExecutorOp::accelerator, 0);
  }
  wire::Ready start() { return ask(wire::ExecutorSimple{}, wire::ExecutorOp::start_workers, 0); }
  wire::Ready map(std::uint32_t number, const test::FakePool& pool, wire::PoolKind kind) {
    wire::MapPool m{};
    m.kind = kind;
    m.bytes = pool.memory.size();
    const int fd = pool.fd.get();
    return ask(m, wire::ExecutorOp::map_pool, number, {&fd, 1});
  }
};

TEST_F(SessionWithABroker, OpensAPartOfAUnitAndSaysWhatWasGranted) {
  for (int session = 0; session < 2; ++session) {  // the second one opens what is open
    const wire::Ready ready = open();
    EXPECT_EQ(ready.failed, 0);
    EXPECT_EQ(ready.sms, 114U);
    EXPECT_EQ(wire::text_of(ready.text), "120 were asked for");
    session_.reset();
    connect();
  }
  EXPECT_EQ(driver_->asked.unit, 1);
  EXPECT_EQ(driver_->asked.sms, 120);
  EXPECT_EQ(driver_->asked.others, (std::vector<int>{8, 0}));
  EXPECT_EQ(driver_->asked.precision, Precision::single);
  EXPECT_EQ(driver_->asked_for, (std::vector<std::string>{"open"}));
}

TEST_F(SessionWithABroker, MakesSlotsBetweenOpeningAndPreparing) {
  ASSERT_EQ(open().failed, 0);
  ASSERT_EQ(start().failed, 0);
  EXPECT_EQ(driver_->slots, test::FakeSession::kSlots);
  EXPECT_EQ(driver_->slot_bytes, test::FakeSession::kSlotBytes);
  EXPECT_EQ(driver_->asked_for, (std::vector<std::string>{"open", "make_slots", "prepare", "prepare"}));
}

TEST_F(SessionWithABroker, TellsOfSlotsThatCannotBeMade) {
  driver_->slots_result = fail(Code::no_memory, "no room for slots");
  ASSERT_EQ(open().failed, 0);
  const wire::Ready ready = start();
  EXPECT_EQ(ready.failed, 1);
  EXPECT_NE(wire::text_of(ready.text).find("no room for slots"), std::string_view::npos);
}

TEST_F(SessionWithABroker, TellsOfAWorkerThatCannotPrepareAndStopsTheOthers) {
  driver_->prepare_result = fail(Code::no_memory, "no room for graphs");
  ASSERT_EQ(open().failed, 0);
  const wire::Ready ready = start();
  EXPECT_EQ(ready.failed, 1);
  EXPECT_NE(wire::text_of(ready.text).find("no room for graphs"), std::string_view::npos);
  EXPECT_TRUE(device_.wait_idle(live::monotonic_now() + seconds(20)));
}

TEST_F(SessionWithABroker, TellsTheDriverOfPoolsAsLongAsTheyAreThere) {
  const test::FakePool frames(4096), results(4096);
  EXPECT_EQ(map(3, frames, wire::PoolKind::frames).failed, 0);
  EXPECT_EQ(driver_->seen.size(), 4096U);
  EXPECT_EQ(ask(wire::ExecutorSimple{}, wire::ExecutorOp::unmap_pool, 3).failed, 0);
  EXPECT_EQ(ask(wire::ExecutorSimple{}, wire::ExecutorOp::unmap_pool, 3).failed, 1);
  driver_->map_result = fail(Code::unsupported, "it cannot");
  EXPECT_EQ(map(4, results, wire::PoolKind::results).failed, 0) << "it copies then";
  session_.reset();
  EXPECT_EQ(driver_->asked_for, (std::vector<std::string>{"map frames", "unmap", "map results", "unmap"}));
  EXPECT_TRUE(driver_->touched);
}

TEST_F(SessionWithABroker, TellsEverySecondHowTheDeviceIs) {
  driver_->measures = true;
  ASSERT_EQ(open().failed, 0);
  const Instant now = live::monotonic_now();
  EXPECT_EQ(session_->tell_health(now), kNever) << "before it serves there is nothing to tell";
  ASSERT_EQ(start().failed, 0);
  EXPECT_EQ(session_->tell_health(now), now + seconds(1));
  const auto told = broker_.receive<wire::DeviceHealth>();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->power_w, 75);
  EXPECT_EQ(told->others, 3);
  EXPECT_EQ(told->late_allocations, 0);
  EXPECT_EQ(told->pace, -1) << "nothing ran";
  EXPECT_EQ(session_->tell_health(now + seconds(1) / 2), now + seconds(1)) << "it is not due";
  EXPECT_FALSE(broker_.pending());
  EXPECT_EQ(session_->tell_health(now + seconds(1)), now + seconds(2));
  EXPECT_TRUE(broker_.pending());
}

TEST_F(SessionWithABroker, TellsNothingWhereNothingIsMeasured) {
  ASSERT_EQ(open().failed, 0);
  ASSERT_EQ(start().failed, 0);
  EXPECT_EQ(session_->tell_health(live::monotonic_now()), kNever);
  EXPECT_FALSE(broker_.pending());
}

}  // namespace
}  // namespace takt::executor
