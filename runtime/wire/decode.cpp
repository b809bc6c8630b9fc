// Validation of packets. Every judge below works on a private copy, so that nothing can change under it.
#include "wire/decode.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "takt/job.hpp"
#include "wire/judging.hpp"

namespace takt::wire {
namespace {

constexpr Fault kBadText = "a text is not zero-terminated or holds control characters";

template <std::size_t N>
bool good(const std::array<char, N>& text) noexcept {
  for (const char c : text) {
    if (c == '\0') return true;
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return false;
}

constexpr bool within(std::int64_t value, std::int64_t most) noexcept {
  return value >= 0 && value <= most;
}
bool fraction(float value) noexcept {
  return value >= 0 && value <= 1;
}  // false for NaN

constexpr bool known(DType type) noexcept {
  return bytes_of(type) != 0;
}
constexpr bool known(PictureFormat format) noexcept {
  return format <= PictureFormat::gray;
}

Fault judge(const Hello& m) noexcept {
  if (m.reserved != 0 || m.reserved2 != 0) return kBadReserved;
  if (m.min_major > m.max_major || m.now_ns < 0) return kBadNumber;
  return good(m.client) ? nullptr : kBadText;
}

Fault judge(const Welcome& m) noexcept {
  if (m.credits == 0 || m.credits > kMaxCredits || m.max_pools > kMaxPools || m.max_pool_bytes > kMaxPoolBytes)
    return kBadNumber;
  return m.now_ns < 0 ? kBadNumber : nullptr;
}

Fault judge(const Failure& m) noexcept {
  if (m.refused_frame > 1) return kBadNumber;
  return terminated(m.text) ? nullptr : kBadText;
}

Fault judge(const ListModels&) noexcept {
  return nullptr;
}
Fault judge(const Done&) noexcept {
  return nullptr;
}

Fault judge(const WireTensorSpec& spec) noexcept {
  if (!good(spec.name)) return kBadText;
  if (!known(spec.dtype) || spec.rank > kMaxRank) return kBadNumber;
  const auto dims = std::span(spec.dims).first(spec.rank);  // none for an input that is given by forms
  if (std::find(dims.begin(), dims.end(), 0u) != dims.end()) return kBadNumber;
  return zero(spec.reserved) ? nullptr : kBadReserved;
}

Fault judge(const WireForm& form) noexcept {
  if (!zero(form.reserved)) return kBadReserved;
  if (!known(form.format) || form.width > kMaxPictureWidth || form.height > kMaxPictureHeight) return kBadNumber;
  return picture_bytes(form.format, form.width, form.height) == 0 ? kBadNumber : nullptr;
}

Fault judge(const ModelInfo& m) noexcept {
  if (m.inputs > kMaxTensors || m.outputs > kMaxTensors || m.forms > kMaxForms || m.metrics > m.metric.size())
    return kBadNumber;
  if (m.ready > 1 || !fraction(m.best_accuracy) || !fraction(m.least_accuracy)) return kBadNumber;
  if (!good(m.name)) return kBadText;
  for (std::size_t i = 0; i < m.inputs; ++i)
    if (const Fault fault = judge(m.input[i])) return fault;
  for (std::size_t i = 0; i < m.outputs; ++i)
    if (const Fault fault = judge(m.output[i])) return fault;
  for (std::size_t i = 0; i < m.forms; ++i)
    if (const Fault fault = judge(m.form[i])) return fault;
  for (std::size_t i = 0; i < m.metrics; ++i)
    if (!good(m.metric[i])) return kBadText;
  return nullptr;
}

Fault judge_enumerations(const OpenStream& m) noexcept {
  if (m.criticality > static_cast<std::uint8_t>(Criticality::soft)) return "no such class";
  if (m.late > static_cast<std::uint8_t>(LateRule::finish)) return "no such late rule";
  if (m.queue > static_cast<std::uint8_t>(QueueRule::drop_oldest)) return "no such queue rule";
  if (m.trigger_op > static_cast<std::uint8_t>(Trigger::Op::greater_equal)) return "no such trigger";
  return nullptr;
}

Fault judge_times(const OpenStream& m) noexcept {
  if (!within(m.period_ns, kMaxPeriodNs)) return "the period is negative or over an hour";
  if (!within(m.jitter_ns, kMaxDeadlineAheadNs)) return "the jitter is negative or over 10 s";
  if (!within(m.relative_deadline_ns, kMaxDeadlineAheadNs)) return "the deadline is negative or over 10 s";
  const bool hard = m.criticality == static_cast<std::uint8_t>(Criticality::hard);
  if (hard && (m.period_ns == 0 || m.relative_deadline_ns == 0)) return "a hard stream needs a period and a deadline";
  return nullptr;
}

// A preset replaces everything but the names, so only its enumerations are looked at, which cost nothing.
Fault judge(const OpenStream& m) noexcept {
  if (!good(m.preset) || !good(m.name)) return kBadText;
  if (const Fault fault = judge_enumerations(m)) return fault;
  if (m.preset[0] != '\0') return nullptr;
  if (const Fault fault = judge_times(m)) return fault;
  if (m.form < -1 || m.form >= static_cast<std::int32_t>(kMaxForms)) return "no such picture form";
  if (m.queue_depth == 0 || m.queue_depth > kMaxQueueDepth) return "the queue depth is not from 1 to 1024";
  if (!fraction(m.accuracy_floor) || !fraction(m.accuracy_ceiling) || m.accuracy_floor > m.accuracy_ceiling)
    return "the accuracy bounds are not in 0 to 1 or cross";
  if (m.trigger_metric >= kMaxMetrics || !std::isfinite(m.trigger_threshold)) return "the trigger is no comparison";
  if (m.parent == Id<void>::kNone && m.trigger_op != 0) return "a trigger needs a parent stream";
  return nullptr;
}

Fault judge(const StreamOpened& m) noexcept {
  if (m.outcome > static_cast<std::uint8_t>(Admission::Outcome::refused) ||
      m.reason > static_cast<std::uint8_t>(Admission::Reason::bad_parent) || m.bound_ns < 0 || m.feasible_period_ns < 0)
    return kBadNumber;
  return good(m.subnet) && good(m.accelerator_name) ? nullptr : kBadText;
}

Fault judge(const CloseStream& m) noexcept {
  return m.reserved != 0 ? kBadReserved : nullptr;
}

Fault judge(const StreamChanged& m) noexcept {
  if (!zero(m.reserved)) return kBadReserved;
  return m.still_hard > 1 ? kBadNumber : nullptr;
}

Fault judge(const CreatePool& m) noexcept {
  if (m.reserved != 0) return kBadReserved;
  if (m.kind != PoolKind::frames && m.kind != PoolKind::results) return "no such kind of pool";
  return m.bytes == 0 || m.bytes > kMaxPoolBytes ? "the pool's size is 0 or absurd" : nullptr;
}

Fault judge(const PoolCreated& m) noexcept {
  if (m.reserved != 0) return kBadReserved;
  return m.bytes == 0 || m.bytes > kMaxPoolBytes ? kBadNumber : nullptr;
}

Fault judge(const FreePool& m) noexcept {
  return m.reserved != 0 ? kBadReserved : nullptr;
}

Fault judge(const ReleaseCredit& m) noexcept {
  if (m.reserved != 0) return kBadReserved;
  return m.count == 0 || m.count > kMaxCredits ? "the count of credits is not from 1 to 64" : nullptr;
}

Fault judge(const Cancel& m) noexcept {
  return m.reserved != 0 ? kBadReserved : nullptr;
}
Fault judge(const Notice& m) noexcept {
  return m.reserved != 0 ? kBadReserved : nullptr;
}

Fault judge(const VerdictMessage& m) noexcept {
  if (m.verdict >= kVerdicts || m.has_result > 1 || m.child_follows > 1 || !fraction(m.accuracy)) return kBadNumber;
  if (m.credits > kMaxCredits || m.executed_ns < 0) return kBadNumber;
  return good(m.subnet_name) ? nullptr : kBadText;
}

// Which operations a struct is the body of.
template <class T>
constexpr bool carries(Op op) noexcept {
  if constexpr (std::is_same_v<T, Hello>) return op == Op::hello;
  if constexpr (std::is_same_v<T, Welcome>) return op == Op::welcome;
  if constexpr (std::is_same_v<T, Failure>) return op == Op::failure;
  if constexpr (std::is_same_v<T, ListModels>) return op == Op::list_models;
  if constexpr (std::is_same_v<T, ModelInfo>) return op == Op::model_info;
  if constexpr (std::is_same_v<T, Done>) return op == Op::done;
  if constexpr (std::is_same_v<T, OpenStream>) return op == Op::open_stream || op == Op::update_stream;
  if constexpr (std::is_same_v<T, StreamOpened>) return op == Op::stream_opened;
  if constexpr (std::is_same_v<T, CloseStream>) return op == Op::close_stream;
  if constexpr (std::is_same_v<T, StreamChanged>) return op == Op::stream_changed;
  if constexpr (std::is_same_v<T, CreatePool>) return op == Op::create_pool || op == Op::import_pool;
  if constexpr (std::is_same_v<T, PoolCreated>) return op == Op::pool_created;
  if constexpr (std::is_same_v<T, FreePool>) return op == Op::free_pool;
  if constexpr (std::is_same_v<T, ReleaseCredit>) return op == Op::release_credit;
  if constexpr (std::is_same_v<T, Cancel>) return op == Op::cancel;
  if constexpr (std::is_same_v<T, Notice>) return op == Op::notice;
  if constexpr (std::is_same_v<T, VerdictMessage>) return op == Op::verdict;
  return false;
}

}  // namespace

Result<Op> check_header(std::span<const std::byte> packet) noexcept {
  Header header;
  if (packet.size() < sizeof header) return fail(Code::corrupt, "the message is shorter than its header");
  std::memcpy(&header, packet.data(), sizeof header);
  if (header.magic != kMagic) return fail(Code::corrupt, "this is no message of takt");
  if (header.bytes != packet.size() || packet.size() > kMaxMessage)
    return fail(Code::corrupt, "the message is not as long as it says");
  if (header.op < Op::hello || header.op > Op::verdict) return fail(Code::unsupported, "no such operation");
  if (header.op != Op::hello && header.major != kMajor)
    return fail(Code::unsupported, "another major version of the protocol: update the client library");
  if (header.reserved != 0) return fail(Code::corrupt, kBadReserved);
  return header.op;
}

template <class T>
Result<T> decode(std::span<const std::byte> packet) noexcept {
  static_assert(Message<T>);
  const Result<Op> op = check_header(packet);
  if (!op) return tl::unexpected<Error>(op.error());
  if (!carries<T>(*op)) return fail(Code::corrupt, "the operation does not belong here");
  if (packet.size() != sizeof(T)) return fail(Code::corrupt, "the message has the wrong size for its operation");
  T message;
  std::memcpy(&message, packet.data(), sizeof message);
  if constexpr (std::is_same_v<T, Hello>)
    if (message.min_major > kMajor || message.max_major < kMajor)
      return fail(Code::unsupported, "no major version in common: update the client library");
  if (const Fault fault = judge(message)) return fail(Code::invalid_argument, fault);
  return message;
}

template Result<Hello> decode(std::span<const std::byte>) noexcept;
template Result<Welcome> decode(std::span<const std::byte>) noexcept;
template Result<Failure> decode(std::span<const std::byte>) noexcept;
template Result<ListModels> decode(std::span<const std::byte>) noexcept;
template Result<ModelInfo> decode(std::span<const std::byte>) noexcept;
template Result<Done> decode(std::span<const std::byte>) noexcept;
template Result<OpenStream> decode(std::span<const std::byte>) noexcept;
template Result<StreamOpened> decode(std::span<const std::byte>) noexcept;
template Result<CloseStream> decode(std::span<const std::byte>) noexcept;
template Result<StreamChanged> decode(std::span<const std::byte>) noexcept;
template Result<CreatePool> decode(std::span<const std::byte>) noexcept;
template Result<PoolCreated> decode(std::span<const std::byte>) noexcept;
template Result<FreePool> decode(std::span<const std::byte>) noexcept;
template Result<ReleaseCredit> decode(std::span<const std::byte>) noexcept;
template Result<Cancel> decode(std::span<const std::byte>) noexcept;
template Result<Notice> decode(std::span<const std::byte>) noexcept;
template Result<VerdictMessage> decode(std::span<const std::byte>) noexcept;

Result<SubmitView> decode_submit(std::span<const std::byte> packet,
                                 std::array<TensorDesc, kMaxTensors>& storage) noexcept {
  const Result<Op> op = check_header(packet);
  if (!op) return tl::unexpected<Error>(op.error());
  if (*op != Op::submit) return fail(Code::corrupt, "the operation does not belong here");
  SubmitView view;
  if (packet.size() < sizeof view.submit) return fail(Code::corrupt, "the frame is cut short");
  std::memcpy(&view.submit, packet.data(), sizeof view.submit);
  const std::size_t inputs = view.submit.inputs;
  if (inputs == 0 || inputs > kMaxTensors) return fail(Code::invalid_argument, "a frame has 1 to 8 inputs");
  if (packet.size() != sizeof view.submit + inputs * sizeof(TensorDesc))
    return fail(Code::corrupt, "the frame is not as long as its inputs say");
  if (view.submit.capture_ns < 0) return fail(Code::invalid_argument, "the capture time is negative");
  if (view.submit.children > kMaxCredits) return fail(Code::invalid_argument, "too many result areas for children");
  std::memcpy(storage.data(), packet.data() + sizeof view.submit, inputs * sizeof(TensorDesc));
  view.inputs = std::span(storage).first(inputs);
  return view;
}

Result<void> check_deadline(std::int64_t deadline_ns, std::int64_t now_ns) noexcept {
  if (deadline_ns < 0) return fail(Code::invalid_argument, "the deadline is negative");
  if (deadline_ns - now_ns > kMaxDeadlineAheadNs)
    return fail(Code::invalid_argument, "the deadline is over 10 s ahead: is it CLOCK_MONOTONIC?");
  return {};
}

}  // namespace takt::wire
