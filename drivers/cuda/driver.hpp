// The CUDA driver: one device (GPU or MIG instance) of a process, divided into accelerators. Knows no vendor header, so
// that it is tested on a fake.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "cuda/api.hpp"
#include "cuda/budget.hpp"
#include "cuda/engine.hpp"
#include "cuda/lane.hpp"
#include "cuda/nvml.hpp"
#include "cuda/parts.hpp"
#include "module.hpp"
#include "takt/driver.hpp"

namespace takt::cuda {

class CudaDriver final : public Driver {
 public:
  using Fatal = void (*)(const char* what, Status status);

  struct Parts {
    std::unique_ptr<Api> api;
    std::unique_ptr<Engine> engine;
    std::unique_ptr<LaneClock> clock;
    std::unique_ptr<NvmlTable> nvml;  // null: nothing is measured
    Fatal fatal = nullptr;            // does not return, but in tests
    KeyLimits keys;
  };
  explicit CudaDriver(Parts parts) : p_(std::move(parts)) {}

  [[nodiscard]] DriverCaps caps() const noexcept override;
  [[nodiscard]] Result<Opened> open(std::uint32_t accelerator, const AcceleratorConfig& config) override;
  [[nodiscard]] Result<void> load(const Model& model) override;
  [[nodiscard]] Result<void> make_slots(std::uint64_t slot_bytes, std::uint32_t slots) override;
  [[nodiscard]] Result<void> map_pool(std::span<const std::byte> memory, bool results) override;
  void unmap_pool(std::span<const std::byte> memory) noexcept override;
  [[nodiscard]] Result<DeviceHealth> health(std::uint32_t accelerator) override;
  [[nodiscard]] Result<void> enter(std::uint32_t accelerator, Criticality worker) override;
  [[nodiscard]] Result<void> prepare(std::uint32_t accelerator, Criticality worker) override;
  [[nodiscard]] bool prepare_more(std::uint32_t accelerator, Criticality worker) noexcept override;
  [[nodiscard]] Result<void> run(const Launch& launch) noexcept override;
  [[nodiscard]] Result<void> launch(const Launch& launch) noexcept override;
  [[nodiscard]] Result<bool> await(Instant until) noexcept override;

 private:
  static constexpr std::size_t kMaxAccelerators = 16;
  static constexpr std::size_t kClasses = 3;

  // A part of the device that was made for some accelerator's wish.
  struct Share {
    int wish = 0, granted = 0;
    GreenContext context = nullptr;
    bool taken = false;
    std::string note;
  };
  struct Accelerator {
    bool open = false;
    std::size_t share = 0;
  };
  struct Worker {
    std::atomic<std::thread::id> thread;
    std::unique_ptr<Lane> lane;
  };
  struct Loaded {
    std::unique_ptr<models::NativeModule> module;
    std::unique_ptr<models::BoundModel> bound;
    std::unique_ptr<PlacedModel> placed;
  };

  [[nodiscard]] Result<void> begin(const AcceleratorConfig& config);
  [[nodiscard]] Result<void> divide_device(const AcceleratorConfig& first);
  [[nodiscard]] Result<void> share_device(std::span<const Wish> wishes);
  [[nodiscard]] Result<std::size_t> share_for(int wish) noexcept;
  [[nodiscard]] Lane* lane_here() noexcept;

  Parts p_;
  bool begun_ = false;
  int unit_ = 0;
  Precision precision_ = Precision::half;
  DeviceInfo info_;
  std::optional<Nvml> nvml_;
  std::unique_ptr<Budget> budget_;
  const void* one_ = nullptr;
  Slots slots_;
  std::vector<Share> shares_;
  std::array<Accelerator, kMaxAccelerators> accelerators_;
  std::array<std::array<Worker, kClasses>, kMaxAccelerators> workers_;
  std::vector<const std::byte*> registered_;  // pools, by their start
  std::vector<std::unique_ptr<Loaded>> loaded_;
  std::atomic<int> under_way_{0};  // launches, on all lanes
  std::mutex preparing_;           // captures are one at a time; guards what follows
  AllocatorCounts prepared_;
};

}  // namespace takt::cuda
