// The CPU driver: native models through libtorch, one segment at a time on the worker's own cores.
#include <strings.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "host/bound_model.hpp"
#include "host/segment_runner.hpp"
#include "host/warm_up.hpp"
#include "module.hpp"
#include "takt/driver.hpp"

namespace takt {
namespace {

// A list that only grows, up to N: one writer at a time, readers never wait.
template <class T, std::size_t N>
class Shelf {
 public:
  [[nodiscard]] bool full() const noexcept { return count_.load(std::memory_order_relaxed) == N; }
  void add(std::unique_ptr<T> item) noexcept {
    const std::size_t at = count_.load(std::memory_order_relaxed);
    items_[at] = std::move(item);
    count_.store(at + 1, std::memory_order_release);
  }
  // The newest that fits; null if none does.
  template <class Fits>
  [[nodiscard]] T* find(Fits&& fits) const noexcept {
    for (std::size_t i = size(); i-- > 0;)
      if (fits(*items_[i])) return items_[i].get();
    return nullptr;
  }
  [[nodiscard]] std::size_t size() const noexcept { return count_.load(std::memory_order_acquire); }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return *items_[i]; }

 private:
  std::array<std::unique_ptr<T>, N> items_;
  std::atomic<std::size_t> count_{0};
};

struct Loaded {
  std::unique_ptr<models::NativeModule> module;
  models::BoundModel bound;
};

// A place for the one worker thread of an accelerator and class. A new thread takes over what the last one left.
struct Worker {
  std::atomic<std::thread::id> thread;
  std::unique_ptr<models::SegmentRunner> runner;
};

// Several workers' OpenMP teams on pinned or real-time cores never end if they spin (each waits for a thread that
// cannot run), and libgomp reads this variable when it is loaded, which is before any code of ours.
bool omp_waits_passively() {
  const char* policy = std::getenv("OMP_WAIT_POLICY");
  return policy != nullptr && ::strcasecmp(policy, "passive") == 0;
}

class CpuDriver final : public Driver {
 public:
  [[nodiscard]] DriverCaps caps() const noexcept override { return {Preemption::running, true}; }
  [[nodiscard]] Result<Opened> open(std::uint32_t accelerator, const AcceleratorConfig& config) override;
  [[nodiscard]] Result<void> load(const Model& model) override;
  [[nodiscard]] Result<void> enter(std::uint32_t accelerator, Criticality worker) override;
  [[nodiscard]] Result<void> run(const Launch& launch) noexcept override;

 private:
  static constexpr std::size_t kMaxLoads = 256;  // in a process's life, new versions included
  static constexpr std::size_t kMaxAccelerators = 16;
  static constexpr std::size_t kClasses = 3;

  [[nodiscard]] Result<void> warm_up(const models::BoundModel& bound);
  [[nodiscard]] Result<void> prepare(Worker& worker, int threads);

  std::array<int, kMaxAccelerators> threads_{};  // 0: not open
  Shelf<Loaded, kMaxLoads> loaded_;
  std::array<std::array<Worker, kClasses>, kMaxAccelerators> workers_;
  std::mutex warming_;  // libtorch's number of threads is the process's; never held in run()
};

Result<Opened> CpuDriver::open(std::uint32_t accelerator, const AcceleratorConfig& config) {
  if (accelerator >= kMaxAccelerators) return fail(Code::no_capacity, "an executor has at most 16 accelerators");
  if (config.threads < 1 || config.threads > 64) return fail(Code::invalid_argument, "threads go from 1 to 64");
  if (config.threads > 1 && config.cores.size() != static_cast<std::size_t>(config.threads))
    return fail(Code::invalid_argument, "more than one thread needs as many cores in the accelerator's list");
  if (config.threads > 1 && !omp_waits_passively())
    return fail(Code::invalid_argument,
                "more than one thread needs OMP_WAIT_POLICY=PASSIVE in the executor's environment");
  models::limit_libtorch_pools();
  threads_[accelerator] = config.threads;
  return Opened{};
}

Result<void> CpuDriver::load(const Model& model) {
  if (loaded_.full()) return fail(Code::no_capacity, "this executor has loaded 256 models or versions: restart it");
  Result<std::unique_ptr<models::NativeModule>> module = models::load_module(model);
  if (!module) return tl::unexpected(module.error());
  try {
    Result<models::BoundModel> bound = models::BoundModel::bind(model, **module);
    if (!bound) return tl::unexpected(bound.error());
    if (const Result<void> warm = warm_up(*bound); !warm) return warm;
    loaded_.add(std::make_unique<Loaded>(Loaded{std::move(*module), std::move(*bound)}));
    return {};
  } catch (const std::exception&) {
    return fail(Code::no_memory, "no memory for the model");
  }
}

// oneDNN's kernels depend on the number of threads: once for each that an accelerator uses, for one if none is open
// yet.
Result<void> CpuDriver::warm_up(const models::BoundModel& bound) {
  const std::lock_guard warming(warming_);
  std::set<int> counts(threads_.begin(), threads_.end());
  counts.erase(0);
  if (counts.empty()) counts.insert(1);
  for (const int count : counts) {
    models::use_threads(count);
    if (const Result<void> warm = models::warm_process(bound); !warm) return warm;
  }
  return {};
}

Result<void> CpuDriver::enter(std::uint32_t accelerator, Criticality criticality) {
  if (accelerator >= kMaxAccelerators || threads_[accelerator] == 0)
    return fail(Code::invalid_argument, "enter() for an accelerator that is not open");
  const std::lock_guard warming(warming_);
  try {
    Worker& worker = workers_[accelerator][static_cast<std::size_t>(criticality)];
    const Result<void> ready = prepare(worker, threads_[accelerator]);
    if (ready) worker.thread.store(std::this_thread::get_id());
    return ready;
  } catch (const std::exception&) {
    return fail(Code::no_memory, "no memory for a worker");
  }
}

Result<void> CpuDriver::prepare(Worker& worker, int threads) {
  models::use_threads(threads);
  if (!worker.runner) worker.runner = std::make_unique<models::SegmentRunner>();
  for (std::size_t i = 0; i < loaded_.size(); ++i) {
    worker.runner->reserve(loaded_[i].bound);
    if (const Result<void> warm = models::warm_thread(loaded_[i].bound, *worker.runner); !warm) return warm;
  }
  return {};
}

Result<void> CpuDriver::run(const Launch& launch) noexcept {
  const Loaded* loaded = loaded_.find([&](const Loaded& l) { return &l.bound.model() == launch.model; });
  if (loaded == nullptr) return fail(Code::not_found, "the launch's model is not loaded");
  const models::Step* step = loaded->bound.step(launch.variant);
  if (step == nullptr) return fail(Code::invalid_argument, "the launch's variant is not its model's");
  if (launch.accelerator >= kMaxAccelerators)
    return fail(Code::invalid_argument, "the launch's accelerator is unknown");
  const std::thread::id me = std::this_thread::get_id();
  for (Worker& worker : workers_[launch.accelerator])
    if (worker.thread.load(std::memory_order_relaxed) == me)
      return worker.runner->run(loaded->bound, *step, launch.jobs);
  return fail(Code::invalid_argument, "run() on a thread that has not called enter()");
}

std::unique_ptr<Driver> make_cpu() {
  models::enlarge_kernel_cache();
  return std::make_unique<CpuDriver>();
}

}  // namespace
}  // namespace takt

TAKT_DRIVER(cpu, takt::make_cpu)
