// takt-exec as the broker sees it: attach, run, recall, fail politely, and outlive the broker.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sysexits.h>

#include <memory>
#include <set>
#include <sstream>
#include <thread>

#include "executor/null_models.hpp"
#include "live/child_process.hpp"
#include "models/temporary_folder.hpp"
#include "support/fake_broker.hpp"
#include "takt/tensor.hpp"

namespace takt::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::RunStatus;

constexpr std::uint32_t kFrames = 3, kResults = 4;
constexpr std::uint64_t kArea = 1024;  // of a job in either pool

// A broker, one executor process, two pools, the chain model.
class ExecutorProcess : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string socket_ = folder_ / "exec.sock";
  std::unique_ptr<FakeBroker> broker_ = std::make_unique<FakeBroker>(socket_);
  std::unique_ptr<FakeSession> session_;
  FakePool frames_{64 * kArea}, results_{64 * kArea};
  live::ChildProcess child_;

  void TearDown() override {
    if (!child_.running()) return;
    child_.signal(SIGKILL);
    wait_end();
  }

  void start(std::vector<std::string> more = {}, std::vector<std::string> environment = {}) {
    std::vector<std::string> arguments{"--device", "test0", "--socket",     socket_,
                                       "--driver", "null",  "--driver-dir", TAKT_DRIVERS};
    arguments.insert(arguments.end(), more.begin(), more.end());
    environment.emplace_back("TSAN_OPTIONS=halt_on_error=1");
    child_ = must(live::ChildProcess::start({TAKT_EXEC, std::move(arguments), std::move(environment)}));
  }
  std::optional<live::ChildEnd> wait_end() {
    pollfd end{.fd = child_.pidfd(), .events = POLLIN, .revents = 0};
    return ::poll(&end, 1, 30'000) == 1 ? child_.reap() : std::nullopt;
  }

  // A new session up to the point where models are loaded.
  wire::ExecutorHello connect(std::uint64_t generation = 1) {
    const std::optional<wire::ExecutorHello> hello = broker_->accept();
    if (!hello) throw std::runtime_error("no executor came");
    session_ = std::make_unique<FakeSession>(generation);
    broker_->attach(*session_);
    EXPECT_EQ(broker_->open_accelerator("acc0").failed, 0);
    return *hello;
  }
  void run(const std::string& model, std::uint32_t first_variant = 0) {
    EXPECT_EQ(broker_->load_model(model, first_variant).failed, 0);
    EXPECT_EQ(broker_->map_pool(kFrames, frames_, wire::PoolKind::frames).failed, 0);
    EXPECT_EQ(broker_->map_pool(kResults, results_, wire::PoolKind::results).failed, 0);
    EXPECT_EQ(broker_->start_workers().failed, 0);
  }
  void start_chain(const std::string& middle = "middle") {
    start();
    connect();
    run(write_model(folder_ / "chain", chain_model("chain", middle)));
  }

  void describe(std::uint32_t job, std::uint64_t tag) {
    wire::JobRecord& record = session_->job(job);
    record = {};
    record.inputs = 1;
    record.input[0] = {
        .dtype = DType::f32, .rank = 1, .pool = kFrames, .offset = job * kArea, .bytes = 256, .dims = {64}};
    record.result_pool = kResults;
    record.result_offset = job * kArea;
    record.result_bytes = kArea;
    std::memcpy(frames_.memory.data() + job * kArea, &tag, sizeof(tag));
  }
  std::uint64_t tag_of_result(std::uint32_t job) {
    ResultHeader header;
    std::memcpy(&header, results_.memory.data() + job * kArea, sizeof(header));
    EXPECT_EQ(header.count, 1U);
    EXPECT_EQ(header.tensors[0].bytes, 40U);
    std::uint64_t tag = 0;
    std::memcpy(&tag, results_.memory.data() + job * kArea + header.tensors[0].offset, sizeof(tag));
    return tag;
  }
  // Segment `k` of the chain for one job, through slot `job`.
  static FakeSession::Start segment(std::uint32_t k, std::uint32_t job, Duration time = {},
                                    std::uint32_t first_variant = 0) {
    return {.variant = first_variant + k,
            .first = k == 0,
            .last = k == 2,
            .expected = time,
            .jobs = {{.job = job, .slot_in = k == 0 ? wire::kNoSlot : job, .slot_out = k == 2 ? wire::kNoSlot : job}}};
  }
  RunStatus complete(std::uint64_t sequence, std::size_t lane = 1) {
    const auto done = session_->wait_completion(lane);
    if (!done) throw std::runtime_error("no completion");
    EXPECT_EQ(done->sequence, sequence);
    return done->status;
  }
};

TEST_F(ExecutorProcess, SaysWhoItIsAndRunsAFrame) {
  start();
  const wire::ExecutorHello hello = connect();
  EXPECT_EQ(wire::text_of(hello.device), "test0");
  EXPECT_EQ(wire::text_of(hello.driver), "null");
  EXPECT_EQ(hello.pid, child_.pid());
  EXPECT_EQ(hello.models, 0U);
  run(write_model(folder_ / "chain", chain_model("chain")));
  describe(5, 0x0123456789abcdef);
  for (std::uint32_t k = 0; k < 3; ++k) session_->post(k + 1, segment(k, 5));
  for (std::uint32_t k = 0; k < 3; ++k) EXPECT_EQ(complete(k + 1), RunStatus::ok);
  EXPECT_EQ(tag_of_result(5), 0x0123456789abcdefU);
}

TEST_F(ExecutorProcess, OnADeviceActivationsStayThereAndTheSharedSlotsAreNotMapped) {
  start({}, {"TAKT_NULL_DEVICE=1"});
  const std::optional<wire::ExecutorHello> hello = broker_->accept();
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->shares_slots, 0);
  session_ = std::make_unique<FakeSession>();
  broker_->attach(*session_);
  EXPECT_EQ(broker_->open_accelerator("gpu0").sms, 128U);
  run(write_model(folder_ / "chain", chain_model("chain")));
  describe(5, 0x0123456789abcdef);
  const auto health = broker_->receive<wire::DeviceHealth>();
  ASSERT_TRUE(health);
  EXPECT_EQ(health->power_w, 100);
  for (std::uint32_t k = 0; k < 3; ++k) session_->post(k + 1, segment(k, 5, milliseconds(1)));
  for (std::uint32_t k = 0; k < 3; ++k) EXPECT_EQ(complete(k + 1), RunStatus::ok);
  EXPECT_EQ(tag_of_result(5), 0x0123456789abcdefU);
  std::stringstream maps;
  maps << std::ifstream("/proc/" + std::to_string(child_.pid()) + "/maps").rdbuf();
  EXPECT_NE(maps.str().find("test-board"), std::string::npos);
  EXPECT_EQ(maps.str().find("test-slots"), std::string::npos) << "it has no use for them";
}

TEST_F(ExecutorProcess, RunsABatchEachJobWithItsOwnFrame) {
  start_chain();
  FakeSession::Start first = segment(0, 0), middle = segment(1, 0), last = segment(2, 0);
  for (std::uint32_t job = 0; job < 16; ++job) {
    describe(job, 1000 + job);
    const float metric = 0.25F * static_cast<float>(job);
    std::memcpy(frames_.memory.data() + job * kArea, &metric, sizeof(metric));
  }
  for (FakeSession::Start* s : {&first, &middle, &last}) {
    s->jobs.clear();
    for (std::uint32_t job = 0; job < 16; ++job) s->jobs.push_back({.job = job, .slot_in = job, .slot_out = job});
  }
  session_->post(1, first);
  session_->post(2, middle);
  session_->post(3, last);
  EXPECT_EQ(complete(1), RunStatus::ok);
  EXPECT_EQ(complete(2), RunStatus::ok);
  const auto done = session_->wait_completion();
  ASSERT_TRUE(done);
  ASSERT_EQ(done->count, 16U);
  for (std::uint32_t job = 0; job < 16; ++job) {
    EXPECT_EQ(done->metrics[job][0], 0.25F * static_cast<float>(job));
    std::uint64_t tag = 0;
    std::memcpy(&tag, frames_.memory.data() + job * kArea, sizeof(tag));
    EXPECT_EQ(tag_of_result(job), tag);
  }
}

TEST_F(ExecutorProcess, WhatWasRecalledNeverRuns) {
  start_chain();
  describe(1, 1);
  describe(2, 2);
  session_->post(1, segment(0, 1, milliseconds(60)));
  session_->post(2, segment(0, 2));
  session_->post(4, segment(0, 2));
  EXPECT_TRUE(session_->starts().recall(4));
  EXPECT_TRUE(session_->starts().recall(2));
  session_->post(5, segment(0, 2));
  EXPECT_EQ(complete(1), RunStatus::ok);
  EXPECT_EQ(complete(5), RunStatus::ok);
  EXPECT_FALSE(session_->wait_completion(1, milliseconds(50)));
}

TEST_F(ExecutorProcess, BothLanesWorkAtTheSameTime) {
  start_chain();
  describe(1, 1);
  describe(2, 2);
  session_->post(1, segment(0, 1, milliseconds(200)), 1);
  session_->post(1, segment(0, 2), 0);
  EXPECT_EQ(complete(1, 0), RunStatus::ok);
  EXPECT_EQ(session_->starts(1).unfinished(), 1U);
  EXPECT_EQ(complete(1, 1), RunStatus::ok);
}

TEST_F(ExecutorProcess, NonsenseCompletesAsFailedAndTheNextFrameRuns) {
  start_chain();
  describe(1, 77);
  wire::JobRecord& broken = session_->job(2);
  const auto broken_frame = [&](auto&& spoil) {
    describe(2, 0);
    spoil(broken);
    return segment(0, 2);
  };
  std::uint64_t sequence = 0;
  const auto fails = [&](const FakeSession::Start& start) {
    session_->post(++sequence, start);
    return complete(sequence) == RunStatus::failed;
  };
  EXPECT_TRUE(fails(broken_frame([](auto& r) { r.input[0].offset = ~std::uint64_t{0}; })));
  EXPECT_TRUE(fails(broken_frame([](auto& r) { r.input[0].bytes = 1ULL << 50; })));
  EXPECT_TRUE(fails(broken_frame([](auto& r) { r.input[0].pool = 12345; })));
  EXPECT_TRUE(fails(broken_frame([](auto& r) { r.inputs = 8; })));
  EXPECT_TRUE(fails({.variant = 4'000'000'000U}));
  FakeSession::Start wild = segment(1, 1);
  wild.jobs[0].slot_in = 1'000'000;
  EXPECT_TRUE(fails(wild));
  for (std::uint32_t k = 0; k < 3; ++k) {
    session_->post(++sequence, segment(k, 1));
    EXPECT_EQ(complete(sequence), RunStatus::ok);
  }
  EXPECT_EQ(tag_of_result(1), 77U);
}

TEST_F(ExecutorProcess, AFailingSegmentFailsOnlyItsLaunch) {
  start_chain("fail");
  describe(1, 1);
  session_->post(1, segment(0, 1));
  session_->post(2, segment(1, 1));
  session_->post(3, segment(0, 1));
  EXPECT_EQ(complete(1), RunStatus::ok);
  EXPECT_EQ(complete(2), RunStatus::failed);
  EXPECT_EQ(complete(3), RunStatus::ok);
}

TEST_F(ExecutorProcess, AModelThatCannotBeLoadedIsToldAndTheNextOneIs) {
  start();
  connect();
  const wire::Ready missing = broker_->load_model(folder_ / "none");
  EXPECT_EQ(missing.failed, 1);
  EXPECT_NE(wire::text_of(missing.text).find("none"), std::string_view::npos);
  const wire::Ready large = broker_->load_model(write_model(folder_ / "large", chain_model("large", "middle", "9999")));
  EXPECT_EQ(large.failed, 1);
  EXPECT_NE(wire::text_of(large.text).find("slot"), std::string_view::npos);
  run(write_model(folder_ / "chain", chain_model("chain")));
}

TEST_F(ExecutorProcess, PoolsThatCouldShrinkAreRefusedAndUnmappedOnesAreGone) {
  start_chain();
  wire::MapPool m{};
  m.bytes = 4096;
  const live::FileDescriptor unsealed(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(unsealed.get(), 4096), 0);
  const int fd = unsealed.get();
  broker_->send(m, wire::ExecutorOp::map_pool, 9, {&fd, 1});
  EXPECT_EQ(broker_->answer().failed, 1);
  EXPECT_EQ(broker_->unmap_pool(kFrames).failed, 0);
  EXPECT_EQ(broker_->unmap_pool(kFrames).failed, 1);
  describe(1, 1);
  session_->post(1, segment(0, 1));
  EXPECT_EQ(complete(1), RunStatus::failed);
}

TEST_F(ExecutorProcess, OutlivesTheBrokerAndServesTheNextGeneration) {
  start_chain();
  describe(1, 11);
  session_->post(1, segment(0, 1, milliseconds(100)));
  session_->post(2, segment(0, 1));
  while (session_->memory().lanes[0][1].start.entries[0].word.load() == wire::entry_word(1, wire::EntryState::posted))
    std::this_thread::yield();
  const std::unique_ptr<FakeSession> old = std::move(session_);
  broker_->hang_up();
  const wire::ExecutorHello hello = connect(2);
  EXPECT_EQ(hello.pid, child_.pid());
  ASSERT_EQ(hello.models, 1U);
  EXPECT_EQ(wire::text_of(hello.held[0]), "chain");
  // The running segment ended, into the old memory; the posted one was dropped.
  ASSERT_TRUE(old->wait_completion());
  EXPECT_TRUE(old->starts().recall(2));
  // Other numbers than before: the variants and pools of this generation.
  run(folder_ / "chain", 40);
  describe(2, 22);
  for (std::uint32_t k = 0; k < 3; ++k) session_->post(k + 1, segment(k, 2, {}, 40));
  for (std::uint32_t k = 0; k < 3; ++k) EXPECT_EQ(complete(k + 1), RunStatus::ok);
  EXPECT_EQ(tag_of_result(2), 22U);
}

TEST_F(ExecutorProcess, AttachesToAGenerationOnlyOnce) {
  start();
  connect();
  broker_->attach(*session_);
  EXPECT_TRUE(broker_->wait_hang_up());
}

TEST_F(ExecutorProcess, GivesUpABrokerThatTalksNonsense) {
  start();
  ASSERT_TRUE(broker_->accept());
  broker_->send(wire::LoadModel{}, wire::ExecutorOp::load_model, 0);  // before attach
  EXPECT_TRUE(broker_->wait_hang_up());
  ASSERT_TRUE(broker_->accept());
  broker_->send(wire::Attach{}, wire::ExecutorOp::attach, 0);  // without memory
  EXPECT_TRUE(broker_->wait_hang_up());
  ASSERT_TRUE(broker_->accept());
  session_ = std::make_unique<FakeSession>(1);
  session_->memory().generation = 2;
  wire::Attach m{};
  m.generation = 1;
  m.board_jobs = ~std::uint64_t{0};
  broker_->send(m, wire::ExecutorOp::attach, 0, session_->descriptors());
  EXPECT_TRUE(broker_->wait_hang_up());
}

TEST_F(ExecutorProcess, OtherSettingsOfAnOpenAcceleratorAreRefused) {
  start_chain();
  broker_->hang_up();
  connect(2);
  EXPECT_EQ(broker_->open_accelerator("acc0", std::chrono::microseconds(50)).failed, 1);
  EXPECT_EQ(broker_->open_accelerator("acc0").failed, 0);
}

TEST_F(ExecutorProcess, QuitsWhenWhatWasPostedIsDone) {
  start_chain();
  describe(1, 1);
  session_->post(1, segment(0, 1, milliseconds(30)));
  session_->post(2, segment(0, 1));
  broker_->quit();
  EXPECT_EQ(complete(1), RunStatus::ok);
  EXPECT_EQ(complete(2), RunStatus::ok);
  const auto end = wait_end();
  ASSERT_TRUE(end);
  EXPECT_FALSE(end->killed);
  EXPECT_EQ(end->code, EX_OK);
}

TEST_F(ExecutorProcess, EndsOnSigtermAfterTheRunningLaunch) {
  start_chain();
  describe(1, 1);
  session_->post(1, segment(0, 1, milliseconds(100)));
  while (session_->memory().lanes[0][1].start.entries[0].word.load() == wire::entry_word(1, wire::EntryState::posted))
    std::this_thread::yield();
  child_.signal(SIGTERM);
  const auto end = wait_end();
  ASSERT_TRUE(end);
  EXPECT_FALSE(end->killed);
  EXPECT_EQ(end->code, EX_OK);
  EXPECT_EQ(complete(1), RunStatus::ok);
}

TEST_F(ExecutorProcess, EndsOnSigtermWithoutABroker) {
  broker_.reset();
  start();
  std::this_thread::sleep_for(milliseconds(50));
  child_.signal(SIGTERM);
  const auto end = wait_end();
  ASSERT_TRUE(end);
  // A signal before it is blocked kills it plainly: either is an end.
  EXPECT_EQ(end->code, end->killed ? SIGTERM : EX_OK);
}

TEST_F(ExecutorProcess, GivesUpWithoutABrokerAfterLinger) {
  broker_.reset();
  start({"--linger", "100ms"});
  const auto end = wait_end();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->code, EX_UNAVAILABLE);
}

TEST_F(ExecutorProcess, GivesUpALaunchThatNeverEndsAfterLinger) {
  start({"--linger", "100ms"});
  connect();
  run(write_model(folder_ / "chain", chain_model("chain", "hang")));
  describe(1, 1);
  session_->post(1, segment(1, 1));
  while (session_->memory().lanes[0][1].start.entries[0].word.load() == wire::entry_word(1, wire::EntryState::posted))
    std::this_thread::yield();
  broker_->hang_up();
  const auto end = wait_end();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->code, EX_SOFTWARE);
}

TEST_F(ExecutorProcess, EndsItselfWhenALaunchNeverEnds) {
  start();
  connect();
  run(write_model(folder_ / "chain", chain_model("chain", "hang")));
  describe(1, 1);
  session_->post(1, segment(1, 1));
  const auto end = wait_end();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->code, EX_SOFTWARE);
}

// Descriptors and mappings of our memory that the process holds.
std::pair<std::ptrdiff_t, std::ptrdiff_t> holdings(pid_t pid) {
  const std::filesystem::path process = "/proc/" + std::to_string(pid);
  const std::ptrdiff_t fds = std::distance(std::filesystem::directory_iterator(process / "fd"), {});
  std::ifstream maps(process / "maps");
  std::ptrdiff_t mapped = 0;
  for (std::string line; std::getline(maps, line);) mapped += line.find("memfd:test-") != std::string::npos;
  return {fds, mapped};
}

TEST_F(ExecutorProcess, ReconnectingLeaksNothing) {
  start_chain();
  const auto before = holdings(child_.pid());
  EXPECT_EQ(before.second, 5);  // rings, board, slots, two pools
  for (std::uint64_t generation = 2; generation < 12; ++generation) {
    broker_->hang_up();
    connect(generation);
    run(folder_ / "chain");
  }
  EXPECT_EQ(holdings(child_.pid()), before);
}

TEST_F(ExecutorProcess, RealTimeWorkersAreFifoAndNormalOnesNot) {
  start();
  ASSERT_TRUE(broker_->accept());
  session_ = std::make_unique<FakeSession>();
  broker_->attach(*session_);
  ASSERT_EQ(broker_->open_accelerator("acc0", {}, 5).failed, 0);
  const wire::Ready ready = broker_->start_workers();
  ASSERT_EQ(ready.failed, 0);
  if (ready.realtime == 0) {
    EXPECT_NE(wire::text_of(ready.text).find("SCHED_FIFO"), std::string_view::npos);
  }
  std::set<std::string> seen;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(child_.pid()) + "/task")) {
    std::string name;
    std::getline(std::ifstream(thread.path() / "comm"), name);
    seen.insert(name);
    const bool fifo = ::sched_getscheduler(std::stoi(thread.path().filename())) == (SCHED_FIFO | SCHED_RESET_ON_FORK);
    EXPECT_EQ(fifo, name == "acc0:rt" && ready.realtime != 0) << name;
  }
  EXPECT_TRUE(seen.contains("acc0:rt") && seen.contains("acc0:normal"));
}

TEST_F(ExecutorProcess, AfterAKillANewOneServesTheNextGeneration) {
  start_chain();
  describe(1, 1);
  session_->post(1, segment(0, 1, seconds(30)));
  child_.signal(SIGKILL);
  EXPECT_TRUE(broker_->wait_hang_up());
  ASSERT_TRUE(wait_end());
  start();
  EXPECT_EQ(connect(2).models, 0U);
  run(folder_ / "chain");
  describe(1, 5);
  for (std::uint32_t k = 0; k < 3; ++k) session_->post(k + 1, segment(k, 1));
  for (std::uint32_t k = 0; k < 3; ++k) EXPECT_EQ(complete(k + 1), RunStatus::ok);
  EXPECT_EQ(tag_of_result(1), 5U);
}

TEST_F(ExecutorProcess, ACrashIsSeenAsAHangUp) {
  start_chain("crash");
  describe(1, 1);
  session_->post(1, segment(1, 1));
  EXPECT_TRUE(broker_->wait_hang_up());
  const auto end = wait_end();
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->killed);
  EXPECT_EQ(end->code, SIGABRT);
}

TEST_F(ExecutorProcess, ASecondOneForTheSameDeviceEndsAtOnce) {
  const std::string lock = folder_ / "test0.lock";
  start({"--lock", lock});
  connect();
  live::ChildProcess first = std::move(child_);
  start({"--lock", lock});
  const auto end = wait_end();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->code, EX_TEMPFAIL);
  child_ = std::move(first);
}

TEST_F(ExecutorProcess, WrongArgumentsAreAUsageError) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{},
        {"--driver", "null"},
        {"--driver", "null", "--device", "x"},
        {"--driver", "null", "--device", "x", "--socket", "y", "--linger", "soon"},
        {"--driver", "null", "--profile", "x", "--model", "y", "--accelerator", "cores=0"}}) {
    child_ = must(live::ChildProcess::start({TAKT_EXEC, arguments, {}}));
    const auto end = wait_end();
    ASSERT_TRUE(end);
    EXPECT_EQ(end->code, EX_USAGE) << arguments.size();
  }
}

}  // namespace
}  // namespace takt::test
