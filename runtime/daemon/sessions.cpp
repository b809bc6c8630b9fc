// The control thread's side of clients: connections, handshakes, pools, streams to be.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "daemon/control.hpp"
#include "live/monotonic_clock.hpp"
#include "wire/decode.hpp"

namespace takt::daemon {
namespace {

constexpr std::uint64_t kSessionTokens = 1024;
constexpr std::int64_t kClockSkewNs = 5'000'000'000;  // a client in another time namespace is off by far more

template <class T>
T reply(wire::Op op, std::uint64_t request) {
  T m{};
  m.header = {.op = op, .bytes = sizeof m, .request = request};
  return m;
}

std::uint64_t request_of(std::span<const std::byte> bytes) {
  wire::Header h;
  std::copy_n(bytes.begin(), sizeof h, reinterpret_cast<std::byte*>(&h));
  return h.request;
}

wire::WireTensorSpec wire_spec(const TensorSpec& spec) {
  wire::WireTensorSpec w;
  wire::set_text(w.name, spec.name);
  w.dtype = spec.dtype;
  w.rank = static_cast<std::uint8_t>(spec.dims.size());
  std::copy(spec.dims.begin(), spec.dims.end(), w.dims.begin());
  return w;
}

wire::ModelInfo model_info(const Model& model, std::uint32_t id, bool ready, std::uint64_t request) {
  auto m = reply<wire::ModelInfo>(wire::Op::model_info, request);
  m.model = id;
  m.inputs = static_cast<std::uint32_t>(model.inputs.size());
  m.outputs = static_cast<std::uint32_t>(model.outputs.size());
  m.forms = static_cast<std::uint32_t>(std::min(model.forms.size(), wire::kMaxForms));
  m.subnets = static_cast<std::uint32_t>(model.subnets.size());
  m.segments = static_cast<std::uint32_t>(model.segments.size());
  m.metrics = static_cast<std::uint32_t>(model.metrics.size());
  m.ready = ready;
  m.result_bytes = model.result_bytes();
  const auto [least, best] = std::minmax_element(model.subnets.begin(), model.subnets.end(),
                                                 [](const Subnet& a, const Subnet& b) { return a.accuracy < b.accuracy; });
  m.least_accuracy = least->accuracy;
  m.best_accuracy = best->accuracy;
  wire::set_text(m.name, model.name);
  for (std::size_t i = 0; i < model.inputs.size(); ++i) m.input[i] = wire_spec(model.inputs[i]);
  for (std::size_t i = 0; i < model.outputs.size(); ++i) m.output[i] = wire_spec(model.outputs[i]);
  for (std::size_t i = 0; i < m.forms; ++i)
    m.form[i] = {.format = model.forms[i].format, .width = model.forms[i].width, .height = model.forms[i].height};
  for (std::size_t i = 0; i < model.metrics.size(); ++i) wire::set_text(m.metric[i], model.metrics[i].name);
  return m;
}

}  // namespace

template <class T>
void Control::send(std::uint32_t session, const T& message, std::span<const int> descriptors) {
  // A client that does not read what it asked for is not waited for.
  if (!live::send_message(sessions_[session].socket.get(), message, descriptors)) end(session);
}

void Control::fail_request(std::uint32_t session, std::uint64_t request, Code code, const char* text) {
  auto m = reply<wire::Failure>(wire::Op::failure, request);
  m.code = static_cast<std::int32_t>(code);
  wire::set_text(m.text, text);
  send(session, m);
}

Result<void> Control::charge(Session& s, const Usage& more) {
  if (auto ok = quota_.charge(*s.listener, s.user, more); !ok) return ok;
  s.usage.sessions += more.sessions, s.usage.streams += more.streams, s.usage.memory += more.memory;
  return {};
}

void Control::refund(Session& s, const Usage& less) {
  quota_.refund(*s.listener, s.user, less);
  s.usage.sessions -= less.sessions, s.usage.streams -= less.streams, s.usage.memory -= less.memory;
}

void Control::accept(std::size_t listener) {
  for (;;) {
    auto socket = listeners_[listener].accept();
    if (!socket) {
      spdlog::warn("a connection was turned away: {}", socket.error().text);
      return;
    }
    if (!socket->valid()) return;
    const auto peer = live::peer_credentials(socket->get());
    const auto free = std::find_if(sessions_.begin(), sessions_.end(), [](const Session& s) { return s.state == Session::State::free; });
    if (!peer || free == sessions_.end()) continue;
    const auto id = static_cast<std::uint32_t>(free - sessions_.begin());
    Session& s = *free;
    s.serial = ++serials_;
    s.listener = &service_.config.listeners[listener];
    s.user = peer->uid;
    s.socket = std::move(*socket);
    if (auto ok = charge(s, {.sessions = 1}); !ok) {
      turn_away(id, ok.error().code, ok.error().text);
      continue;
    }
    s.state = Session::State::hello;
    if (!loop_.add(s.socket.get(), kSessionTokens + id)) end(id);
  }
}

void Control::turn_away(std::uint32_t session, Code code, const char* text) {
  auto m = reply<wire::Failure>(wire::Op::failure, 0);
  m.code = static_cast<std::int32_t>(code);
  wire::set_text(m.text, text);
  (void)live::send_message(sessions_[session].socket.get(), m);
  end(session);
}

void Control::hello(std::uint32_t session) {
  Session& s = sessions_[session];
  if (s.state != Session::State::hello) return;
  std::array<std::byte, wire::kMaxMessage> room;
  live::Packet p;
  const live::Received what = live::receive_packet(s.socket.get(), room, p);
  if (what == live::Received::nothing) return;
  if (what != live::Received::packet) return end(session);
  const auto m = wire::decode<wire::Hello>(p.bytes);
  if (!m) return turn_away(session, m.error().code, m.error().text);
  const std::int64_t now = to_ns(live::monotonic_now());
  if (m->now_ns > now + kClockSkewNs || m->now_ns < now - kClockSkewNs)
    return turn_away(session, Code::unsupported, "the client's CLOCK_MONOTONIC differs: it runs in another time namespace");
  s.name = wire::text_of(m->client);
  auto w = reply<wire::Welcome>(wire::Op::welcome, m->header.request);
  w.credits = std::min(s.listener->credits, wire::kMaxCredits);
  w.max_streams = s.listener->user.streams;
  w.max_pools = wire::kMaxPools;
  w.features = wire::kFeatures & m->features;
  w.generation = generation_;
  w.max_pool_bytes = s.listener->user.memory;
  w.now_ns = now;
  loop_.remove(s.socket.get());
  s.state = Session::State::active;
  command({.kind = Command::Kind::session_add, .session = session, .fd = s.socket.get(), .credits = w.credits});
  send(session, w);
}

// Ends a session that only this thread knows, or asks the scheduler thread to: it tells when nothing runs any more.
void Control::end(std::uint32_t session) {
  Session& s = sessions_[session];
  if (s.state == Session::State::active) {
    s.state = Session::State::leaving;
    command({.kind = Command::Kind::session_close, .session = session});
  } else if (s.state == Session::State::hello) {
    loop_.remove(s.socket.get());
    gone(session);
  } else if (s.state == Session::State::free) {
    s.socket.reset();
  }
}

void Control::gone(std::uint32_t session) {
  Session& s = sessions_[session];
  for (std::uint32_t i = 0; i < s.pools.size(); ++i) {
    if (s.pools[i].state == Pool::State::none) continue;
    executors_->unmap_pool(number(session, i + 1));
    s.pools[i] = Pool{};
  }
  refund(s, s.usage);
  for (StreamName& n : stream_names_) n.open = n.open && n.session != session;
  s = Session{};
}

void Control::packet(const Event& e, std::array<live::FileDescriptor, wire::kMaxDescriptors>& descriptors) {
  if (sessions_[e.session].state != Session::State::active) return;
  const std::span<const std::byte> bytes{e.data.data(), e.bytes};
  switch (wire::check_header(bytes).value_or(wire::Op::done)) {
    case wire::Op::list_models: list_models(e.session, bytes); return;
    case wire::Op::create_pool: create_pool(e.session, bytes, {}); return;
    case wire::Op::import_pool: create_pool(e.session, bytes, std::move(descriptors[0])); return;
    case wire::Op::free_pool: free_pool(e.session, bytes); return;
    case wire::Op::open_stream: open_stream(e.session, bytes, false); return;
    case wire::Op::update_stream: open_stream(e.session, bytes, true); return;
    case wire::Op::close_stream: close_stream(e.session, bytes); return;
    default: fail_request(e.session, request_of(bytes), Code::unsupported, "the broker does not know this request"); return;
  }
}

void Control::list_models(std::uint32_t session, std::span<const std::byte> bytes) {
  const std::uint64_t request = request_of(bytes);
  for (std::uint32_t i = 0; i < service_.models.size(); ++i)
    send(session, model_info(service_.models[i], i, executors_->holds(i), request));
  send(session, reply<wire::Done>(wire::Op::done, request));
}

void Control::create_pool(std::uint32_t session, std::span<const std::byte> bytes, live::FileDescriptor imported) {
  const auto m = wire::decode<wire::CreatePool>(bytes);
  const std::uint64_t request = request_of(bytes);
  if (!m) return fail_request(session, request, m.error().code, m.error().text);
  Session& s = sessions_[session];
  const auto free = std::find_if(s.pools.begin(), s.pools.end(), [](const Pool& p) { return p.state == Pool::State::none; });
  if (free == s.pools.end()) return fail_request(session, request, Code::no_capacity, "the session has all the pools it may have");
  if (auto ok = charge(s, {.memory = m->bytes}); !ok) return fail_request(session, request, ok.error().code, ok.error().text);
  const bool import = m->header.op == wire::Op::import_pool;
  Result<live::FileDescriptor> memory = import ? std::move(imported) : live::make_memory("takt-pool", m->bytes);
  if (import) {
    const auto size = live::check_memory(memory->get());
    if (!size) memory = tl::unexpected(size.error());
    else if (*size < m->bytes) memory = fail(Code::invalid_argument, "the memory is shorter than `bytes`");
  }
  if (!memory) {
    refund(s, {.memory = m->bytes});
    return fail_request(session, request, memory.error().code, memory.error().text);
  }
  Pool& pool = *free;
  pool.state = Pool::State::mapping;
  pool.kind = m->kind;
  pool.bytes = m->bytes;
  pool.request = request;
  pool.memory = std::move(*memory);
  pool.ours = !import;
  const std::uint32_t n = number(session, static_cast<std::uint32_t>(free - s.pools.begin()) + 1);
  if (!executors_->map_pool({.number = n, .kind = pool.kind, .bytes = pool.bytes, .fd = pool.memory.get()})) pool_ready(n);
}

// Every executor that is attached has mapped it: now frames may use it.
void Control::pool_ready(std::uint32_t n) {
  const std::uint32_t session = (n - 1) / wire::kMaxPools, index = n - session * wire::kMaxPools;
  Session& s = sessions_[session];
  Pool& pool = s.pools[index - 1];
  if (pool.state != Pool::State::mapping || s.state != Session::State::active) return;
  pool.state = Pool::State::ready;
  command({.kind = Command::Kind::pool_add, .session = session, .pool = index, .number = n, .pool_kind = pool.kind, .bytes = pool.bytes});
  auto m = reply<wire::PoolCreated>(wire::Op::pool_created, pool.request);
  m.pool = index;
  m.bytes = pool.bytes;
  const int fd = pool.memory.get();
  send(session, m, pool.ours ? std::span<const int>{&fd, 1} : std::span<const int>{});
}

void Control::free_pool(std::uint32_t session, std::span<const std::byte> bytes) {
  const auto m = wire::decode<wire::FreePool>(bytes);
  const std::uint64_t request = request_of(bytes);
  if (!m) return fail_request(session, request, m.error().code, m.error().text);
  Session& s = sessions_[session];
  if (m->pool == 0 || m->pool > s.pools.size() || s.pools[m->pool - 1].state != Pool::State::ready)
    return fail_request(session, request, Code::not_found, "no such pool of this session");
  s.pools[m->pool - 1].state = Pool::State::freeing;
  command({.kind = Command::Kind::pool_free, .session = session, .request = request, .pool = m->pool});
}

void Control::pool_unused(const Event& e) {
  Session& s = sessions_[e.session];
  Pool& pool = s.pools[e.pool - 1];
  executors_->unmap_pool(number(e.session, e.pool));
  refund(s, {.memory = pool.bytes});
  pool = Pool{};
  if (s.state == Session::State::active) send(e.session, reply<wire::Done>(wire::Op::done, e.request));
}

std::vector<SharedPool> Control::shared_pools() const {
  std::vector<SharedPool> all;
  for (std::uint32_t i = 0; i < sessions_.size(); ++i)
    for (std::uint32_t p = 0; p < wire::kMaxPools; ++p)
      if (const Pool& pool = sessions_[i].pools[p]; pool.state != Pool::State::none)
        all.push_back({.number = number(i, p + 1), .kind = pool.kind, .bytes = pool.bytes, .fd = pool.memory.get()});
  return all;
}

void Control::open_stream(std::uint32_t session, std::span<const std::byte> bytes, bool update) {
  const auto m = wire::decode<wire::OpenStream>(bytes);
  const std::uint64_t request = request_of(bytes);
  if (!m) return fail_request(session, request, m.error().code, m.error().text);
  Session& s = sessions_[session];
  auto r = std::make_unique<StreamRequest>();
  r->session = session;
  r->serial = s.serial;
  r->request = request;
  r->update = update;
  r->stream = StreamId{m->stream};
  if (auto ok = fill_spec(*m, *s.listener, *r); !ok) return fail_request(session, request, ok.error().code, ok.error().text);
  if (!update) {
    if (auto ok = charge(s, {.streams = 1}); !ok) return fail_request(session, request, ok.error().code, ok.error().text);
    r->routes = broker_->core().make_routes(r->spec);
    for (const Route& route : r->routes) r->subnets.push_back(route.subnet);
    r->result_bytes = service_.models[r->spec.model.value].result_bytes();
  }
  command({.kind = Command::Kind::stream, .session = session, .stream_request = r.release()});
}

Result<void> Control::fill_spec(const wire::OpenStream& m, const files::ListenerConfig& listener, StreamRequest& r) const {
  StreamSpec& spec = r.spec;
  r.name = wire::text_of(m.name);
  if (const std::string_view preset = wire::text_of(m.preset); !preset.empty()) {
    const auto& presets = service_.config.streams;
    const auto found = std::find_if(presets.begin(), presets.end(), [&](const files::StreamEntry& e) { return e.name == preset; });
    if (found == presets.end()) return fail(Code::not_found, "the configuration has no stream of that name");
    spec = service_.presets[static_cast<std::size_t>(found - presets.begin())];
    spec.parent = m.parent == StreamId::kNone ? StreamId{} : StreamId{m.parent};
    if (r.name.empty()) r.name = preset;
  } else {
    if (m.model >= service_.models.size()) return fail(Code::not_found, "no such model");
    spec.model = ModelId{m.model};
    spec.form = m.form;
    spec.period = Duration{m.period_ns};
    spec.jitter = Duration{m.jitter_ns};
    spec.relative_deadline = Duration{m.relative_deadline_ns};
    spec.criticality = static_cast<Criticality>(m.criticality);
    spec.late = static_cast<LateRule>(m.late);
    spec.queue = static_cast<QueueRule>(m.queue);
    spec.queue_depth = m.queue_depth;
    spec.accuracy_floor = m.accuracy_floor;
    spec.accuracy_ceiling = m.accuracy_ceiling;
    if (m.parent != StreamId::kNone) spec.parent = StreamId{m.parent};
    spec.trigger = {.op = static_cast<Trigger::Op>(m.trigger_op), .metric = static_cast<std::uint8_t>(m.trigger_metric), .threshold = m.trigger_threshold};
  }
  if (m.trigger_metric >= kMaxMetrics) return fail(Code::invalid_argument, "the model has no such metric");
  if (spec.criticality < listener.greatest) return fail(Code::no_permission, "this listener does not allow that class");
  if (spec.form >= static_cast<std::int32_t>(service_.models[spec.model.value].forms.size()) ||
      (spec.form < 0 && service_.models[spec.model.value].has_preprocessing()))
    return fail(Code::invalid_argument, "the model takes pictures: name one of its forms");
  if (r.name.empty()) r.name = service_.models[spec.model.value].name;
  std::replace_if(r.name.begin(), r.name.end(), [](char c) { return c == ',' || c < ' '; }, '_');
  return {};
}

void Control::stream_done(StreamRequest* request) {
  const std::unique_ptr<StreamRequest> r(request);
  Session& s = sessions_[r->session];
  if (s.serial != r->serial) return;  // it left, and its streams with it
  const bool refused = r->admission.outcome == Admission::Outcome::refused;
  if (!r->update && refused) refund(s, {.streams = 1});
  const Model& model = service_.models[r->spec.model.value];
  if (!refused && !r->update)
    stream_names_[r->stream.value] = {unlike_others(r->name, r->stream.value), r->session, true, r->spec.model, r->subnets};
  if (!refused) print_open(*r);
  if (s.state != Session::State::active) return;
  auto m = reply<wire::StreamOpened>(wire::Op::stream_opened, r->request);
  m.stream = r->stream.value;
  m.outcome = static_cast<std::uint8_t>(r->admission.outcome);
  m.reason = static_cast<std::uint8_t>(r->admission.reason);
  m.model = r->spec.model.value;
  m.form = r->spec.form;
  m.bound_ns = to_ns(r->admission.bound);
  m.feasible_period_ns = to_ns(r->admission.feasible_period);
  m.result_bytes = model.result_bytes();
  if (!refused) {
    const std::vector<std::uint32_t>& subnets = stream_names_[r->stream.value].subnets;
    m.routes = static_cast<std::uint16_t>(subnets.size());
    m.route = r->admission.route.value;
    m.accelerator = r->admission.accelerator.value;
    if (m.route < subnets.size()) wire::set_text(m.subnet, model.subnets[subnets[m.route]].name);
    if (r->admission.accelerator.valid())
      wire::set_text(m.accelerator_name, service_.config.accelerator(r->admission.accelerator).config.name);
  }
  send(r->session, m);
}

// Two applications may open the same preset: the trace tells them apart by the later one's number.
std::string Control::unlike_others(std::string name, std::uint32_t stream) const {
  for (std::size_t i = 0; i < stream_names_.size(); ++i)
    if (i != stream && stream_names_[i].open && stream_names_[i].name == name) return name + '#' + std::to_string(stream);
  return name;
}

void Control::close_stream(std::uint32_t session, std::span<const std::byte> bytes) {
  const auto m = wire::decode<wire::CloseStream>(bytes);
  const std::uint64_t request = request_of(bytes);
  if (!m) return fail_request(session, request, m.error().code, m.error().text);
  command({.kind = Command::Kind::stream_close, .session = session, .request = request, .stream = m->stream});
}

void Control::stream_closed(const Event& e) {
  Session& s = sessions_[e.session];
  if (s.state == Session::State::free) return;
  if (!e.failed) refund(s, {.streams = 1});
  if (!e.failed) stream_names_[e.stream].open = false;
  if (s.state != Session::State::active) return;
  if (e.failed) return fail_request(e.session, e.request, Code::not_found, "no such stream of this session is open");
  send(e.session, reply<wire::Done>(wire::Op::done, e.request));
}

}  // namespace takt::daemon
