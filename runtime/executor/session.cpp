// The executor's side of executor_protocol.hpp.
#include "executor/session.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "executor/log.hpp"
#include "wire/decode.hpp"
#include "wire/executor_decode.hpp"

namespace takt::executor {
namespace {

constexpr std::uint64_t kMaxVariants = 1 << 20;

constexpr Duration kHealthPeriod = std::chrono::seconds(1);

tl::unexpected<InputError> refuse(const std::string& model, std::string text) {
  return tl::unexpected<InputError>(InputError{model, 0, "", std::move(text)});
}

}  // namespace

Session::~Session() {
  view_.pools.each([&](const Pool& pool) { device_->pool_leaves(pool); });
}

Result<void> Session::greet(const std::string& device_name, const std::string& driver_name) {
  wire::ExecutorHello hello{};
  hello.header = {.op = wire::ExecutorOp::hello, .bytes = sizeof(hello), .number = 0};
  hello.pid = ::getpid();
  const DriverCaps caps = device_->driver().caps();
  hello.preemption = static_cast<std::uint8_t>(caps.preemption);
  hello.shares_slots = caps.shares_slots ? 1 : 0;
  wire::set_text(hello.device, device_name);
  wire::set_text(hello.driver, driver_name);
  const std::vector<std::string> held = device_->models().names();
  hello.models = static_cast<std::uint32_t>(held.size());
  for (std::size_t i = 0; i < std::min(held.size(), hello.held.size()); ++i) wire::set_text(hello.held[i], held[i]);
  return live::send_message(socket_.get(), hello);
}

Session::Next Session::receive() {
  live::Packet packet;
  for (;;) {
    switch (live::receive_packet(socket_.get(), room_, packet)) {
      case live::Received::nothing: return Next::go_on;
      case live::Received::closed: return Next::closed;
      case live::Received::malformed: log_line("the broker sent a malformed packet"); return Next::closed;
      case live::Received::packet: break;
    }
    if (const Next next = dispatch(packet); next != Next::go_on) return next;
  }
}

Session::Next Session::dispatch(live::Packet& packet) {
  const Result<wire::ExecutorHeader> header = wire::check_executor_header(packet.bytes);
  if (!header) {
    log_line("gave the broker up: %s", header.error().text);
    return Next::closed;
  }
  const wire::ExecutorOp op = header->op;
  const char* fault = nullptr;
  if (!attached() && op != wire::ExecutorOp::attach && op != wire::ExecutorOp::quit) fault = "it has not attached us";
  // Calls use(message) if the packet is a good one; false from it means that the session cannot go on.
  const auto call = [&]<class T>(std::type_identity<T>, auto&& use) {
    if (fault != nullptr) return;
    const Result<T> message = wire::decode_executor<T>(packet.bytes);
    if (!message)
      fault = message.error().text;
    else if (!use(*message))
      fault = "it asks for what cannot be";
  };
  switch (op) {
    case wire::ExecutorOp::attach:
      call(std::type_identity<wire::Attach>{}, [&](auto& m) { return attach(m, packet); });
      break;
    case wire::ExecutorOp::accelerator:
      call(std::type_identity<wire::OpenAccelerator>{}, [&](auto& m) { return open_accelerator(m); });
      break;
    case wire::ExecutorOp::load_model:
      call(std::type_identity<wire::LoadModel>{}, [&](auto& m) { return load_model(m); });
      break;
    case wire::ExecutorOp::map_pool:
      call(std::type_identity<wire::MapPool>{}, [&](auto& m) { return map_pool(m, packet); });
      break;
    case wire::ExecutorOp::unmap_pool:
      call(std::type_identity<wire::ExecutorSimple>{}, [&](auto& m) { return unmap_pool(m); });
      break;
    case wire::ExecutorOp::start_workers:
      call(std::type_identity<wire::ExecutorSimple>{}, [&](auto& m) { return start_workers(m); });
      break;
    case wire::ExecutorOp::quit: return Next::quit;
    default: fault = "no such operation"; break;
  }
  if (fault != nullptr) log_line("gave the broker up at message %u: %s", static_cast<unsigned>(op), fault);
  return fault == nullptr ? Next::go_on : Next::closed;
}

bool Session::attach(const wire::Attach& message, live::Packet& packet) {
  if (attached() || packet.descriptor_count != 4) return false;
  using live::Access, live::Mapping, live::Populate;
  std::uint64_t board_bytes = 0, slot_bytes = 0;
  if (__builtin_mul_overflow(message.board_jobs, sizeof(wire::JobRecord), &board_bytes) ||
      __builtin_mul_overflow(message.slot_bytes, message.slots, &slot_bytes))
    return false;
  auto memory =
      Mapping::map(packet.descriptors[0].get(), sizeof(wire::ExecutorMemory), Access::read_write, Populate::eager);
  auto board = Mapping::map(packet.descriptors[1].get(), board_bytes, Access::read_only, Populate::eager);
  if (!memory || !board) return false;
  const bool shares_slots = device_->driver().caps().shares_slots;
  if (slot_bytes > 0 && shares_slots) {
    auto slots = Mapping::map(packet.descriptors[2].get(), slot_bytes, Access::read_write, Populate::eager);
    if (!slots) return false;
    slots_ = std::move(*slots);
  }
  auto* const rings = memory->as<wire::ExecutorMemory>();
  if (rings->magic != wire::kRingsMagic || rings->version != wire::kRingsVersion ||
      rings->generation != message.generation)
    return false;
  memory_ = std::move(*memory);
  board_ = std::move(*board);
  view_.memory = rings;
  view_.board = {board_.as<wire::JobRecord>(), static_cast<std::size_t>(message.board_jobs)};
  view_.slots = slots_.data();
  view_.slot_bytes = message.slot_bytes;
  view_.slot_count = slots_.valid() || !shares_slots ? message.slots : 0;
  view_.completed = live::Notifier(std::move(packet.descriptors[3]));
  return true;
}

bool Session::open_accelerator(const wire::OpenAccelerator& message) {
  if (started_) return false;
  const std::uint32_t position = message.header.number;
  AcceleratorSetup setup;
  setup.config.name = wire::text_of(message.name);
  setup.config.cores.assign(message.core.begin(), message.core.begin() + message.cores);
  setup.config.threads = static_cast<int>(message.threads);
  setup.config.unit = static_cast<int>(message.unit);
  setup.config.sms = static_cast<int>(message.sms);
  setup.config.others.assign(message.other_sms.begin(), message.other_sms.begin() + message.others);
  setup.config.precision = static_cast<Precision>(message.precision);
  setup.spin = std::chrono::microseconds(message.spin_us);
  setup.priority = message.realtime_priority;
  setup.realtime = message.realtime_worker != 0;
  const Result<Opened> opened = device_->open(position, setup);
  if (!opened) return answer(message.header, tl::unexpected(opened.error()));
  if (std::find(accelerators_.begin(), accelerators_.end(), position) == accelerators_.end())
    accelerators_.push_back(position);
  wire::Ready ready{};
  ready.sms = std::min(static_cast<std::uint32_t>(std::max(opened->sms, 0)), wire::kMaxSms);
  wire::set_text(ready.text, opened->note);
  return send(ready, message.header.op, position);
}

bool Session::load_model(const wire::LoadModel& message) {
  if (started_) return false;
  wire::Ready ready{};
  if (const Parsed<void> loaded = load(message); !loaded) {
    const std::string text = loaded.error().to_string();
    log_line("cannot load a model: %s", text.c_str());
    ready.failed = 1;
    ready.code = static_cast<std::int32_t>(Code::corrupt);
    wire::set_text(ready.text, text);
  }
  return send(ready, message.header.op, message.header.number);
}

Parsed<void> Session::load(const wire::LoadModel& message) {
  const std::string directory(wire::text_of(message.directory));
  if (message.first_variant >= kMaxVariants) return refuse(directory, "its variants' numbers are out of range");
  const Parsed<ModelShelf::Loaded> loaded = device_->models().get(directory, VariantId{message.first_variant});
  if (!loaded) return tl::unexpected<InputError>(loaded.error());
  const Model& model = *loaded->model;
  for (const Variant& variant : model.variants)
    if (variant.activation_bytes > 0 && variant.activation_bytes > view_.slot_bytes)
      return refuse(directory, "segment variant '" + variant.name + "' needs an activation slot of " +
                                   std::to_string(variant.activation_bytes) + " bytes, slots have " +
                                   std::to_string(view_.slot_bytes));
  const std::size_t end = message.first_variant + model.variants.size();
  if (view_.places.size() < end) view_.places.resize(end);
  for (std::size_t v = 0; v < model.variants.size(); ++v) {
    const Variant& variant = model.variants[v];
    view_.places[message.first_variant + v] = {.model = &model,
                                               .variant = &variant,
                                               .first = variant.segment == 0,
                                               .last = variant.segment + 1U == model.segments.size(),
                                               .result_bytes = model.result_bytes()};
  }
  log_line("%s model %s", loaded->reused ? "still holds" : "loaded", model.name.c_str());
  return {};
}

bool Session::map_pool(const wire::MapPool& message, live::Packet& packet) {
  if (packet.descriptor_count != 1) return false;
  const Result<void> mapped =
      view_.pools.map(message.header.number, packet.descriptors[0].get(), message.bytes, message.kind);
  if (mapped) device_->pool_mapped(*view_.pools.find(message.header.number));
  return answer(message.header, mapped);
}

bool Session::unmap_pool(const wire::ExecutorSimple& message) {
  if (const Pool* const pool = view_.pools.find(message.header.number); pool != nullptr) device_->pool_leaves(*pool);
  return answer(message.header, view_.pools.unmap(message.header.number));
}

bool Session::start_workers(const wire::ExecutorSimple& message) {
  if (started_) return false;
  // Not at attach: only now does a driver know all of its devices.
  if (!device_->driver().caps().shares_slots) {
    const Result<void> made =
        device_->driver().make_slots(view_.slot_bytes, static_cast<std::uint32_t>(view_.slot_count));
    if (!made) return answer(message.header, made);
  }
  const Result<StartReport> started = device_->start(view_, accelerators_);
  if (!started) return answer(message.header, tl::unexpected(started.error()));
  started_ = true;
  wire::Ready ready{};
  ready.realtime = started->realtime ? 1 : 0;
  wire::set_text(ready.text, started->text);
  if (!started->realtime) log_line("runs without real time: %s", started->text.c_str());
  return send(ready, message.header.op, message.header.number);
}

Instant Session::tell_health(Instant now) {
  if (!started_) return kNever;
  if (now < next_health_) return next_health_;
  next_health_ = kNever;
  for (const std::uint32_t a : accelerators_) {
    // What does not fit now, or cannot be had, comes a second later.
    if (const auto health = device_->health(a); health) (void)live::send_message(socket_.get(), *health);
    if (device_->measures(a)) next_health_ = now + kHealthPeriod;
  }
  return next_health_;
}

bool Session::answer(const wire::ExecutorHeader& request, const Result<void>& outcome) {
  wire::Ready ready{};
  if (!outcome) {
    const Error& error = outcome.error();
    log_line("message %u about %u failed: %s (%ld)", static_cast<unsigned>(request.op), request.number, error.text,
             error.vendor);
    ready.failed = 1;
    ready.code = static_cast<std::int32_t>(error.code);
    wire::set_text(ready.text, error.text + (" (" + std::to_string(error.vendor) + ")"));
  }
  return send(ready, request.op, request.number);
}

bool Session::send(wire::Ready ready, wire::ExecutorOp about, std::uint32_t number) {
  ready.header = {.op = wire::ExecutorOp::ready, .bytes = sizeof(ready), .number = number};
  ready.about = about;
  return live::send_message(socket_.get(), ready).has_value();
}

}  // namespace takt::executor
