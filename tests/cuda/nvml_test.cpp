// nvml: what a table of functions tells becomes a device's health; what it does not tell stays unknown.
#include "cuda/nvml.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace takt::cuda {
namespace {

// What the fake library answers. Plain functions see only globals.
struct World {
  bool starts = true, knows = true, mig = false, instant = true;
  unsigned long long reasons = 0;
  std::vector<unsigned> computing, drawing;
  std::string asked_for;
};
World* world = nullptr;

nvml::Return list(const std::vector<unsigned>& pids, unsigned* count, nvml::Process* processes) {
  const unsigned room = *count;
  *count = static_cast<unsigned>(pids.size());
  if (room < pids.size()) return nvml::kInsufficientSize;
  for (std::size_t i = 0; i < pids.size(); ++i) processes[i].pid = pids[i];
  return 0;
}

NvmlTable table() {
  NvmlTable t;
  t.init = [] { return world->starts ? 0 : 9; };
  t.by_pci = [](const char* pci, nvml::Device* device) -> nvml::Return {
    world->asked_for = pci;
    *device = reinterpret_cast<nvml::Device>(world);
    return world->knows ? 0 : 6;
  };
  t.mig_mode = [](nvml::Device, unsigned* now, unsigned* pending) -> nvml::Return {
    *now = *pending = world->mig;
    return 0;
  };
  t.energy_mj = [](nvml::Device, unsigned long long* mj) -> nvml::Return { return *mj = 123456789012, 0; };
  t.power_mw = [](nvml::Device, unsigned* mw) -> nvml::Return { return *mw = 250000, 0; };
  t.fields = [](nvml::Device, int count, nvml::FieldValue* values) -> nvml::Return {
    if (count != 1 || values[0].field != 186) return 2;
    values[0].status = world->instant ? 0 : 3;
    values[0].type = 1;
    values[0].number = 312500;
    return 0;
  };
  t.utilisation = [](nvml::Device, nvml::Utilisation* u) -> nvml::Return { return *u = {75, 20}, 0; };
  t.clock_mhz = [](nvml::Device, unsigned clock, unsigned* mhz) -> nvml::Return {
    *mhz = clock == 1 ? 1980 : clock == 2 ? 2619 : 0;
    return 0;
  };
  t.temperature = [](nvml::Device, unsigned sensor, unsigned* c) -> nvml::Return {
    return *c = 61, sensor == 0 ? 0 : 2;
  };
  t.slowed_by = [](nvml::Device, unsigned long long* reasons) -> nvml::Return { return *reasons = world->reasons, 0; };
  t.computing = [](nvml::Device, unsigned* n, nvml::Process* p) { return list(world->computing, n, p); };
  t.drawing = [](nvml::Device, unsigned* n, nvml::Process* p) { return list(world->drawing, n, p); };
  return t;
}

struct Nvmls : testing::Test {
  World here;
  NvmlTable t = table();
  Nvmls() { world = &here; }
  ~Nvmls() override { world = nullptr; }
  [[nodiscard]] DeviceHealth sample() const { return Nvml(&t, "0000:65:00.0").sample(); }
};

void expect_unknown(const DeviceHealth& h) {
  EXPECT_EQ(h.energy_mj, -1);
  EXPECT_EQ(h.power_w, -1);
  EXPECT_EQ(h.temperature_c, -1);
  EXPECT_EQ(h.busy, -1);
  EXPECT_EQ(h.clock_mhz, -1);
  EXPECT_EQ(h.memory_clock_mhz, -1);
  EXPECT_EQ(h.others, -1);
  EXPECT_FALSE(h.throttled);
}

TEST_F(Nvmls, TellsTheHealthOfTheDeviceAtThatAddress) {
  const Nvml nvml(&t, "0000:65:00.0");
  const DeviceHealth h = nvml.sample();
  EXPECT_STREQ(nvml.reason(), "");
  EXPECT_EQ(here.asked_for, "0000:65:00.0");
  EXPECT_EQ(h.energy_mj, 123456789012);
  EXPECT_FLOAT_EQ(h.power_w, 312.5f) << "of now, not the average of a second";
  EXPECT_FLOAT_EQ(h.busy, 0.75f);
  EXPECT_EQ(h.clock_mhz, 1980);
  EXPECT_EQ(h.memory_clock_mhz, 2619);
  EXPECT_FLOAT_EQ(h.temperature_c, 61);
}

TEST_F(Nvmls, TakesTheAverageOfPowerWhereThereIsNoOther) {
  here.instant = false;
  EXPECT_FLOAT_EQ(sample().power_w, 250);
  here.instant = true;
  t.fields = nullptr;
  EXPECT_FLOAT_EQ(sample().power_w, 250);
}

TEST_F(Nvmls, IdlenessAndSettingsAreNoThrottling) {
  for (const unsigned long long reason : {0x0, 0x1, 0x2, 0x10, 0x100}) {
    here.reasons = reason;
    EXPECT_FALSE(sample().throttled) << reason;
  }
  for (const unsigned long long reason : {0x4, 0x8, 0x20, 0x40, 0x80, 0x41}) {
    here.reasons = reason;
    EXPECT_TRUE(sample().throttled) << reason;
  }
}

TEST_F(Nvmls, CountsOtherProcessesOnce) {
  here.computing = {11, 12};
  EXPECT_EQ(sample().others, 1);
  here.drawing = {12, 13};
  EXPECT_EQ(sample().others, 2) << "12 computes and draws";
  here.computing = {11};
  here.drawing = {};
  EXPECT_EQ(sample().others, 0) << "one is this process, whatever its number is outside a container";
}

TEST_F(Nvmls, AnEmptyListMeansThatProcessesAreHidden) {
  EXPECT_EQ(sample().others, -1);
}

TEST_F(Nvmls, AsksAgainWhereThereAreManyProcesses) {
  for (unsigned pid = 1; pid <= 300; ++pid) here.computing.push_back(pid);
  EXPECT_EQ(sample().others, 299);
}

TEST_F(Nvmls, AMissingFunctionLeavesItsFieldUnknown) {
  t.energy_mj = nullptr;
  t.temperature = nullptr;
  t.computing = t.drawing = nullptr;
  const DeviceHealth h = sample();
  EXPECT_EQ(h.energy_mj, -1);
  EXPECT_EQ(h.temperature_c, -1);
  EXPECT_EQ(h.others, -1);
  EXPECT_EQ(h.clock_mhz, 1980);
}

TEST_F(Nvmls, AFunctionThatFailsLeavesItsFieldUnknown) {
  t.utilisation = [](nvml::Device, nvml::Utilisation* u) -> nvml::Return { return *u = {50, 50}, 3; };
  t.energy_mj = [](nvml::Device, unsigned long long* mj) -> nvml::Return { return *mj = 5, 3; };
  EXPECT_EQ(sample().busy, -1);
  EXPECT_EQ(sample().energy_mj, -1);
}

TEST_F(Nvmls, ThereIsAReasonWhereNothingIsKnown) {
  const Nvml none(nullptr, "0000:65:00.0");
  EXPECT_NE(std::strstr(none.reason(), "libnvidia-ml.so.1"), nullptr);
  expect_unknown(none.sample());
  const NvmlTable empty;  // another library of that name
  EXPECT_STRNE(Nvml(&empty, "0000:65:00.0").reason(), "");
  here.mig = true;
  const Nvml mig(&t, "0000:65:00.0");
  EXPECT_NE(std::strstr(mig.reason(), "MIG"), nullptr);
  expect_unknown(mig.sample());
  here.knows = false;
  const Nvml unknown(&t, "0000:65:00.0");
  EXPECT_NE(std::strstr(unknown.reason(), "does not know"), nullptr);
  expect_unknown(unknown.sample());
  here.starts = false;
  const Nvml dead(&t, "0000:65:00.0");
  EXPECT_NE(std::strstr(dead.reason(), "could not be started"), nullptr);
  expect_unknown(dead.sample());
}

TEST(NvmlLibrary, MayBeAbsent) {
  const std::unique_ptr<NvmlTable> found = load_nvml();
  const Nvml nvml(found.get(), "ffff:ff:1f.7");  // no such device
  EXPECT_STRNE(nvml.reason(), "");
  expect_unknown(nvml.sample());
}

}  // namespace
}  // namespace takt::cuda
