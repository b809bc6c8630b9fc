// Profiling: every variant at every batch size once, on inputs that fit, and a profile the broker can read.
#include "executor/profiler.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <set>
#include <thread>

#include "executor/null_models.hpp"
#include "executor/sample_data.hpp"
#include "files/model_file.hpp"
#include "files/profile_file.hpp"
#include "models/temporary_folder.hpp"
#include "wire/decode.hpp"

namespace takt::executor {
namespace {

using std::chrono::microseconds;

// Checks that each launch has what its segment must have, and that activations come from the right segment and width.
class CheckingDriver final : public Driver {
 public:
  [[nodiscard]] DriverCaps caps() const noexcept override { return {}; }
  [[nodiscard]] Result<Opened> open(std::uint32_t, const AcceleratorConfig&) override { return Opened{}; }
  [[nodiscard]] Result<void> load(const Model&) override { return {}; }
  [[nodiscard]] Result<void> enter(std::uint32_t, Criticality) override { return {}; }
  [[nodiscard]] Result<void> run(const Launch& launch) noexcept override {
    ++launches;
    const Variant& v = *launch.variant;
    const bool last = v.segment + 1U == launch.model->segments.size();
    for (const JobIo& job : launch.jobs) {
      wrong += (v.segment == 0) != (job.slot_in == nullptr) || (v.segment == 0) == job.inputs.empty();
      wrong += last != (job.slot_out == nullptr) || last != (job.metrics != nullptr);
      wrong += last && job.result.size() != launch.model->result_bytes();
      for (const TensorView& input : job.inputs) wrong += !wire::check_tensor(*input.desc, ~std::uint64_t{0} >> 1);
      if (job.slot_in != nullptr) wrong += width(job.slot_in) != v.width_in && v.width_in >= 0;
      if (job.slot_out != nullptr) {
        const std::int16_t out = v.width_out >= 0 || job.slot_in == nullptr ? v.width_out : width(job.slot_in);
        std::memcpy(job.slot_out, &out, sizeof(out));
      }
      if (last) seen_widths.insert(width(job.slot_in));
    }
    largest = std::max(largest, launch.jobs.size());
    return {};
  }
  static std::int16_t width(const std::byte* slot) {
    std::int16_t w = 0;
    std::memcpy(&w, slot, sizeof(w));
    return w;
  }

  int launches = 0, wrong = 0;
  std::size_t largest = 0;
  std::set<std::int16_t> seen_widths;
};

TEST(Profiler, MeasuresEveryVariantAtEveryBatchInChainOrder) {
  const test::TemporaryFolder folder;
  const ProfileOptions options{.model = test::write_model(folder / "pictures", test::picture_model("pictures")),
                               .output = folder / "profile.xml",
                               .driver_name = "null",
                               .accelerator = {.name = "cpu0", .cores = {0}, .threads = 1},
                               .batches = {1, 2, 4},
                               .time = microseconds(1)};
  CheckingDriver driver;
  ASSERT_EQ(run_profile(options, driver), 0);
  EXPECT_EQ(driver.wrong, 0);
  EXPECT_EQ(driver.largest, 4U);
  EXPECT_EQ(driver.seen_widths, (std::set<std::int16_t>{0, 1}));

  const Parsed<files::Profile> profile = files::read_profile(folder / "profile.xml");
  ASSERT_TRUE(profile) << profile.error().to_string();
  const Parsed<Model> model = files::read_model(folder / "pictures", VariantId{0U});
  ASSERT_TRUE(model);
  EXPECT_EQ(profile->rows.size(), model->variants.size() * 3);
  CostTable costs(1, model->variants.size());
  const Parsed<void> applied = files::apply_profile(*profile, *model, AcceleratorId{0U}, 0, costs);
  EXPECT_TRUE(applied) << applied.error().to_string();
  EXPECT_GE(driver.launches, static_cast<int>(profile->rows.size()) * 30);
}

// As CheckingDriver, but activations are its own: what each slot holds was written by the segment before, at its width.
class SlotDriver final : public Driver {
 public:
  [[nodiscard]] DriverCaps caps() const noexcept override { return {Preemption::queued, false, 2}; }
  [[nodiscard]] Result<Opened> open(std::uint32_t, const AcceleratorConfig&) override { return Opened{}; }
  [[nodiscard]] Result<void> load(const Model&) override { return {}; }
  [[nodiscard]] Result<void> make_slots(std::uint64_t bytes, std::uint32_t slots) override {
    slot_bytes = bytes;
    held.assign(slots, {-1, -1});
    return {};
  }
  [[nodiscard]] Result<void> enter(std::uint32_t, Criticality) override { return {}; }
  [[nodiscard]] Result<void> prepare(std::uint32_t, Criticality) override {
    prepared = true;
    return {};
  }
  [[nodiscard]] Result<void> map_pool(std::span<const std::byte> memory, bool) override {
    known.insert(memory.data());
    return {};
  }
  void unmap_pool(std::span<const std::byte> memory) noexcept override { known.erase(memory.data()); }
  [[nodiscard]] Result<DeviceHealth> health(std::uint32_t) override {
    DeviceHealth h;
    h.energy_mj = launches / 4;
    return h;
  }
  [[nodiscard]] Result<void> run(const Launch& launch) noexcept override {
    ++launches;
    if (launches % 16 == 0) std::this_thread::sleep_for(microseconds(100));
    const Variant& v = *launch.variant;
    const bool last = v.segment + 1U == launch.model->segments.size();
    if (first_of != launch.variant || batch != launch.jobs.size()) fastest = Duration{0};
    first_of = launch.variant, batch = launch.jobs.size();
    wrong += fastest != Duration{0} && launch.expected <= Duration{0};  // once it ran it is known how long it takes
    fastest = launch.expected > Duration{0} ? launch.expected : Duration{1};
    wrong += (v.segment == 0 || last) == known.empty();  // clients' memory is told of, and only that
    std::set<std::uint32_t> written;
    for (const JobIo& job : launch.jobs) {
      wrong += job.slot_in != nullptr || job.slot_out != nullptr || !prepared;
      wrong += (v.segment == 0) != (job.slot_in_number == kNoSlotNumber);
      wrong += last != (job.slot_out_number == kNoSlotNumber);
      int width = v.width_in;
      if (v.segment > 0) {
        const Held& in = held.at(job.slot_in_number);
        wrong += in.segment + 1 != v.segment || (v.width_in >= 0 && in.width != v.width_in);
        width = in.width;
      }
      if (last) continue;
      wrong += !written.insert(job.slot_out_number).second;
      held.at(job.slot_out_number) = {v.segment, v.width_out >= 0 ? v.width_out : width};
    }
    return {};
  }
  struct Held {
    int segment = -1, width = -1;
  };
  std::vector<Held> held;
  std::set<const void*> known;
  const Variant* first_of = nullptr;
  std::size_t batch = 0;
  Duration fastest{};
  std::uint64_t slot_bytes = 0;
  std::atomic<int> launches = 0;
  int wrong = 0;
  bool prepared = false;
};

TEST(Profiler, FeedsADriverThatKeepsActivationsBySlotNumberAndWritesEnergies) {
  const test::TemporaryFolder folder;
  const ProfileOptions options{.model = test::write_model(folder / "chain", test::chain_model("chain")),
                               .output = folder / "profile.xml",
                               .driver_name = "null",
                               .accelerator = {.name = "gpu0"},
                               .batches = {1, 4},
                               .time = microseconds(1),
                               .energy = std::chrono::milliseconds(800)};
  SlotDriver driver;
  ASSERT_EQ(run_profile(options, driver), 0);
  EXPECT_EQ(driver.wrong, 0);
  EXPECT_TRUE(driver.known.empty());
  EXPECT_GE(driver.slot_bytes, 64U);
  const Parsed<files::Profile> profile = files::read_profile(folder / "profile.xml");
  ASSERT_TRUE(profile) << profile.error().to_string();
  ASSERT_EQ(profile->rows.size(), 6U);
  for (const auto& row : profile->rows) EXPECT_NEAR(static_cast<double>(row.energy_nj), 250'000, 50'000);
}

TEST(Profiler, KeepsWidthsApartInSlots) {
  const test::TemporaryFolder folder;
  const ProfileOptions options{.model = test::write_model(folder / "pictures", test::picture_model("pictures")),
                               .output = folder / "profile.xml",
                               .driver_name = "null",
                               .accelerator = {.name = "gpu0"},
                               .batches = {1, 16},
                               .time = microseconds(1),
                               .energy = Duration{0}};
  SlotDriver driver;
  ASSERT_EQ(run_profile(options, driver), 0);
  EXPECT_EQ(driver.wrong, 0);
  const Parsed<files::Profile> profile = files::read_profile(folder / "profile.xml");
  ASSERT_TRUE(profile);
  for (const auto& row : profile->rows) EXPECT_EQ(row.energy_nj, 0U);
}

TEST(Profiler, AModelThatCannotBeReadIsNotProfiled) {
  const test::TemporaryFolder folder;
  CheckingDriver driver;
  const ProfileOptions options{.model = folder / "none", .output = folder / "p.xml", .accelerator = {.name = "a"}};
  EXPECT_NE(run_profile(options, driver), 0);
  EXPECT_FALSE(std::filesystem::exists(folder / "p.xml"));
}

TEST(Quantile, IsTheNearestRank) {
  std::vector<Duration> samples;
  for (int i = 1; i <= 100; ++i) samples.emplace_back(i);
  EXPECT_EQ(quantile(samples, 0.5), Duration{50});
  EXPECT_EQ(quantile(samples, 0.99), Duration{99});
  EXPECT_EQ(quantile({Duration{5}}, 0.99), Duration{5});
}

TEST(SampleData, FloatsAreOrdinaryNumbers) {
  const Parsed<Model> model = files::parse_model(test::chain_model("chain"), "model.xml", "/nowhere", VariantId{0U});
  ASSERT_TRUE(model);
  const std::vector<TensorDesc> inputs = frame_descriptors(*model, nullptr);
  std::vector<std::byte> frame(frame_bytes(inputs));
  std::mt19937_64 random(3);
  fill_frame(inputs, frame, random);
  for (std::size_t i = 0; i < 64; ++i) {
    float value = 0;
    std::memcpy(&value, frame.data() + i * sizeof(value), sizeof(value));
    EXPECT_GE(value, 0.5F);
    EXPECT_LT(value, 1.0F);
  }
}

}  // namespace
}  // namespace takt::executor
