// Validation of the executor protocol. Every judge works on a private copy.
#include "wire/executor_decode.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "takt/driver.hpp"
#include "wire/judging.hpp"

namespace takt::wire {
namespace {

constexpr Fault kBadText = "a text is not zero-terminated";

bool known_or_positive(float value) noexcept {
  return std::isfinite(value) && (value == -1 || value >= 0);
}

Fault judge(const ExecutorHello& m) noexcept {
  if (!zero(m.reserved)) return kBadReserved;
  if (m.preemption > static_cast<std::uint8_t>(Preemption::running) || m.shares_slots > 1) return kBadNumber;
  const bool texts = terminated(m.device) && terminated(m.driver) &&
                     std::all_of(m.held.begin(), m.held.end(), [](const Name& name) { return terminated(name); });
  return texts ? nullptr : kBadText;
}

Fault judge(const Attach&) noexcept {
  return nullptr;  // what it says of memory is judged against the memory
}

Fault judge(const OpenAccelerator& m) noexcept {
  if (!zero(m.reserved)) return kBadReserved;
  if (m.header.number >= kMaxExecutorAccelerators || m.cores > m.core.size() || m.threads == 0) return kBadNumber;
  if (m.threads > m.core.size() || m.realtime_worker > 1 || m.precision > static_cast<std::uint8_t>(Precision::half))
    return kBadNumber;
  if (m.unit > kMaxUnit || m.sms > kMaxSms || m.others > m.other_sms.size()) return kBadNumber;
  if (std::any_of(m.other_sms.begin(), m.other_sms.end(), [](std::uint32_t sms) { return sms > kMaxSms; }))
    return kBadNumber;
  return terminated(m.name) ? nullptr : kBadText;
}

Fault judge(const LoadModel& m) noexcept {
  if (m.reserved != 0) return kBadReserved;
  return terminated(m.directory) && terminated(m.profile) ? nullptr : kBadText;
}

Fault judge(const MapPool& m) noexcept {
  if (m.reserved != 0) return kBadReserved;
  return m.kind == PoolKind::frames || m.kind == PoolKind::results ? nullptr : "no such kind of pool";
}

Fault judge(const Ready& m) noexcept {
  if (!zero(m.reserved)) return kBadReserved;
  if (m.failed > 1 || m.realtime > 1 || m.sms > kMaxSms) return kBadNumber;
  switch (m.about) {
    case ExecutorOp::accelerator:
    case ExecutorOp::load_model:
    case ExecutorOp::map_pool:
    case ExecutorOp::unmap_pool:
    case ExecutorOp::start_workers: return terminated(m.text) ? nullptr : kBadText;
    default: return "it answers what is no request";
  }
}

Fault judge(const DeviceHealth& m) noexcept {
  if (!zero(m.reserved)) return kBadReserved;
  if (m.header.number >= kMaxExecutorAccelerators || m.throttled > 1 || m.energy_mj < -1) return kBadNumber;
  if (m.clock_mhz < -1 || m.memory_clock_mhz < -1 || m.others < -1 || m.late_allocations < -1) return kBadNumber;
  const bool numbers = known_or_positive(m.power_w) && std::isfinite(m.temperature_c) && known_or_positive(m.busy) &&
                       m.busy <= 1 && known_or_positive(m.pace);
  return numbers ? nullptr : kBadNumber;
}

Fault judge(const ExecutorSimple&) noexcept {
  return nullptr;
}

// Which operations a struct is the body of.
template <class T>
constexpr bool carries(ExecutorOp op) noexcept {
  using Op = ExecutorOp;
  if constexpr (std::is_same_v<T, ExecutorHello>) return op == Op::hello;
  if constexpr (std::is_same_v<T, Attach>) return op == Op::attach;
  if constexpr (std::is_same_v<T, OpenAccelerator>) return op == Op::accelerator;
  if constexpr (std::is_same_v<T, LoadModel>) return op == Op::load_model;
  if constexpr (std::is_same_v<T, MapPool>) return op == Op::map_pool;
  if constexpr (std::is_same_v<T, Ready>) return op == Op::ready;
  if constexpr (std::is_same_v<T, DeviceHealth>) return op == Op::device_health;
  if constexpr (std::is_same_v<T, ExecutorSimple>)
    return op == Op::unmap_pool || op == Op::start_workers || op == Op::quit;
  return false;
}

}  // namespace

Result<ExecutorHeader> check_executor_header(std::span<const std::byte> packet) noexcept {
  ExecutorHeader header;
  if (packet.size() < sizeof header) return fail(Code::corrupt, "the message is shorter than its header");
  std::memcpy(&header, packet.data(), sizeof header);
  if (header.magic != kMagic) return fail(Code::corrupt, "this is no message of takt");
  if (header.major != kExecutorMajor)
    return fail(Code::unsupported, "taktd and takt-exec are of different versions", header.major);
  if (header.bytes != packet.size()) return fail(Code::corrupt, "the message is not as long as it says");
  return header;
}

template <class T>
Result<T> decode_executor(std::span<const std::byte> packet) noexcept {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= kMaxMessage);
  const Result<ExecutorHeader> header = check_executor_header(packet);
  if (!header) return tl::unexpected<Error>(header.error());
  if (!carries<T>(header->op)) return fail(Code::corrupt, "the operation does not belong here");
  if (packet.size() != sizeof(T)) return fail(Code::corrupt, "the message has the wrong size for its operation");
  T message;
  std::memcpy(&message, packet.data(), sizeof message);
  if (const Fault fault = judge(message)) return fail(Code::invalid_argument, fault);
  return message;
}

template Result<ExecutorHello> decode_executor(std::span<const std::byte>) noexcept;
template Result<Attach> decode_executor(std::span<const std::byte>) noexcept;
template Result<OpenAccelerator> decode_executor(std::span<const std::byte>) noexcept;
template Result<LoadModel> decode_executor(std::span<const std::byte>) noexcept;
template Result<MapPool> decode_executor(std::span<const std::byte>) noexcept;
template Result<Ready> decode_executor(std::span<const std::byte>) noexcept;
template Result<DeviceHealth> decode_executor(std::span<const std::byte>) noexcept;
template Result<ExecutorSimple> decode_executor(std::span<const std::byte>) noexcept;

}  // namespace takt::wire
