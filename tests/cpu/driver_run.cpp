// The driver module as an executor holds it.
#include "cpu/driver_run.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>

namespace takt::test {

std::unique_ptr<Driver> make_cpu_driver() {
  void* const module = ::dlopen(TAKT_BINARY_DIR "/lib/takt-driver-cpu.so", RTLD_NOW | RTLD_LOCAL);
  const auto* const entry =
      module == nullptr ? nullptr : static_cast<const DriverEntry*>(::dlsym(module, kDriverSymbol));
  if (entry == nullptr || entry->abi != kDriverAbi) {
    ADD_FAILURE() << "no usable takt-driver-cpu.so: " << (module == nullptr ? ::dlerror() : "wrong symbol");
    return nullptr;
  }
  return entry->make();
}

std::unique_ptr<Driver> make_ready_driver(const Model& model) {
  std::unique_ptr<Driver> driver = make_cpu_driver();
  if (!driver) return nullptr;
  const auto opened = driver->open(0, {.name = "cpu0", .cores = {}, .threads = 1});
  EXPECT_TRUE(opened) << opened.error().text;
  const auto loaded = driver->load(model);
  EXPECT_TRUE(loaded) << loaded.error().text;
  const auto entered = driver->enter(0, Criticality::soft);
  EXPECT_TRUE(entered) << entered.error().text;
  return driver;
}

namespace {

std::size_t slot_bytes(const Model& model) {
  std::uint64_t most = 0;
  for (const Segment& segment : model.segments) most = std::max(most, segment.activation_bytes);
  return most;
}

}  // namespace

JobMemory::JobMemory(const Model& model, const TensorView& input)
    : frame(input), slot(slot_bytes(model) + kGuardBytes, kGuard), result(model.result_bytes() + kGuardBytes, kGuard) {}

JobIo JobMemory::io(const Model& model, const Variant& variant) {
  const bool first = variant.segment == 0, last = variant.segment + std::size_t{1} == model.segments.size();
  JobIo job;
  if (first) job.inputs = {&frame, 1};
  if (!first) job.slot_in = slot.data();
  if (!last) job.slot_out = slot.data();
  if (last) job.result = std::span(result).first(model.result_bytes());
  if (last) job.metrics = metrics.data();
  if (!first) job.slot_in_number = slot_number;
  if (!last) job.slot_out_number = slot_number;
  return job;
}

bool JobMemory::guards_untouched() const {
  const auto untouched = [](const std::vector<std::byte>& memory) {
    return std::all_of(memory.end() - kGuardBytes, memory.end(), [](std::byte b) { return b == kGuard; });
  };
  return untouched(slot) && untouched(result);
}

std::vector<float> JobMemory::logits() const {
  ResultHeader header;
  std::memcpy(&header, result.data(), sizeof(header));
  std::vector<float> values(100);
  EXPECT_EQ(header.count, 1U);
  EXPECT_EQ(header.tensors[0].bytes, 400U);
  EXPECT_EQ(header.tensors[0].dtype, DType::f32);
  EXPECT_EQ(header.tensors[0].rank, 1);
  EXPECT_EQ(header.tensors[0].dims[0], 100U);
  EXPECT_EQ(header.tensors[0].offset % kResultAlignment, 0U);
  if (header.tensors[0].offset + 400 <= result.size())
    std::memcpy(values.data(), result.data() + header.tensors[0].offset, 400);
  return values;
}

Result<void> run_variant(Driver& driver, const Model& model, const Variant& variant, std::span<JobMemory> jobs) {
  std::vector<JobIo> ios;
  for (JobMemory& job : jobs) ios.push_back(job.io(model, variant));
  return driver.run({.accelerator = 0, .model = &model, .variant = &variant, .jobs = ios});
}

Result<void> run_subnet(Driver& driver, const Model& model, std::size_t form, std::uint32_t subnet,
                        std::span<JobMemory> jobs) {
  if (const auto ran = run_variant(driver, model, model.variant(model.forms[form].variant), jobs); !ran) return ran;
  for (const VariantId id : model.subnets[subnet].path)
    if (const auto ran = run_variant(driver, model, model.variant(id), jobs); !ran) return ran;
  return {};
}

Frame random_picture(std::uint32_t seed) {
  std::mt19937 random(seed);
  Frame frame(PictureFormat::rgb, 32, 32);
  frame.fill_random(random);
  return frame;
}

}  // namespace takt::test
