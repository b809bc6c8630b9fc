// The CUDA driver on a fake GPU that computes with the code that a real one records: answers, depth, faults, memory.
#include "cuda/driver.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "cuda/world.hpp"
#include "offline.hpp"

namespace takt {
namespace {

using std::chrono::microseconds;
using test::Frame;
using test::Gpu;
using test::JobMemory;

std::vector<float> expected_of(const Model& model, std::uint32_t subnet, const Frame& frame) {
  const auto offline = models::Offline::open(model);
  const std::array views{frame.view()};
  return (*(*offline)->run(subnet, views))[0];
}

void expect_near(const std::vector<float>& got, const std::vector<float>& want, float relative) {
  ASSERT_EQ(got.size(), want.size());
  float largest = 0;
  for (const float w : want) largest = std::max(largest, std::abs(w));
  for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], relative * largest) << i;
}

// Jobs with a slot each.
std::vector<JobMemory> jobs_for(const Model& model, const std::vector<Frame>& frames) {
  std::vector<JobMemory> jobs;
  for (const Frame& frame : frames) {
    jobs.emplace_back(model, frame.view());
    jobs.back().slot_number = static_cast<std::uint32_t>(jobs.size() - 1);
  }
  return jobs;
}

Frame picture(PictureFormat format, std::uint32_t width, std::uint32_t height, std::uint32_t seed) {
  Frame frame(format, width, height);
  std::mt19937 random(seed);
  frame.fill_random(random);
  return frame;
}

// A job in two segments of one lane, for tests of depth.
struct TwoSegments {
  explicit TwoSegments(Gpu& gpu) : first(gpu.variant("stage2 1>1.0")), second(gpu.variant("stage3 1.0>1")) {
    in.slot_in_number = 0, in.slot_out_number = 1;
    out.slot_in_number = 1, out.slot_out_number = 2;
  }
  const Variant& first;
  const Variant& second;
  JobIo in, out;
};

TEST(CudaDriver, GivesTheCpusAnswersForEverySubnet) {
  Gpu gpu;
  const auto started = gpu.start();
  ASSERT_TRUE(started) << started.error().text;
  const std::vector<Frame> frames{test::random_picture(1)};
  ASSERT_TRUE(gpu.driver->map_pool(std::as_bytes(std::span(frames[0].bytes)), false));
  for (std::uint32_t subnet = 0; subnet < gpu.model().subnets.size(); ++subnet) {
    std::vector<JobMemory> jobs = jobs_for(gpu.model(), frames);
    const auto ran = test::run_subnet(*gpu.driver, gpu.model(), 0, subnet, jobs);
    ASSERT_TRUE(ran) << ran.error().text;
    expect_near(jobs[0].logits(), expected_of(gpu.model(), subnet, frames[0]), 1e-4F);
    EXPECT_TRUE(jobs[0].guards_untouched());
  }
  EXPECT_EQ(gpu.api->misuses(), std::vector<std::string>{});
}

TEST(CudaDriver, GivesTheCpusAnswersForPicturesOfDifferentSizesInOneBatch) {
  Gpu gpu;
  ASSERT_TRUE(gpu.start());
  const std::vector<Frame> frames{picture(PictureFormat::nv12, 64, 48, 1), picture(PictureFormat::nv12, 40, 36, 2),
                                  picture(PictureFormat::nv12, 64, 48, 3)};
  for (const Frame& frame : frames) ASSERT_TRUE(gpu.driver->map_pool(std::as_bytes(std::span(frame.bytes)), false));
  std::vector<JobMemory> jobs = jobs_for(gpu.model(), frames);
  const auto ran = test::run_subnet(*gpu.driver, gpu.model(), 1, 2, jobs);
  ASSERT_TRUE(ran) << ran.error().text;
  for (std::size_t i = 0; i < frames.size(); ++i)
    expect_near(jobs[i].logits(), expected_of(gpu.model(), 2, frames[i]), 1e-4F);
}

TEST(CudaDriver, TellsOfABatchOfPicturesWhenTheLastOneIsDone) {
  Gpu gpu;
  ASSERT_TRUE(gpu.start());
  const std::vector<Frame> frames{test::random_picture(1), test::random_picture(2), test::random_picture(3)};
  for (const Frame& frame : frames) ASSERT_TRUE(gpu.driver->map_pool(std::as_bytes(std::span(frame.bytes)), false));
  std::vector<JobMemory> jobs = jobs_for(gpu.model(), frames);
  ASSERT_TRUE(test::run_variant(*gpu.driver, gpu.model(), gpu.model().variants[0], jobs));
  EXPECT_EQ(gpu.api->pending(), 0U);
}

TEST(CudaDriver, AnswersEagerlyWhatHasNoGraph) {
  test::GpuOptions options;
  options.keys.batches = {1};
  Gpu gpu(options);
  gpu.engine->allocating.insert(gpu.model().variants.back().name);
  ASSERT_FALSE(gpu.start()) << "the widest last segment is one of those that make a lane ready";

  Gpu other(options);
  const std::vector<Frame> frames{test::random_picture(1), test::random_picture(2), test::random_picture(3)};
  ASSERT_TRUE(other.start());
  for (const Frame& frame : frames) ASSERT_TRUE(other.driver->map_pool(std::as_bytes(std::span(frame.bytes)), false));
  const std::size_t before = other.engine->ran;
  std::vector<JobMemory> jobs = jobs_for(other.model(), frames);
  ASSERT_TRUE(test::run_subnet(*other.driver, other.model(), 0, 3, jobs));
  EXPECT_EQ(other.engine->ran - before, 4U) << "batches of three were not recorded; pictures go one by one";
  for (std::size_t i = 0; i < frames.size(); ++i)
    expect_near(jobs[i].logits(), expected_of(other.model(), 3, frames[i]), 1e-4F);
}

TEST(CudaDriver, IsReadyWithUniformSubnetsAndRecordsTheRestWhileNothingRuns) {
  Gpu gpu;
  gpu.record_all = false;
  ASSERT_TRUE(gpu.start());
  const std::size_t uniform = 2 + 4 * 4;  // forms, and four widths of four segments
  EXPECT_EQ(gpu.engine->captured, uniform);
  TwoSegments job(gpu);
  ASSERT_TRUE(gpu.driver->launch(gpu.launch(job.first, {&job.in, 1})));
  EXPECT_TRUE(gpu.driver->prepare_more(0, Criticality::soft));
  EXPECT_EQ(gpu.engine->captured, uniform) << "not while something runs";
  EXPECT_EQ(gpu.driver->await(kNever), true);
  EXPECT_TRUE(gpu.driver->prepare_more(0, Criticality::soft));
  EXPECT_EQ(gpu.engine->captured, uniform + 1) << "one at a time";
  std::size_t pieces = 1;
  while (gpu.driver->prepare_more(0, Criticality::soft)) ++pieces;
  EXPECT_EQ(gpu.engine->captured, uniform + pieces);
  EXPECT_GT(pieces, 16U);
}

TEST(CudaDriver, ALaneForHardJobsHasAllOfBatchOneAtOnce) {
  Gpu gpu;
  ASSERT_TRUE(gpu.driver->open(0, gpu.config));
  ASSERT_TRUE(gpu.driver->load(gpu.model()));
  ASSERT_TRUE(gpu.driver->make_slots(32768, Gpu::kSlots));
  ASSERT_TRUE(gpu.driver->enter(0, Criticality::hard));
  ASSERT_TRUE(gpu.driver->prepare(0, Criticality::hard));
  const std::size_t ran = gpu.engine->ran;
  for (const Variant& v : gpu.model().variants) {
    if (v.segment == 0 || v.segment + 1U == gpu.model().segments.size()) continue;
    JobIo io;
    io.slot_in_number = 0, io.slot_out_number = 1;
    if (std::none_of(gpu.model().subnets.begin(), gpu.model().subnets.end(), [&](const Subnet& s) {
          return std::any_of(s.path.begin(), s.path.end(),
                             [&](VariantId id) { return &gpu.model().variant(id) == &v; });
        }))
      continue;
    ASSERT_TRUE(gpu.driver->run(gpu.launch(v, {&io, 1})));
  }
  EXPECT_EQ(gpu.engine->ran, ran) << "no subnet of the model runs eagerly";
}

TEST(CudaDriver, AllocatesNothingOnceItIsPrepared) {
  Gpu gpu;
  ASSERT_TRUE(gpu.start());
  const std::vector<Frame> frames{test::random_picture(1)};
  ASSERT_TRUE(gpu.driver->map_pool(std::as_bytes(std::span(frames[0].bytes)), false));
  gpu.api->forbid_allocation();
  const std::size_t ran = gpu.engine->ran;
  std::vector<JobMemory> jobs = jobs_for(gpu.model(), frames);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(test::run_subnet(*gpu.driver, gpu.model(), 0, 3, jobs));
  EXPECT_EQ(gpu.api->misuses(), std::vector<std::string>{});
  EXPECT_EQ(gpu.engine->ran, ran) << "everything had a graph";
}

TEST(CudaDriver, HasTwoLaunchesUnderWayAndTellsOfThemInOrder) {
  Gpu gpu;
  ASSERT_TRUE(gpu.start());
  TwoSegments job(gpu);
  ASSERT_TRUE(gpu.driver->launch(gpu.launch(job.first, {&job.in, 1})));
  ASSERT_TRUE(gpu.driver->launch(gpu.launch(job.second, {&job.out, 1})));
  EXPECT_EQ(gpu.driver->launch(gpu.launch(job.first, {&job.in, 1})).error().code, Code::no_capacity);
  EXPECT_EQ(gpu.api->pending(), 2U) << "both are on the device";
  EXPECT_EQ(gpu.driver->await(kNever), true);
  EXPECT_EQ(gpu.api->pending(), 1U);
  EXPECT_EQ(gpu.driver->await(kNever), true);
  EXPECT_FALSE(gpu.driver->await(kNever)) << "nothing is under way";
}

TEST(CudaDriver, WaitsNoLongerThanItIsTold) {
  Gpu gpu;
  ASSERT_TRUE(gpu.start());
  TwoSegments job(gpu);
  ASSERT_TRUE(gpu.driver->launch(gpu.launch(job.first, {&job.in, 1}, microseconds(500))));
  const Instant until = gpu.api->now() + microseconds(3);
  EXPECT_EQ(gpu.driver->await(until), false);
  EXPECT_LE(gpu.api->now(), until + microseconds(1));
  EXPECT_EQ(gpu.driver->await(kNever), true);
}

TEST(CudaDriver, KeepsTheResultsApartWhenOneGraphIsLaunchedTwice) {
  Gpu gpu;
  ASSERT_TRUE(gpu.start());
  const std::vector<Frame> frames{test::random_picture(1), test::random_picture(2)};
  std::vector<JobMemory> jobs = jobs_for(gpu.model(), frames);
  for (const Frame& frame : frames) ASSERT_TRUE(gpu.driver->map_pool(std::as_bytes(std::span(frame.bytes)), false));
  const Variant& last = gpu.model().variant(gpu.model().subnets[3].path.back());
  const Variant* before[] = {&gpu.model().variants[0], &gpu.model().variant(gpu.model().subnets[3].path[0]),
                             &gpu.model().variant(gpu.model().subnets[3].path[1]),
                             &gpu.model().variant(gpu.model().subnets[3].path[2])};
  for (JobMemory& job : jobs)
    for (const Variant* v : before) ASSERT_TRUE(test::run_variant(*gpu.driver, gpu.model(), *v, {&job, 1}));
  std::array ios{jobs[0].io(gpu.model(), last), jobs[1].io(gpu.model(), last)};
  ASSERT_TRUE(gpu.driver->launch(gpu.launch(last, std::span(ios).subspan(0, 1))));
  ASSERT_TRUE(gpu.driver->launch(gpu.launch(last, std::span(ios).subspan(1, 1))));
  EXPECT_EQ(gpu.driver->await(kNever), true);
  EXPECT_EQ(gpu.driver->await(kNever), true);
  for (std::size_t i = 0; i < 2; ++i) expect_near(jobs[i].logits(), expected_of(gpu.model(), 3, frames[i]), 1e-4F);
}

TEST(CudaDriver, BindsSlotsOnlyWhenTheyChange) {
  Gpu gpu;
  ASSERT_TRUE(gpu.start());
  TwoSegments job(gpu);
  const auto run = [&] { ASSERT_TRUE(gpu.driver->run(gpu.launch(job.first, {&job.in, 1}))); };
  run();
  const std::size_t once = gpu.api->calls("set_copy");
  run();
  EXPECT_EQ(gpu.api->calls("set_copy"), once);
  job.in.slot_out_number = 3;
  run();
  EXPECT_EQ(gpu.api->calls("set_copy"), once + 1);
}

TEST(CudaDriver, RefusesWhatDoesNotFitAndTouchesNothing) {
  Gpu gpu;
  ASSERT_TRUE(gpu.start());
  TwoSegments job(gpu);
  const std::size_t launches = gpu.api->calls("launch");
  const auto refused = [&](const Launch& launch) { return !gpu.driver->launch(launch); };
  JobIo beyond = job.in;
  beyond.slot_out_number = Gpu::kSlots;
  EXPECT_TRUE(refused(gpu.launch(job.first, {&beyond, 1})));
  EXPECT_TRUE(refused(gpu.launch(job.first, {})));
  std::array<JobIo, kMaxBatch + 1> many;
  many.fill(job.in);
  EXPECT_TRUE(refused(gpu.launch(job.first, many)));
  JobIo empty;
  EXPECT_TRUE(refused(gpu.launch(gpu.model().variants[0], {&empty, 1}))) << "no picture";
  const test::SmallModel stranger(2);
  Launch foreign = gpu.launch(job.first, {&job.in, 1});
  foreign.model = &stranger.model();
  EXPECT_TRUE(refused(foreign));
  EXPECT_EQ(gpu.api->calls("launch"), launches);
}

TEST(CudaDriver, EndsTheProcessForAStickyErrorAndForNoOther) {
  Gpu gpu;
  ASSERT_TRUE(gpu.start());
  TwoSegments job(gpu);
  gpu.api->fail("launch", 2);
  const auto out_of_memory = gpu.driver->launch(gpu.launch(job.first, {&job.in, 1}));
  ASSERT_FALSE(out_of_memory);
  EXPECT_EQ(out_of_memory.error().code, Code::no_memory);
  EXPECT_EQ(test::ended_by, cuda::kOk);
  EXPECT_TRUE(gpu.driver->run(gpu.launch(job.first, {&job.in, 1}))) << "the next one runs";

  gpu.api->fault_work(700);
  ASSERT_TRUE(gpu.driver->launch(gpu.launch(job.first, {&job.in, 1})));
  EXPECT_FALSE(gpu.driver->await(kNever));
  EXPECT_EQ(test::ended_by, 700);
}

TEST(CudaDriver, GivesUpWaitingForWorkThatNeverEndsWhenToldTo) {
  Gpu gpu;
  ASSERT_TRUE(gpu.start());
  TwoSegments job(gpu);
  gpu.api->hang_work();
  ASSERT_TRUE(gpu.driver->launch(gpu.launch(job.first, {&job.in, 1})));
  EXPECT_EQ(gpu.driver->await(gpu.api->now() + std::chrono::milliseconds(20)), false);
  EXPECT_EQ(test::ended_by, cuda::kOk) << "that is the broker's to decide";
}

TEST(CudaDriver, SaysWhyWithoutADriver) {
  test::GpuOptions options;
  options.machine.driver = false;
  Gpu gpu(options);
  const auto started = gpu.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().vendor, 35);
  EXPECT_EQ(test::ended_by, cuda::kOk);
}

TEST(CudaDriver, DividesTheDeviceAndReportsWhatWasGranted) {
  Gpu gpu;
  const auto critical = gpu.driver->open(0, {.name = "critical", .sms = 32, .others = {0}});
  ASSERT_TRUE(critical) << critical.error().text;
  EXPECT_EQ(critical->sms, 32);
  const auto bulk = gpu.driver->open(1, {.name = "bulk", .sms = 0, .others = {32}});
  ASSERT_TRUE(bulk);
  EXPECT_EQ(bulk->sms, 100) << "12 groups of 8, and the 4 that the split leaves over";
  EXPECT_FALSE(gpu.driver->open(2, {.name = "late", .sms = 8})) << "the device is divided already";
  EXPECT_FALSE(gpu.driver->open(3, {.name = "elsewhere", .unit = 1}));
  EXPECT_FALSE(gpu.driver->open(3, {.name = "other", .precision = Precision::single}));
}

TEST(CudaDriver, ReportsAGrantThatIsNotWhatWasAskedFor) {
  Gpu gpu;
  gpu.api->set_grants({24});
  const auto opened = gpu.driver->open(0, {.name = "critical", .sms = 32});
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->sms, 24);
  EXPECT_NE(opened->note.find("24"), std::string::npos) << opened->note;
}

TEST(CudaDriver, WarnsWhereTheDeviceCannotBeDivided) {
  test::GpuOptions options;
  options.machine.green_contexts = false;
  Gpu gpu(options);
  const auto opened = gpu.driver->open(0, {.name = "critical", .sms = 32, .others = {0}});
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->sms, 132);
  EXPECT_NE(opened->note, "");
}

TEST(CudaDriver, SharesADeviceThatWillNotBeDivided) {
  for (const char* const call : {"sm_resource", "make_parts"}) {
    Gpu gpu;
    gpu.api->fail(call, 801);
    const auto opened = gpu.driver->open(0, {.name = "critical", .sms = 32, .others = {0}});
    ASSERT_TRUE(opened) << call;
    EXPECT_EQ(opened->sms, 132);
    EXPECT_NE(opened->note, "");
  }
}

TEST(CudaDriver, RegistersPoolsOfFramesAndLetsThemGo) {
  Gpu gpu;
  ASSERT_TRUE(gpu.start());
  const std::size_t before = gpu.api->registered();
  std::vector<std::byte> memory(4096);
  ASSERT_TRUE(gpu.driver->map_pool(memory, false));
  EXPECT_EQ(gpu.api->registered(), before + 1);
  gpu.driver->unmap_pool(memory);
  EXPECT_EQ(gpu.api->registered(), before);
  gpu.api->fail("host_register", 801);
  EXPECT_FALSE(gpu.driver->map_pool(memory, false));
  gpu.driver->unmap_pool(memory);
  EXPECT_EQ(gpu.api->misuses(), std::vector<std::string>{});
  EXPECT_EQ(test::ended_by, cuda::kOk);
}

TEST(CudaDriver, TellsOfAllocationsWhileItServes) {
  Gpu gpu;
  ASSERT_TRUE(gpu.start());
  EXPECT_EQ(gpu.driver->health(0)->late_allocations, 0);
  gpu.engine->counts_.allocations += 2;
  EXPECT_EQ(gpu.driver->health(0)->late_allocations, 2);
}

TEST(CudaDriver, RefusesSlotsThatTheDeviceHasNoRoomFor) {
  Gpu gpu;
  ASSERT_TRUE(gpu.driver->open(0, gpu.config));
  EXPECT_EQ(gpu.driver->make_slots(std::uint64_t{1} << 30, 1000).error().code, Code::no_memory);
  EXPECT_TRUE(gpu.driver->make_slots(32768, 8)) << "less fits";
}

}  // namespace
}  // namespace takt
