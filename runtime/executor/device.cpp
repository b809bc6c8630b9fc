// Accelerators and their workers.
#include "executor/device.hpp"

#include "executor/log.hpp"
#include "live/monotonic_clock.hpp"

namespace takt::executor {
namespace {

constexpr std::size_t kRealtimeLane = 0;
constexpr Duration kLogPause = std::chrono::seconds(1);

bool same(const AcceleratorSetup& a, const AcceleratorSetup& b) {
  return a.config.name == b.config.name && a.config.cores == b.config.cores && a.config.threads == b.config.threads &&
         a.spin == b.spin && a.priority == b.priority && a.realtime == b.realtime;
}

}  // namespace

Device::Device(std::unique_ptr<Driver> driver) : driver_(std::move(driver)), models_(*driver_) {
  if (Result<live::Notifier> made = live::Notifier::make(); made) trouble_ = std::move(*made);
}

Result<void> Device::open(std::uint32_t position, const AcceleratorSetup& setup) {
  if (position >= accelerators_.size())
    return fail(Code::no_capacity, "too many accelerators for one executor", position);
  if (accelerators_[position]) {
    if (same(accelerators_[position]->setup, setup)) return {};
    return fail(Code::unsupported, "the accelerator is open with other settings: end this executor to change them");
  }
  if (const Result<void> opened = driver_->open(position, setup.config); !opened) return opened;
  accelerators_[position].emplace().setup = setup;
  return {};
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
  for (const std::uint32_t a : accelerators) {
    for (std::size_t lane = 0; lane < wire::kWorkerLanes; ++lane)
      if (Worker* const worker = accelerators_[a]->workers[lane].get(); worker != nullptr)
        worker->serve(session, session.memory->lanes[a][lane], trouble_.fd() >= 0 ? &trouble_ : nullptr);
    const Worker* const realtime = accelerators_[a]->workers[kRealtimeLane].get();
    if (realtime == nullptr || realtime->config().priority == 0 || realtime->fifo().granted) continue;
    report.realtime = false;
    report.text = realtime->fifo().text;
  }
  return report;
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
