// The driver: division, models, workers. What runs is in lane.cpp.
#include "cuda/driver.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <utility>

#include "cuda/errors.hpp"

namespace takt::cuda {
namespace {

// Left alone for what libraries take by themselves: work areas of matrix products, modules that are loaded late.
constexpr std::uint64_t kReserve = std::uint64_t{512} << 20;

tl::unexpected<Error> refused(Status status) noexcept {
  return tl::unexpected(error_of(status));
}

}  // namespace

DriverCaps CudaDriver::caps() const noexcept {
  return {.preemption = Preemption::queued, .shares_slots = false, .depth = static_cast<int>(Lane::kDepth)};
}

// --- the device ---

Result<Opened> CudaDriver::open(std::uint32_t accelerator, const AcceleratorConfig& config) {
  if (accelerator >= kMaxAccelerators) return fail(Code::no_capacity, "an executor has at most 16 accelerators");
  if (!begun_) {
    if (const Result<void> ready = begin(config); !ready) return tl::unexpected(ready.error());
  } else if (config.unit != unit_) {
    return fail(Code::invalid_argument, "accelerators of two GPUs need two <device> elements: an executor serves one");
  } else if (config.precision != precision_) {
    return fail(Code::invalid_argument, "accelerators of a GPU share activations: all need the same precision");
  }
  const Result<std::size_t> share = share_for(config.sms);
  if (!share) return tl::unexpected(share.error());
  accelerators_[accelerator] = {.open = true, .share = *share};
  return Opened{shares_[*share].granted, shares_[*share].note};
}

Result<void> CudaDriver::begin(const AcceleratorConfig& config) {
  int count = 0;
  if (const Status s = p_.api->device_count(count); s != kOk) return refused(s);
  if (config.unit < 0 || config.unit >= count)
    return fail(Code::not_found, "the process sees no GPU of that number", config.unit);
  for (const Status s : {p_.api->use_device(config.unit), p_.api->describe(config.unit, info_)})
    if (s != kOk) return refused(s);
  std::uint64_t free = 0, total = 0;
  if (const Status s = p_.api->memory(free, total); s != kOk) return refused(s);
  budget_ = std::make_unique<Budget>(total, free, std::min(kReserve, total / 8));
  void* one = nullptr;
  void* staging = nullptr;
  if (const Status s = p_.api->device_alloc(sizeof(std::uint32_t), one); s != kOk) return refused(s);
  if (const Status s = p_.api->pinned_alloc(sizeof(std::uint32_t), staging); s != kOk) return refused(s);
  *static_cast<std::uint32_t*>(staging) = 1;
  Stream stream = nullptr;
  if (const Status s = p_.api->make_stream(nullptr, 0, stream); s != kOk) return refused(s);
  if (const Status s = p_.api->copy(one, staging, sizeof(std::uint32_t), stream); s != kOk) return refused(s);
  if (const Status s = p_.api->synchronize(stream); s != kOk) return refused(s);
  nvml_.emplace(p_.nvml.get(), info_.pci);
  one_ = one;
  unit_ = config.unit;
  precision_ = config.precision;
  if (const Result<void> divided = divide_device(config); !divided) return divided;
  begun_ = true;
  return {};
}

// Each wish its part.
Result<void> CudaDriver::divide_device(const AcceleratorConfig& first) {
  std::vector<Wish> wishes{{first.name, first.sms}};
  for (const int sms : first.others) wishes.push_back({"another", sms});
  SmResource resource;
  if (!p_.api->has_green_contexts()) return share_device(wishes);
  if (const Status s = p_.api->sm_resource(unit_, resource); s != kOk)
    return meaning_of(s).fault == Fault::unavailable ? share_device(wishes) : refused(s);
  const Parsed<Partition> partition = divide(resource, wishes);
  if (!partition) {
    std::fprintf(stderr, "cuda: %s\n", partition.error().to_string().c_str());
    return fail(Code::invalid_argument, "the accelerators' sms do not fit the GPU; what would is on standard error");
  }
  std::vector<GreenContext> contexts(partition->parts.size());
  std::vector<int> granted(partition->parts.size());
  if (const Status s =
          p_.api->make_parts(unit_, partition->unit, partition->groups(), partition->rest_to_last, contexts, granted);
      s != kOk)
    return meaning_of(s).fault == Fault::unavailable ? share_device(wishes) : refused(s);
  for (std::size_t i = 0; i < contexts.size(); ++i) {
    const Wish& wish = wishes[partition->parts[i].wish];
    shares_.push_back({.wish = wish.sms,
                       .granted = granted[i],
                       .context = contexts[i],
                       .taken = false,
                       .note = grant_note(wish, granted[i], partition->unit)});
  }
  return {};
}

// Where green contexts are missing, or not to be had on this device, all have the whole of it, and say so.
Result<void> CudaDriver::share_device(std::span<const Wish> wishes) {
  for (const Wish& wish : wishes)
    shares_.push_back({.wish = wish.sms,
                       .granted = info_.sms,
                       .context = nullptr,
                       .taken = false,
                       .note = shared_note(wishes, info_.sms)});
  return {};
}

Result<std::size_t> CudaDriver::share_for(int wish) noexcept {
  for (std::size_t i = 0; i < shares_.size(); ++i) {
    if (shares_[i].taken || shares_[i].wish != wish) continue;
    shares_[i].taken = true;
    return i;
  }
  return fail(Code::invalid_argument, "the GPU was divided without this accelerator: end the executor to change that");
}

Result<void> CudaDriver::make_slots(std::uint64_t slot_bytes, std::uint32_t slots) {
  if (!begun_) return fail(Code::invalid_argument, "make_slots() before open()");
  // Slots are counted in floats; half as much is used in half precision.
  const std::uint64_t bytes = precision_ == Precision::half ? slot_bytes / 2 : slot_bytes;
  const std::uint64_t one = (bytes + 255) / 256 * 256;
  if (one <= slots_.bytes && slots <= slots_.count) return {};
  std::uint64_t free = 0, total = 0;
  if (const Status s = p_.api->memory(free, total); s != kOk) return refused(s);
  if (const Result<void> taken = budget_->take(Use::slots, one * slots, free); !taken) return taken;
  void* memory = nullptr;
  if (const Status s = p_.api->device_alloc(one * slots, memory); s != kOk) {
    budget_->give_back(Use::slots, one * slots);
    return refused(s);
  }
  if (slots_.base != nullptr) {
    p_.api->device_free(slots_.base);
    budget_->give_back(Use::slots, slots_.bytes * slots_.count);
  }
  slots_ = {.base = static_cast<std::byte*>(memory), .bytes = one, .count = slots};
  return {};
}

Result<void> CudaDriver::map_pool(std::span<const std::byte> memory, bool results) {
  // Results are written by the worker: they are short, and a header goes with them.
  if (results || !info_.registers_host || memory.empty()) return {};
  if (const Status s = p_.api->host_register(memory.data(), memory.size(), info_.registers_read_only); s != kOk)
    return refused(s);
  registered_.push_back(memory.data());
  return {};
}

void CudaDriver::unmap_pool(std::span<const std::byte> memory) noexcept {
  if (std::erase(registered_, memory.data()) > 0) p_.api->host_unregister(memory.data());
}

Result<DeviceHealth> CudaDriver::health(std::uint32_t) {
  if (!begun_) return fail(Code::invalid_argument, "health() before open()");
  DeviceHealth health = nvml_->sample();
  const std::lock_guard quiet(preparing_);
  health.late_allocations = p_.engine->counts(unit_).allocations - prepared_.allocations;
  return health;
}

// --- models and workers ---

Result<void> CudaDriver::load(const Model& model) {
  if (!begun_) return fail(Code::invalid_argument, "load() before open()");
  auto loaded = std::make_unique<Loaded>();
  Result<std::unique_ptr<models::NativeModule>> module = models::load_module(model);
  if (!module) return tl::unexpected(module.error());
  loaded->module = std::move(*module);
  try {
    Result<models::BoundModel> bound = models::BoundModel::bind(model, *loaded->module);
    if (!bound) return tl::unexpected(bound.error());
    loaded->bound = std::make_unique<models::BoundModel>(std::move(*bound));
  } catch (const std::exception&) {
    return fail(Code::no_memory, "no memory for the model");
  }
  const std::lock_guard alone(preparing_);
  std::uint64_t before = 0, after = 0, total = 0;
  if (const Status s = p_.api->memory(before, total); s != kOk) return refused(s);
  Result<std::unique_ptr<PlacedModel>> placed = p_.engine->place(*loaded->bound, unit_, precision_);
  if (!placed) return tl::unexpected(placed.error());
  loaded->placed = std::move(*placed);
  if (const Status s = p_.api->memory(after, total); s != kOk) return refused(s);
  if (const Result<void> taken = budget_->take(Use::weights, before - std::min(before, after), before); !taken)
    return taken;
  loaded_.push_back(std::move(loaded));
  return {};
}

Result<void> CudaDriver::enter(std::uint32_t accelerator, Criticality worker) {
  if (accelerator >= kMaxAccelerators || !accelerators_[accelerator].open)
    return fail(Code::invalid_argument, "enter() for an accelerator that is not open");
  Worker& mine = workers_[accelerator][static_cast<std::size_t>(worker)];
  if (mine.lane) return fail(Code::already_exists, "a lane's thread lives as long as the process");
  if (const Status s = p_.api->use_device(unit_); s != kOk) return refused(s);
  int least = 0, greatest = 0;
  if (const Status s = p_.api->priorities(least, greatest); s != kOk) return refused(s);
  Stream stream = nullptr;
  const GreenContext context = shares_[accelerators_[accelerator].share].context;
  if (const Status s = p_.api->make_stream(context, priority_of(worker, least, greatest), stream); s != kOk)
    return refused(s);
  const LaneContext lane{.api = p_.api.get(),
                         .engine = p_.engine.get(),
                         .clock = p_.clock.get(),
                         .budget = budget_.get(),
                         .device = unit_,
                         .one = one_,
                         .fatal = p_.fatal};
  mine.lane = std::make_unique<Lane>(lane, stream, p_.keys);
  mine.thread.store(std::this_thread::get_id());
  return {};
}

Result<void> CudaDriver::prepare(std::uint32_t accelerator, Criticality worker) {
  if (accelerator >= kMaxAccelerators) return fail(Code::invalid_argument, "the accelerator is unknown");
  Lane* const lane = workers_[accelerator][static_cast<std::size_t>(worker)].lane.get();
  if (lane == nullptr) return fail(Code::invalid_argument, "prepare() before enter()");
  const std::lock_guard alone(preparing_);
  std::vector<const PlacedModel*> models;
  for (const auto& loaded : loaded_) models.push_back(loaded->placed.get());
  const Result<void> ready = lane->prepare(models, slots_, worker != Criticality::soft);
  prepared_ = p_.engine->counts(unit_);
  return ready;
}

// To record takes device memory, which may stall whatever runs: only while nothing does.
bool CudaDriver::prepare_more(std::uint32_t accelerator, Criticality worker) noexcept {
  if (accelerator >= kMaxAccelerators) return false;
  Lane* const lane = workers_[accelerator][static_cast<std::size_t>(worker)].lane.get();
  if (lane == nullptr) return false;
  const std::unique_lock alone(preparing_, std::try_to_lock);
  if (!alone || under_way_.load() > 0) return true;
  try {
    const bool more = lane->prepare_more();
    prepared_ = p_.engine->counts(unit_);
    return more;
  } catch (const std::exception&) {
    return false;  // no memory: what has no graph runs eagerly
  }
}

Lane* CudaDriver::lane_here() noexcept {
  const std::thread::id me = std::this_thread::get_id();
  for (auto& classes : workers_)
    for (Worker& worker : classes)
      if (worker.thread.load(std::memory_order_relaxed) == me) return worker.lane.get();
  return nullptr;
}

Result<void> CudaDriver::launch(const Launch& launch) noexcept {
  Lane* const lane = lane_here();
  if (lane == nullptr) return fail(Code::invalid_argument, "launch() on a thread that has not called enter()");
  const Result<void> begun = lane->launch(launch);
  if (begun) ++under_way_;
  return begun;
}

Result<bool> CudaDriver::await(Instant until) noexcept {
  Lane* const lane = lane_here();
  if (lane == nullptr) return fail(Code::invalid_argument, "await() on a thread that has not called enter()");
  const bool idle = lane->idle();
  const Result<bool> ended = lane->await(until);
  if (!idle && (!ended || *ended)) --under_way_;
  return ended;
}

Result<void> CudaDriver::run(const Launch& launch) noexcept {
  if (const Result<void> begun = this->launch(launch); !begun) return begun;
  const Result<bool> ended = await(kNever);
  return ended ? Result<void>{} : tl::unexpected(ended.error());
}

}  // namespace takt::cuda
