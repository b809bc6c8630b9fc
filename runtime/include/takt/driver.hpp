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

enum class Precision : std::uint8_t { single, half };

struct AcceleratorConfig {
  std::string name;
  std::vector<int> cores;  // CPU numbers; empty: no pinning
  int threads = 1;         // a worker may use; must equal the number of cores if over 1
  int unit = 0;            // which of the driver's devices, as the process sees them
  int sms = 0;             // multiprocessors of a part of it; 0: what the other parts leave
  std::vector<int> others; // the same of the device's other accelerators, so that all are divided at once
  Precision precision = Precision::half;  // of weights and activations, where the driver has a choice
};

// What open() gave.
struct Opened {
  int sms = 0;       // multiprocessors granted; 0: the driver counts none
  std::string note;  // what is not as asked for, in words for the operator; empty: nothing
};

struct DriverCaps {
  Preemption preemption = Preemption::queued;
  bool shares_slots = true;  // activations live in the shared slot memory that every such executor maps
  int depth = 1;             // launches that may be under way at once on one worker; over 1: launch() and await()
};

// A tensor in mapped memory: input pools are mapped read-only.
struct TensorView {
  const TensorDesc* desc = nullptr;
  const std::byte* data = nullptr;  // desc->bytes long, checked against the pool
};

inline constexpr std::uint32_t kNoSlotNumber = 0xffffffffu;

// One job's part of a launch. Null pointers where the segment has no such side, or where the driver keeps activations on
// its device: it knows them by their numbers.
struct JobIo {
  std::span<const TensorView> inputs;     // first segment only
  const std::byte* slot_in = nullptr;     // activation before the segment
  std::byte* slot_out = nullptr;          // activation after it; may equal slot_in
  std::span<std::byte> result;            // last segment only: starts with a ResultHeader
  float* metrics = nullptr;               // kMaxMetrics values, last segment only
  std::uint32_t slot_in_number = kNoSlotNumber, slot_out_number = kNoSlotNumber;
};

struct Launch {
  std::uint32_t accelerator = 0;  // position among this driver's accelerators
  const Model* model = nullptr;
  const Variant* variant = nullptr;
  Duration expected{};            // from the profile
  std::span<JobIo> jobs;          // 1 .. kMaxBatch
};

// What a device is at, for the operator and for the model of its speed; -1: not known.
struct DeviceHealth {
  std::int64_t energy_mj = -1;  // since some fixed point
  float power_w = -1, temperature_c = -1;
  float busy = -1;              // part of the last moments in which anything ran on it, 0 to 1
  int clock_mhz = -1, memory_clock_mhz = -1;
  int others = -1;              // processes beside this one that use it
  bool throttled = false;       // slowed down by heat or power
  std::int64_t late_allocations = -1;  // of device memory since all was prepared: should stay 0
};

// Calls of a worker come from its own thread: at most one at a time per (accelerator, class); different workers call
// concurrently. Exceptions never leave a driver. What cannot be survived ends the process (_exit): the broker fences it
// and starts another one. load() and prepare() may allocate; run(), launch() and await() should not.
class Driver {
 public:
  virtual ~Driver() = default;
  [[nodiscard]] virtual DriverCaps caps() const noexcept = 0;
  // Main thread, once an accelerator, before its workers start.
  [[nodiscard]] virtual Result<Opened> open(std::uint32_t accelerator, const AcceleratorConfig& config) = 0;
  // Main thread. Reads and checks the weights (digest first); on failure nothing of the model stays.
  [[nodiscard]] virtual Result<void> load(const Model& model) = 0;
  // Main thread, no worker running: a session has this many activation slots. Only for drivers that share none.
  [[nodiscard]] virtual Result<void> make_slots(std::uint64_t slot_bytes, std::uint32_t slots) {
    (void)slot_bytes, (void)slots;
    return {};
  }
  // Main thread, workers may be running: memory that inputs will be read from, or results written to. Whoever gets an
  // error goes on: the driver copies from it then as from any memory. unmap_pool() comes before the memory goes.
  [[nodiscard]] virtual Result<void> map_pool(std::span<const std::byte> memory, bool results) {
    (void)memory, (void)results;
    return {};
  }
  virtual void unmap_pool(std::span<const std::byte> memory) noexcept { (void)memory; }
  // Any thread but a worker's; may take long. Unsupported where nothing is measured.
  [[nodiscard]] virtual Result<DeviceHealth> health(std::uint32_t accelerator) {
    (void)accelerator;
    return fail(Code::unsupported, "the driver measures nothing");
  }
  // Worker thread, once, already pinned, before it takes its final scheduling class.
  [[nodiscard]] virtual Result<void> enter(std::uint32_t accelerator, Criticality worker) = 0;
  // Worker thread, before it serves a session: all models are loaded, all slots made. What is prepared already costs
  // nothing.
  [[nodiscard]] virtual Result<void> prepare(std::uint32_t accelerator, Criticality worker) {
    (void)accelerator, (void)worker;
    return {};
  }
  // Soft worker's thread, while it serves and nothing is posted to it: prepares one more thing that makes later launches
  // faster, if now is a good time for that. Takes some tens of milliseconds at most; may allocate. False: there is
  // nothing left, and it need not be called again in this session.
  [[nodiscard]] virtual bool prepare_more(std::uint32_t accelerator, Criticality worker) noexcept {
    (void)accelerator, (void)worker;
    return false;
  }
  // Worker thread. Blocks until the segment has ended. An error concerns this launch only.
  [[nodiscard]] virtual Result<void> run(const Launch& launch) noexcept = 0;
  // Worker thread; only with caps().depth > 1. Begins a launch behind those under way; all that it points to stays
  // until await() has told of it. An error: it has not begun.
  [[nodiscard]] virtual Result<void> launch(const Launch& launch) noexcept {
    (void)launch;
    return fail(Code::unsupported, "the driver runs one launch at a time");
  }
  // Worker thread. Waits until the oldest launch under way has ended, or until `until`; true or an error: it has ended.
  [[nodiscard]] virtual Result<bool> await(Instant until) noexcept {
    (void)until;
    return fail(Code::unsupported, "the driver runs one launch at a time");
  }
};

inline constexpr std::uint32_t kDriverAbi = 2;
struct DriverEntry {
  std::uint32_t abi = kDriverAbi;
  const char* name = "";
  std::unique_ptr<Driver> (*make)() = nullptr;
};
inline constexpr const char* kDriverSymbol = "takt_driver_v2";

}  // namespace takt

// Last line of a file in drivers/: TAKT_DRIVER(null, make_null).
#define TAKT_DRIVER(NAME, MAKE) \
  extern "C" __attribute__((visibility("default"))) const ::takt::DriverEntry takt_driver_v2{::takt::kDriverAbi, #NAME, MAKE};
