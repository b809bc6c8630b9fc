// Asking NVML.
#include "cuda/nvml.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <set>
#include <vector>

namespace takt::cuda {
namespace {

// Bits of "clocks event reasons" that mean less speed than wanted: power cap, hardware slow-down, heat (software,
// hardware), power brake. The others are settings or idleness.
constexpr unsigned long long kThrottled = 0x4 | 0x8 | 0x20 | 0x40 | 0x80;

template <class Function>
void find(void* library, Function*& function, const char* name, const char* older = nullptr) noexcept {
  void* found = ::dlsym(library, name);
  if (found == nullptr && older != nullptr) found = ::dlsym(library, older);
  function = reinterpret_cast<Function*>(found);
}

// Adds the processes that `list` names; false if it could not be asked.
bool add_processes(nvml::Return (*list)(nvml::Device, unsigned*, nvml::Process*), nvml::Device device,
                   std::set<unsigned>& pids) {
  if (list == nullptr) return false;
  std::vector<nvml::Process> processes(64);
  auto count = static_cast<unsigned>(processes.size());
  nvml::Return status = list(device, &count, processes.data());
  if (status == nvml::kInsufficientSize) {
    processes.resize(std::size_t{count} * 2);  // some may have come meanwhile
    count = static_cast<unsigned>(processes.size());
    status = list(device, &count, processes.data());
  }
  if (status != 0) return false;
  processes.resize(std::min<std::size_t>(count, processes.size()));
  for (const nvml::Process& process : processes) pids.insert(process.pid);
  return true;
}

}  // namespace

std::unique_ptr<NvmlTable> load_nvml() {
  void* const library = ::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  auto table = std::make_unique<NvmlTable>();
  find(library, table->init, "nvmlInit_v2");
  find(library, table->by_pci, "nvmlDeviceGetHandleByPciBusId_v2");
  find(library, table->mig_mode, "nvmlDeviceGetMigMode");
  find(library, table->energy_mj, "nvmlDeviceGetTotalEnergyConsumption");
  find(library, table->power_mw, "nvmlDeviceGetPowerUsage");
  find(library, table->fields, "nvmlDeviceGetFieldValues");
  find(library, table->utilisation, "nvmlDeviceGetUtilizationRates");
  find(library, table->clock_mhz, "nvmlDeviceGetClockInfo");
  find(library, table->temperature, "nvmlDeviceGetTemperature");
  find(library, table->slowed_by, "nvmlDeviceGetCurrentClocksEventReasons",
       "nvmlDeviceGetCurrentClocksThrottleReasons");
  find(library, table->computing, "nvmlDeviceGetComputeRunningProcesses_v3");
  find(library, table->drawing, "nvmlDeviceGetGraphicsRunningProcesses_v3");
  return table;
}

Nvml::Nvml(const NvmlTable* table, const std::string& pci) : table_(table) {
  unsigned mig = 0, pending = 0;
  if (table_ == nullptr || table_->init == nullptr || table_->by_pci == nullptr)
    reason_ = "no libnvidia-ml.so.1: power, clocks and temperature are unknown";
  else if (table_->init() != 0)
    reason_ = "NVML could not be started: power, clocks and temperature are unknown";
  else if (table_->by_pci(pci.c_str(), &device_) != 0)
    reason_ = "NVML does not know the device: power, clocks and temperature are unknown";
  else if (table_->mig_mode != nullptr && table_->mig_mode(device_, &mig, &pending) == 0 && mig != 0)
    reason_ = "the device is split into MIG instances: power, clocks and temperature of one are unknown";
  if (*reason_ != '\0') device_ = nullptr;
}

DeviceHealth Nvml::sample() const {
  DeviceHealth health;
  if (device_ == nullptr) return health;
  const NvmlTable& t = *table_;
  unsigned long long large = 0;
  unsigned number = 0;
  nvml::Utilisation busy;
  sample_power(health);
  if (t.utilisation != nullptr && t.utilisation(device_, &busy) == 0) health.busy = static_cast<float>(busy.gpu) / 100;
  if (t.temperature != nullptr && t.temperature(device_, nvml::kGpuSensor, &number) == 0)
    health.temperature_c = static_cast<float>(number);
  if (t.clock_mhz != nullptr && t.clock_mhz(device_, nvml::kSmClock, &number) == 0)
    health.clock_mhz = static_cast<int>(number);
  if (t.clock_mhz != nullptr && t.clock_mhz(device_, nvml::kMemoryClock, &number) == 0)
    health.memory_clock_mhz = static_cast<int>(number);
  if (t.slowed_by != nullptr && t.slowed_by(device_, &large) == 0) health.throttled = (large & kThrottled) != 0;
  health.others = others();
  return health;
}

void Nvml::sample_power(DeviceHealth& health) const {
  const NvmlTable& t = *table_;
  unsigned long long energy = 0;
  if (t.energy_mj != nullptr && t.energy_mj(device_, &energy) == 0)
    health.energy_mj = static_cast<std::int64_t>(energy);
  nvml::FieldValue now{};
  now.field = nvml::kPowerInstant;
  unsigned average_mw = 0;
  if (t.fields != nullptr && t.fields(device_, 1, &now) == 0 && now.status == 0 && now.type == 1)
    health.power_w = static_cast<float>(now.number) / 1000;
  else if (t.power_mw != nullptr && t.power_mw(device_, &average_mw) == 0)
    health.power_w = static_cast<float>(average_mw) / 1000;
}

// This process has a context, so one of those listed is this one: its number may be another in a container. An empty
// list hides us, and others too.
int Nvml::others() const {
  std::set<unsigned> pids;
  const bool computing = add_processes(table_->computing, device_, pids);
  const bool drawing = add_processes(table_->drawing, device_, pids);
  if ((!computing && !drawing) || pids.empty()) return -1;
  return static_cast<int>(pids.size()) - 1;
}

}  // namespace takt::cuda
