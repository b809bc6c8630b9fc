// The null driver: pretends an accelerator. It takes the profiled time, moves eight bytes, and can misbehave on
// request, or be a device with a queue and activations of its own.
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "takt/driver.hpp"

namespace takt {
namespace {

// What passes from segment to segment in the activation slots, as far as they have room: the first bytes of the frame,
// so that tests can tell whose answer they hold, and the metric.
struct Essence {
  std::array<std::byte, 8> tag{};
  float metric = 0;
};

// Read once from the environment when the driver is made; README.md describes them.
struct Behaviour {
  bool spin = false;
  bool read_all = false;
  double noise = 0;
  bool device = false;
  int others = -1;
};

Behaviour read_behaviour() {
  Behaviour b;
  if (const char* mode = std::getenv("TAKT_NULL_MODE")) b.spin = std::string_view(mode) == "spin";
  if (const char* read = std::getenv("TAKT_NULL_READ")) b.read_all = std::string_view(read) == "1";
  if (const char* device = std::getenv("TAKT_NULL_DEVICE")) b.device = std::string_view(device) == "1";
  if (const char* others = std::getenv("TAKT_NULL_OTHERS")) b.others = std::atoi(others);
  if (const char* noise = std::getenv("TAKT_NULL_NOISE")) b.noise = std::clamp(std::strtod(noise, nullptr), 0.0, 1.0);
  return b;
}

std::int64_t now_ns() noexcept {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

void sleep_until(std::int64_t ns) noexcept {
  const timespec at{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) != 0) {
  }
}

// Uniform in [-1, 1); splitmix64, a state per worker.
double uniform() noexcept {
  static thread_local std::uint64_t state = 0x7461'6b74;
  std::uint64_t z = state += 0x9e37'79b9'7f4a'7c15;
  z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
  z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-52 - 1.0;
}

// Reads every byte at memory speed and keeps the compiler from leaving it out.
void touch(const TensorView& input) noexcept {
  std::uint64_t sum = 0;
  const std::size_t words = input.desc->bytes / sizeof(std::uint64_t);
  for (std::size_t i = 0; i < words; ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, input.data + i * sizeof(word), sizeof(word));
    sum += word;
  }
  for (std::size_t i = words * sizeof(std::uint64_t); i < input.desc->bytes; ++i)
    sum += std::to_integer<unsigned>(input.data[i]);
  asm volatile("" : : "r"(sum));
}

Essence essence_of(const TensorView& input) noexcept {
  Essence e;
  if (input.desc->bytes == 0) return e;
  std::memcpy(e.tag.data(), input.data, std::min<std::size_t>(e.tag.size(), input.desc->bytes));
  if (input.desc->dtype == DType::f32 && input.desc->bytes >= sizeof(float))
    std::memcpy(&e.metric, input.data, sizeof(float));
  else
    e.metric = static_cast<float>(std::to_integer<unsigned>(input.data[0])) / 255.0F;
  return e;
}

// Every output at its largest; the first bytes of each are the tag, the rest is left as it was.
Result<void> write_result(const Model& model, const Essence& e, std::span<std::byte> result) noexcept {
  if (result.size() < model.result_bytes()) return fail(Code::invalid_argument, "the result area is too small");
  ResultHeader header;
  std::uint64_t offset = align_result(sizeof(ResultHeader));
  for (const TensorSpec& spec : model.outputs) {
    TensorDesc& desc = header.tensors[header.count++];
    desc.dtype = spec.dtype;
    desc.rank = static_cast<std::uint8_t>(spec.dims.size());
    desc.bytes = bytes_of(spec.dtype);
    for (std::size_t d = 0; d < spec.dims.size(); ++d) {
      desc.dims[d] = spec.dims[d];
      desc.bytes *= spec.dims[d];
    }
    desc.offset = offset;
    std::memcpy(result.data() + offset, e.tag.data(), std::min<std::size_t>(e.tag.size(), desc.bytes));
    offset += align_result(desc.bytes);
  }
  std::memcpy(result.data(), &header, sizeof(header));
  return {};
}

// What a worker's queue holds: launches with the time at which each will have ended.
struct Queue {
  struct Item {
    const Launch* launch = nullptr;
    std::int64_t end = 0;
  };
  std::array<Item, 2> items{};
  std::size_t first = 0, count = 0;
  std::int64_t last_end = 0;
};

class NullDriver final : public Driver {
 public:
  [[nodiscard]] DriverCaps caps() const noexcept override {
    return {Preemption::queued, !behaviour_.device, behaviour_.device ? 2 : 1};
  }
  // A device counts what it was asked for; 1000 is more than it has.
  [[nodiscard]] Result<Opened> open(std::uint32_t, const AcceleratorConfig& config) override {
    constexpr int kSms = 128;
    if (!behaviour_.device) return Opened{};
    if (config.sms <= kSms) return Opened{config.sms == 0 ? kSms : config.sms, ""};
    return Opened{kSms, "it has 128 multiprocessors, " + std::to_string(config.sms) + " were asked for"};
  }
  [[nodiscard]] Result<void> load(const Model&) override { return {}; }
  [[nodiscard]] Result<void> make_slots(std::uint64_t, std::uint32_t slots) override {
    slots_.assign(slots, Essence{});
    return {};
  }
  [[nodiscard]] Result<DeviceHealth> health(std::uint32_t) override {
    if (!behaviour_.device) return fail(Code::unsupported, "the null driver measures nothing");
    DeviceHealth health;
    health.energy_mj = now_ns() / 1'000'000 * 100;  // 100 W since the machine started
    health.power_w = 100;
    health.temperature_c = 40;
    health.clock_mhz = 1000;
    health.others = behaviour_.others;
    return health;
  }
  [[nodiscard]] Result<void> enter(std::uint32_t, Criticality) override { return {}; }

  [[nodiscard]] Result<void> run(const Launch& launch) noexcept override {
    const std::int64_t begin = now_ns();
    misbehave(launch);
    for (JobIo& job : launch.jobs)
      if (const Result<void> moved = move(launch, job); !moved) return moved;
    wait_until(begin + time_of(launch));
    return outcome(launch);
  }

  [[nodiscard]] Result<void> launch(const Launch& launch) noexcept override {
    Queue& q = queue();
    if (q.count == q.items.size()) return fail(Code::no_capacity, "the null device's queue is full");
    misbehave(launch);
    const std::int64_t begin = std::max(now_ns(), q.last_end);
    q.last_end = begin + time_of(launch);
    q.items[(q.first + q.count++) % q.items.size()] = {&launch, q.last_end};
    return {};
  }

  [[nodiscard]] Result<bool> await(Instant until) noexcept override {
    Queue& q = queue();
    if (q.count == 0) return fail(Code::invalid_argument, "nothing is under way on the null device");
    const Queue::Item item = q.items[q.first];
    wait_until(std::min(item.end, to_ns(until)));
    if (now_ns() < item.end) return false;
    q.first = (q.first + 1) % q.items.size();
    --q.count;
    for (JobIo& job : item.launch->jobs)
      if (const Result<void> moved = move(*item.launch, job); !moved) return tl::unexpected(moved.error());
    if (const Result<void> went = outcome(*item.launch); !went) return tl::unexpected(went.error());
    return true;
  }

 private:
  // Of the calling worker.
  static Queue& queue() noexcept {
    static thread_local Queue queue;
    return queue;
  }

  static std::string_view segment_of(const Launch& launch) noexcept {
    return launch.model->segments[launch.variant->segment].name;
  }
  static void misbehave(const Launch& launch) noexcept {
    if (segment_of(launch).starts_with("crash")) std::abort();
    while (segment_of(launch).starts_with("hang")) ::pause();
  }
  static Result<void> outcome(const Launch& launch) noexcept {
    if (segment_of(launch).starts_with("fail")) return fail(Code::internal, "the null driver was asked to fail");
    return {};
  }

  [[nodiscard]] Result<void> move(const Launch& launch, JobIo& job) noexcept {
    Essence e;
    const auto segment = launch.variant->segment;
    if (behaviour_.read_all) std::for_each(job.inputs.begin(), job.inputs.end(), touch);
    if (behaviour_.device && job.slot_in_number != kNoSlotNumber)
      e = slots_[job.slot_in_number];
    else if (job.slot_in != nullptr && segment > 0)
      std::memcpy(&e, job.slot_in, room(launch.model->segments[segment - 1U].activation_bytes));
    else if (!job.inputs.empty())
      e = essence_of(job.inputs.front());
    if (behaviour_.device && job.slot_out_number != kNoSlotNumber)
      slots_[job.slot_out_number] = e;
    else if (job.slot_out != nullptr)
      std::memcpy(job.slot_out, &e, room(launch.variant->activation_bytes));
    if (job.metrics != nullptr) job.metrics[0] = e.metric;
    return job.result.empty() ? Result<void>{} : write_result(*launch.model, e, job.result);
  }

  static std::size_t room(std::uint64_t activation_bytes) noexcept {
    return std::min<std::size_t>(sizeof(Essence), activation_bytes);
  }

  [[nodiscard]] std::int64_t time_of(const Launch& launch) const noexcept {
    const double factor =
        (behaviour_.noise > 0 ? 1.0 + behaviour_.noise * uniform() : 1.0) * (1 + std::max(behaviour_.others, 0));
    return static_cast<std::int64_t>(static_cast<double>(to_ns(launch.expected)) * factor);
  }

  void wait_until(std::int64_t end) const noexcept {
    if (!behaviour_.spin && end > now_ns()) return sleep_until(end);
    while (now_ns() < end) {
    }
  }

  Behaviour behaviour_ = read_behaviour();
  std::vector<Essence> slots_;  // a device's, by number
};

std::unique_ptr<Driver> make_null() {
  return std::make_unique<NullDriver>();
}

}  // namespace
}  // namespace takt

TAKT_DRIVER(null, takt::make_null)
