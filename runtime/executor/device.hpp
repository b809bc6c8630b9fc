// What this process keeps from one session to the next: the driver, opened accelerators, loaded models, worker threads.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "executor/model_shelf.hpp"
#include "executor/worker.hpp"
#include "live/event_loop.hpp"
#include "takt/driver.hpp"
#include "wire/executor_protocol.hpp"
#include "wire/rings.hpp"

namespace takt::executor {

// What a session asks of one accelerator.
struct AcceleratorSetup {
  AcceleratorConfig config;
  Duration spin{};
  int priority = 0;      // SCHED_FIFO of the real-time worker; 0: none
  bool realtime = true;  // whether there is a real-time worker
};

// How start() went: whether every real-time worker that wanted it has SCHED_FIFO, and if not, why.
struct StartReport {
  bool realtime = false;
  std::string text;
};

// Main thread only.
class Device {
 public:
  explicit Device(std::unique_ptr<Driver> driver);

  [[nodiscard]] Driver& driver() noexcept { return *driver_; }
  [[nodiscard]] ModelShelf& models() noexcept { return models_; }

  // Opens the accelerator at this position, or confirms one that is open already: what it gave then. What was opened
  // with other settings cannot be changed (`unsupported`): drivers and threads are bound to them, and only a new
  // process can have new ones.
  [[nodiscard]] Result<Opened> open(std::uint32_t position, const AcceleratorSetup& setup);

  // Starts the threads that are missing and lets all workers of the `accelerators` prepare for the session and serve
  // it. Blocks until all have prepared; an error of any stops them all.
  [[nodiscard]] Result<StartReport> start(const SessionView& session, std::span<const std::uint32_t> accelerators);

  // Tells the driver of a pool that was mapped, or that will be unmapped. That it can do nothing with pools is logged
  // once.
  void pool_mapped(const Pool& pool);
  void pool_leaves(const Pool& pool) noexcept { driver_->unmap_pool(pool.memory.span()); }

  // What the driver measures of an open accelerator's device, and its workers' pace since the last call; nothing if it
  // measures nothing. May take milliseconds.
  [[nodiscard]] std::optional<wire::DeviceHealth> health(std::uint32_t position);
  // Whether it is worth asking again.
  [[nodiscard]] bool measures(std::uint32_t position) const { return accelerators_[position]->measured; }

  // Asks all workers to stop; then waits. False: some launch has not ended by `deadline`.
  void stop(Worker::Stop how);
  [[nodiscard]] bool wait_idle(Instant deadline);

  // A worker whose launch should have ended long ago, see Worker::hangs_at(); null: none.
  [[nodiscard]] const Worker* hung(Instant now) const;

  // Readable after launches failed. log_trouble() says why, at most once a second.
  [[nodiscard]] const live::Notifier& trouble() const noexcept { return trouble_; }
  void log_trouble();

 private:
  struct Accelerator {
    AcceleratorSetup setup;
    Opened opened;
    bool measured = true;  // until the driver has said otherwise
    Spent told;            // by its workers, when its health was last asked for
    std::array<std::unique_ptr<Worker>, wire::kWorkerLanes> workers;  // by takt::Lane: real-time, normal
    std::array<std::uint64_t, wire::kWorkerLanes> logged{};           // failures
  };
  [[nodiscard]] Result<void> start_worker(std::uint32_t position, std::size_t lane);

  std::unique_ptr<Driver> driver_;
  ModelShelf models_;
  live::Notifier trouble_;
  Instant last_log_{};
  bool pools_told_ = false;  // that the driver does not map them
  std::array<std::optional<Accelerator>, wire::kMaxExecutorAccelerators> accelerators_;
};

}  // namespace takt::executor
