// What a device is at, by NVIDIA's management library. It comes with the driver and is opened at run time; its few
// prototypes are declared here, since no package of CUDA's brings its header.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "takt/driver.hpp"
#include "takt/result.hpp"

namespace takt::cuda {

// NVML's own types, as its header lays them out.
namespace nvml {
using Device = struct DeviceTag*;
using Return = int;  // 0: success
struct Utilisation {
  unsigned gpu = 0, memory = 0;  // percent
};
struct Process {
  unsigned pid = 0;
  unsigned long long memory = 0;
  unsigned gpu_instance = 0, compute_instance = 0;
};
struct FieldValue {
  unsigned field = 0, scope = 0;
  long long timestamp = 0, latency_us = 0;
  unsigned type = 0;  // 1: `number` is unsigned int
  Return status = 0;
  union {
    double real;
    unsigned number;
    unsigned long long large = 0;
  };
};
static_assert(sizeof(Process) == 24 && sizeof(FieldValue) == 40);
inline constexpr Return kInsufficientSize = 7;
inline constexpr unsigned kPowerInstant = 186;  // field: mW now, not the average of a second
inline constexpr unsigned kGpuSensor = 0, kSmClock = 1, kMemoryClock = 2;
}  // namespace nvml

// The library's functions; a null one is not there, and what it would tell stays unknown. A fake fills it in tests.
struct NvmlTable {
  nvml::Return (*init)() = nullptr;
  nvml::Return (*by_pci)(const char* pci, nvml::Device*) = nullptr;
  nvml::Return (*mig_mode)(nvml::Device, unsigned* now, unsigned* pending) = nullptr;
  nvml::Return (*energy_mj)(nvml::Device, unsigned long long*) = nullptr;
  nvml::Return (*power_mw)(nvml::Device, unsigned*) = nullptr;
  nvml::Return (*fields)(nvml::Device, int count, nvml::FieldValue*) = nullptr;
  nvml::Return (*utilisation)(nvml::Device, nvml::Utilisation*) = nullptr;
  nvml::Return (*clock_mhz)(nvml::Device, unsigned clock, unsigned*) = nullptr;
  nvml::Return (*temperature)(nvml::Device, unsigned sensor, unsigned*) = nullptr;
  nvml::Return (*slowed_by)(nvml::Device, unsigned long long* reasons) = nullptr;
  // In: room; out: how many. With too little room kInsufficientSize.
  nvml::Return (*computing)(nvml::Device, unsigned* count, nvml::Process*) = nullptr;
  nvml::Return (*drawing)(nvml::Device, unsigned* count, nvml::Process*) = nullptr;
};

// Null where there is no libnvidia-ml.so.1. Blocks on the disk; the library stays for the life of the process.
[[nodiscard]] std::unique_ptr<NvmlTable> load_nvml();

// One device, asked off the hot path: calls take 10 us to tens of ms and locks of the driver. One thread at a time.
class Nvml {
 public:
  // `table` outlives this; null: nothing is known. `pci` as in DeviceInfo.
  Nvml(const NvmlTable* table, const std::string& pci);

  // Fields that nothing is known of stay -1. Energy counts since the driver was loaded. Power is that of the whole
  // board, which is sampled every 20 to 100 ms.
  [[nodiscard]] DeviceHealth sample() const;
  // Why fields are unknown, static; empty: it is asked. On MIG instances everything is the whole board's, so unknown.
  [[nodiscard]] const char* reason() const noexcept { return reason_; }

 private:
  void sample_power(DeviceHealth& health) const;
  [[nodiscard]] int others() const;

  const NvmlTable* table_;
  nvml::Device device_ = nullptr;
  const char* reason_ = "";
};

}  // namespace takt::cuda
