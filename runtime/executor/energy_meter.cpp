// Sampling the counter, and the slope.
#include "executor/energy_meter.hpp"

#include "live/monotonic_clock.hpp"
#include "live/realtime.hpp"

namespace takt::executor {
namespace {

using namespace std::chrono_literals;

constexpr Duration kBetween = 20ms;    // readings; sensors change no faster
constexpr Duration kSettling = 300ms;  // until the power is that of the loop
constexpr std::size_t kLeastSamples = 10;

}  // namespace

double energy_per_repetition(std::span<const EnergySample> samples) noexcept {
  double n = 0, energy = 0;
  for (const EnergySample& s : samples) n += s.repetitions, energy += s.energy_nj;
  const auto count = static_cast<double>(samples.size());
  double both = 0, squares = 0;
  for (const EnergySample& s : samples) {
    both += (s.repetitions - n / count) * (s.energy_nj - energy / count);
    squares += (s.repetitions - n / count) * (s.repetitions - n / count);
  }
  return squares > 0 && both > 0 ? both / squares : 0;
}

EnergyMeter::EnergyMeter(Driver& driver, std::uint32_t accelerator)
    : driver_(driver), accelerator_(accelerator), thread_([this] { sample(); }) {}

EnergyMeter::~EnergyMeter() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void EnergyMeter::sample() {
  live::name_thread("energy");
  const Instant settled = live::monotonic_now() + kSettling;
  while (!stopping_) {
    // The reading takes its time: it belongs to the middle of what ran meanwhile.
    const std::uint64_t before = repetitions_.load(std::memory_order_relaxed);
    const Result<DeviceHealth> health = driver_.health(accelerator_);
    const std::uint64_t after = repetitions_.load(std::memory_order_relaxed);
    if (!health || health->energy_mj < 0) return;
    if (live::monotonic_now() >= settled)
      samples_.push_back({static_cast<double>(before + after) / 2, static_cast<double>(health->energy_mj) * 1e6});
    std::this_thread::sleep_for(kBetween);
  }
}

double EnergyMeter::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  return samples_.size() < kLeastSamples ? 0 : energy_per_repetition(samples_);
}

}  // namespace takt::executor
