// Accelerators and their workers.
#include "executor/device.hpp"

#include <utility>

#include "executor/log.hpp"
#include "live/monotonic_clock.hpp"

namespace takt::executor {
namespace {

constexpr std::size_t kRealtimeLane = 0;
constexpr Duration kLogPause = std::chrono::seconds(1);

bool same(const AcceleratorSetup& a, const AcceleratorSetup& b) {
  return a.config.name == b.config.name && a.config.cores == b.config.cores && a.config.threads == b.config.threads &&
         a.config.unit == b.config.unit && a.config.sms == b.config.sms && a.config.others == b.config.others &&
         a.config.precision == b.config.precision && a.spin == b.spin && a.priority == b.priority &&
         a.realtime == b.realtime;
}

}  // namespace

Device::Device(std::unique_ptr<Driver> driver) : driver_(std::move(driver)), models_(*driver_) {
  if (Result<live::Notifier> made = live::Notifier::make(); made) trouble_ = std::move(*made);
}

Result<Opened> Device::open(std::uint32_t position, const AcceleratorSetup& setup) {
  if (position >= accelerators_.size())
    return fail(Code::no_capacity, "too many accelerators for one executor", position);
  if (accelerators_[position]) {
    if (same(accelerators_[position]->setup, setup)) return accelerators_[position]->opened;
    return fail(Code::unsupported, "the accelerator is open with other settings: end this executor to change them");
  }
  Result<Opened> opened = driver_->open(position, setup.config);
  if (!opened) return opened;
  Accelerator& accelerator = accelerators_[position].emplace();
  accelerator.setup = setup;
  accelerator.opened = *opened;
  return opened;
}

Result<void> Device::start_worker(std::uint32_t position, std::size_t lane) {
  Accelerator& accelerator = *accelerators_[position];
  if (accelerator.workers[lane]) return {};
  const bool realtime = lane == kRealtimeLane;
  const AcceleratorSetup& setup = accelerator.setup;
  auto worker =
      std::make_unique<Worker>(*driver_, WorkerConfig{.accelerator = position,
                                                      .realtime = realtime,
                                                      .priority = realtime ? setup.priority : 0,
                                                      .name = setup.config.name + (realtime ? ":rt" : ":normal"),
                                                      .cores = setup.config.cores,
                                                      .spin = setup.spin});
  if (!worker->entered()) return worker->entered();
  accelerator.workers[lane] = std::move(worker);
  return {};
}

Result<StartReport> Device::start(const SessionView& session, std::span<const std::uint32_t> accelerators) {
  StartReport report{.realtime = true, .text = {}};
  for (const std::uint32_t a : accelerators)
    for (std::size_t lane = accelerators_[a]->setup.realtime ? kRealtimeLane : kRealtimeLane + 1;
         lane < wire::kWorkerLanes; ++lane)
      if (const Result<void> started = start_worker(a, lane); !started) return tl::unexpected(started.error());
  const auto each = [&](auto&& use) {
    for (const std::uint32_t a : accelerators)
      for (std::size_t lane = 0; lane < wire::kWorkerLanes; ++lane)
        if (Worker* const worker = accelerators_[a]->workers[lane].get(); worker != nullptr) use(*worker, a, lane);
  };
  each([&](Worker& worker, std::uint32_t a, std::size_t lane) {
    worker.serve(session, session.memory->lanes[a][lane], trouble_.fd() >= 0 ? &trouble_ : nullptr);
  });
  Result<void> prepared;
  each([&](Worker& worker, std::uint32_t, std::size_t) {
    const Result<void> own = worker.await_prepared();
    if (!own)
      log_line("%s: cannot prepare: %s (%ld)", worker.config().name.c_str(), own.error().text, own.error().vendor);
    if (prepared && !own) prepared = own;
  });
  if (!prepared) {
    stop(Worker::Stop::now);
    return tl::unexpected(prepared.error());
  }
  each([&](const Worker& worker, std::uint32_t, std::size_t) {
    if (worker.config().priority == 0 || worker.fifo().granted) return;
    report.realtime = false;
    report.text = worker.fifo().text;
  });
  return report;
}

void Device::pool_mapped(const Pool& pool) {
  const Result<void> mapped = driver_->map_pool(pool.memory.span(), pool.kind == wire::PoolKind::results);
  if (mapped || pools_told_) return;
  pools_told_ = true;
  log_line("the driver copies from clients' pools as from any memory: %s (%ld)", mapped.error().text,
           mapped.error().vendor);
}

std::optional<wire::DeviceHealth> Device::health(std::uint32_t position) {
  Accelerator& accelerator = *accelerators_[position];
  if (!accelerator.measured) return std::nullopt;
  const Result<DeviceHealth> now = driver_->health(position);
  if (!now && now.error().code == Code::unsupported) accelerator.measured = false;
  if (!now) return std::nullopt;
  Spent spent;
  for (const auto& worker : accelerator.workers) {
    if (!worker) continue;
    spent.expected += worker->spent().expected;
    spent.measured += worker->spent().measured;
  }
  const Spent before = std::exchange(accelerator.told, spent);
  const double expected = std::chrono::duration<double>(spent.expected - before.expected).count();
  wire::DeviceHealth m{};
  m.header = {.op = wire::ExecutorOp::device_health, .bytes = sizeof m, .number = position};
  m.energy_mj = now->energy_mj;
  m.power_w = now->power_w;
  m.temperature_c = now->temperature_c;
  m.busy = now->busy;
  if (expected > 0)
    m.pace = static_cast<float>(std::chrono::duration<double>(spent.measured - before.measured).count() / expected);
  m.clock_mhz = now->clock_mhz;
  m.memory_clock_mhz = now->memory_clock_mhz;
  m.others = now->others;
  m.throttled = now->throttled ? 1 : 0;
  m.late_allocations = now->late_allocations;
  return m;
}

void Device::stop(Worker::Stop how) {
  for (const auto& accelerator : accelerators_)
    if (accelerator)
      for (const auto& worker : accelerator->workers)
        if (worker) worker->stop(how);
}

bool Device::wait_idle(Instant deadline) {
  for (const auto& accelerator : accelerators_)
    if (accelerator)
      for (const auto& worker : accelerator->workers)
        if (worker && !worker->wait_idle(deadline)) return false;
  return true;
}

const Worker* Device::hung(Instant now) const {
  for (const auto& accelerator : accelerators_)
    if (accelerator)
      for (const auto& worker : accelerator->workers)
        if (worker && now >= worker->hangs_at()) return worker.get();
  return nullptr;
}

void Device::log_trouble() {
  const Instant now = live::monotonic_now();
  if (now - last_log_ < kLogPause) return;
  last_log_ = now;
  for (auto& accelerator : accelerators_) {
    if (!accelerator) continue;
    for (std::size_t lane = 0; lane < wire::kWorkerLanes; ++lane) {
      if (!accelerator->workers[lane]) continue;
      const Trouble trouble = accelerator->workers[lane]->trouble();
      if (trouble.failures == accelerator->logged[lane]) continue;
      log_line("%s: %llu launches failed, the last one: %s (%ld)", accelerator->workers[lane]->config().name.c_str(),
               static_cast<unsigned long long>(trouble.failures - accelerator->logged[lane]), trouble.text,
               trouble.vendor);
      accelerator->logged[lane] = trouble.failures;
    }
  }
}

}  // namespace takt::executor
