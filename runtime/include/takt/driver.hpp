// The driver contract: a module that runs segments on one kind of accelerator. A driver runs, it never chooses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "takt/job.hpp"
#include "takt/model.hpp"
#include "takt/result.hpp"
#include "takt/tensor.hpp"
#include "takt/time.hpp"

namespace takt {

// How much of what was posted can be taken back: nothing, what has not begun, or a running segment gives way by itself
// to a hard one (CPU: the kernel's priorities).
enum class Preemption : std::uint8_t { none, queued, running };

struct AcceleratorConfig {
  std::string name;
  std::vector<int> cores;  // CPU numbers; empty: no pinning
  int threads = 1;         // a worker may use; must equal the number of cores if over 1
};

struct DriverCaps {
  Preemption preemption = Preemption::queued;
  bool shares_slots = true;  // activations live in the shared slot memory that every such executor maps
};

// A tensor in mapped memory: input pools are mapped read-only.
struct TensorView {
  const TensorDesc* desc = nullptr;
  const std::byte* data = nullptr;  // desc->bytes long, checked against the pool
};

// One job's part of a launch. Null pointers where the segment has no such side.
struct JobIo {
  std::span<const TensorView> inputs;     // first segment only
  const std::byte* slot_in = nullptr;     // activation before the segment
  std::byte* slot_out = nullptr;          // activation after it; may equal slot_in
  std::span<std::byte> result;            // last segment only: starts with a ResultHeader
  float* metrics = nullptr;               // kMaxMetrics values, last segment only
};

struct Launch {
  std::uint32_t accelerator = 0;  // position among this driver's accelerators
  const Model* model = nullptr;
  const Variant* variant = nullptr;
  Duration expected{};            // from the profile
  std::span<JobIo> jobs;          // 1 .. kMaxBatch
};

// All calls come from one worker thread at a time per (accelerator, class); different workers call concurrently.
// Exceptions never leave a driver. load() may allocate; run() should not.
class Driver {
 public:
  virtual ~Driver() = default;
  [[nodiscard]] virtual DriverCaps caps() const noexcept = 0;
  // Main thread, once an accelerator, before its workers start.
  [[nodiscard]] virtual Result<void> open(std::uint32_t accelerator, const AcceleratorConfig& config) = 0;
  // Main thread. Reads and checks the weights (digest first); on failure nothing of the model stays.
  [[nodiscard]] virtual Result<void> load(const Model& model) = 0;
  // Worker thread, once, already pinned, before it takes its final scheduling class.
  [[nodiscard]] virtual Result<void> enter(std::uint32_t accelerator, Criticality worker) = 0;
  // Worker thread. Blocks until the segment has ended. An error concerns this launch only.
  [[nodiscard]] virtual Result<void> run(const Launch& launch) noexcept = 0;
};

inline constexpr std::uint32_t kDriverAbi = 1;
struct DriverEntry {
  std::uint32_t abi = kDriverAbi;
  const char* name = "";
  std::unique_ptr<Driver> (*make)() = nullptr;
};
inline constexpr const char* kDriverSymbol = "takt_driver_v1";

}  // namespace takt

// Last line of a file in drivers/: TAKT_DRIVER(null, make_null).
#define TAKT_DRIVER(NAME, MAKE) \
  extern "C" __attribute__((visibility("default"))) const ::takt::DriverEntry takt_driver_v1{::takt::kDriverAbi, #NAME, MAKE};
