// The control thread's set-up, loop, events and trace file; see control.hpp.
#include "daemon/control.hpp"

#include <grp.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "live/monotonic_clock.hpp"
#include "live/realtime.hpp"
#include "policies/support/compose.hpp"

namespace takt::daemon {
namespace {

using namespace std::chrono_literals;
constexpr std::uint64_t kEvents = 1, kSignals = 2, kTrace = 3, kStatus = 4, kListeners = 16, kSessions = 1024, kExecutors = 4096;
constexpr Duration kTraceDelay = 50ms;  // events are printed in batches this far apart
constexpr Duration kStopLimit = 2s;

tl::unexpected<std::string> failed(const std::string& what, const Error& e) {
  return tl::unexpected(what + ": " + e.text + (e.vendor != 0 ? " (" + std::string(strerrordesc_np(static_cast<int>(e.vendor))) + ")" : ""));
}

// Blocked before any thread exists, so that only the signalfd takes them.
live::FileDescriptor stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return live::FileDescriptor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

void give_group(const files::ListenerConfig& l) {
  if (l.group.empty()) return;
  const group* g = getgrnam(l.group.c_str());
  if (g == nullptr || ::chown(l.path.c_str(), static_cast<uid_t>(-1), g->gr_gid) != 0)
    spdlog::warn("listener {}: cannot give it to group {}: only the socket's owner can connect", l.path.string(), l.group);
}

}  // namespace

tl::expected<std::unique_ptr<Control>, std::string> Control::make(const files::Service& service, Programs programs) {
  auto loop = live::EventLoop::make();
  if (!loop) return failed("event loop", loop.error());
  std::unique_ptr<Control> control(new Control(service, std::move(*loop)));
  if (auto ok = control->set_up(std::move(programs)); !ok) return tl::unexpected(ok.error());
  return control;
}

Control::~Control() = default;

tl::expected<void, std::string> Control::set_up(Programs programs) {
  started_ = live::monotonic_now();
  generation_ = static_cast<std::uint64_t>(to_ns(started_));
  report_.accelerators.resize(service_.config.accelerators());
  sessions_.resize(kMaxSessions);
  stream_names_.resize(service_.config.max_streams);
  signals_ = stop_signals();
  auto policy = compose_policy(service_.config.policy, service_.config.policy_settings);
  if (!policy) return tl::unexpected("policy: " + policy.error());
  policy_ = std::move(*policy);
  auto commands = live::Notifier::make(), events = live::Notifier::make(), trace = live::Notifier::make();
  if (!commands || !events || !trace) return tl::unexpected(std::string("cannot make eventfds: the limit of open files is too low"));
  commands_ = std::make_unique<Commands>(std::move(*commands));
  events_ = std::make_unique<Events>(std::move(*events));
  if (service_.config.trace) {
    trace_ = std::make_unique<TraceRing>(service_.config.trace->events, std::move(*trace));
    trace_file_.open(service_.config.trace->file, std::ios::trunc);
    if (!trace_file_) return tl::unexpected("trace file " + service_.config.trace->file.string() + " cannot be written");
    (void)loop_.add(trace_->fd(), kTrace, live::kEdge);
  }
  (void)loop_.add(events_->fd(), kEvents, live::kEdge);
  (void)loop_.add(signals_.get(), kSignals);
  if (auto ok = make_memory(); !ok) return ok;
  auto broker = BrokerThread::make(service_, *policy_, board_.as<wire::JobRecord>(), service_.config.activations.slots,
                                   *commands_, *events_, trace_.get());
  if (!broker) return failed("scheduler thread", broker.error());
  broker_ = std::move(*broker);
  ExecutorShare share{.board = board_memory_.get(), .slots = slot_memory_.get(), .board_jobs = service_.config.max_jobs,
                      .slot_bytes = slot_bytes_, .slot_count = service_.config.activations.slots,
                      .up = [this](ExecutorLink* l) { command({.kind = Command::Kind::executor_up, .link = l}); },
                      .down = [this](ExecutorLink* l) { command({.kind = Command::Kind::executor_down, .link = l}); },
                      .pool_mapped = [this](std::uint32_t n) { pool_ready(n); }};
  executors_ = std::make_unique<Executors>(service_, std::move(programs), std::move(share), loop_, kExecutors);
  executors_->set_pools([this] { return shared_pools(); });
  return listen();
}

// The board of job records and the activation slots, shared with every executor.
tl::expected<void, std::string> Control::make_memory() {
  const std::uint64_t board_bytes = service_.config.max_jobs * sizeof(wire::JobRecord);
  auto board = live::make_memory("takt-board", board_bytes);
  if (!board) return failed("job board", board.error());
  auto mapping = live::Mapping::map(board->get(), board_bytes, live::Access::read_write, live::Populate::eager);
  if (!mapping) return failed("job board", mapping.error());
  slot_bytes_ = service_.config.activations.bytes;
  for (const Model& model : service_.models)
    for (const Variant& v : model.variants) slot_bytes_ = std::max(slot_bytes_, align_result(v.activation_bytes));
  slot_bytes_ = std::max(slot_bytes_, kResultAlignment);
  auto slots = live::make_memory("takt-slots", service_.config.activations.slots * slot_bytes_);
  if (!slots) return failed("activation slots", slots.error());
  board_memory_ = std::move(*board);
  board_ = std::move(*mapping);
  slot_memory_ = std::move(*slots);
  return {};
}

tl::expected<void, std::string> Control::listen() {
  if (auto ok = executors_->listen(); !ok) return failed("executor socket", ok.error());
  for (const files::ListenerConfig& l : service_.config.listeners) {
    auto listener = live::Listener::bind(l.path, l.mode);
    if (!listener) return failed("listener " + l.path.string(), listener.error());
    give_group(l);
    listeners_.push_back(std::move(*listener));
    (void)loop_.add(listeners_.back().fd(), kListeners + listeners_.size() - 1);
  }
  if (!service_.config.status) return {};
  auto status = StatusSocket::bind(*service_.config.status);
  if (!status) return failed("status socket " + service_.config.status->path.string(), status.error());
  status_.emplace(std::move(*status));
  (void)loop_.add(status_->fd(), kStatus);
  return {};
}

int Control::run() {
  if (service_.config.scheduler.lock_memory)
    if (const live::Grant lock = live::lock_memory(); !lock.granted) spdlog::warn("degraded: {}", lock.text);
  broker_->start();
  if (!broker_->degraded().empty()) spdlog::warn("degraded: {}", broker_->degraded());
  executors_->check(live::monotonic_now());
  sd_notifyf(0, "READY=1\nSTATUS=policy %s%s", service_.config.policy.c_str(), broker_->degraded().empty() ? "" : ", degraded: no real time");
  spdlog::info("ready: policy {}, {} models, {} accelerators", service_.config.policy, service_.models.size(), service_.config.accelerators());
  Instant stop_at = kNever;
  while (!stopping_ || (!executors_->all_ended() && live::monotonic_now() < stop_at)) {
    loop_.set_timer(std::min({drain_at_, stop_at, executors_->next_check()}));
    const auto events = loop_.wait();
    const Instant now = live::monotonic_now();
    for (const live::Event& e : events) handle(e, now);
    if (stopping_ && stop_at == kNever) {
      sd_notify(0, "STOPPING=1");
      executors_->quit_all();
      stop_at = now + kStopLimit;
    }
    executors_->check(now);
    if (now >= drain_at_) drain_trace();
  }
  broker_->stop();
  drain_trace();
  const LiveCounters& c = broker_->counters();
  spdlog::info("stopped: {} frames released, {} answered, {} starts, {} plans refused, {} protocol errors", c.released.load(),
               c.answered.load(), c.starts.load(), c.refused_plans.load(), c.protocol_errors.load());
  return 0;
}

void Control::handle(const live::Event& e, Instant now) {
  if (executors_->owns(e.token)) {
    executors_->handle(e);
  } else if (e.token == kEvents) {
    events();
  } else if (e.token == kSignals) {
    stopping_ = true;
  } else if (e.token == kStatus) {
    status_->accept();
    ask_for_report();
  } else if (e.token == kTrace) {
    drain_at_ = std::min(drain_at_, now + kTraceDelay);
  } else if (e.token >= kSessions) {
    hello(static_cast<std::uint32_t>(e.token - kSessions));
  } else {
    accept(e.token - kListeners);
  }
}

void Control::events() {
  using Kind = Event::Kind;
  for (Event* e = events_->front(); e != nullptr; e = events_->front()) {
    switch (e->kind) {
      case Kind::packet: packet(*e, e->descriptors); break;
      case Kind::session_gone: gone(e->session); break;
      case Kind::pool_unused: pool_unused(*e); break;
      case Kind::stream_done: stream_done(e->stream_request); break;
      case Kind::stream_closed: stream_closed(*e); break;
      case Kind::link_released: executors_->link_released(e->link); break;
      case Kind::link_corrupt: executors_->link_corrupt(e->link); break;
      case Kind::reported: tell_status(); break;
    }
    for (live::FileDescriptor& fd : e->descriptors) fd.reset();
    events_->taken();
  }
}

void Control::command(const Command& c) {
  // Full only while the scheduler thread is far behind; this thread may wait for it, never the other way round.
  Command* place = commands_->place();
  for (; place == nullptr; place = commands_->place()) std::this_thread::yield();
  *place = c;
  commands_->send();
}

void Control::ask_for_report() {
  if (!status_->asked() || std::exchange(report_asked_, true)) return;
  command({.kind = Command::Kind::report, .report = &report_});
}

void Control::tell_status() {
  report_asked_ = false;
  ServiceFacts facts{.running = live::monotonic_now() - started_,
                     .protocol_errors = broker_->counters().protocol_errors.load(std::memory_order_relaxed),
                     .trace_events_lost = trace_ ? trace_->lost() : 0,
                     .degraded = broker_->degraded(),
                     .accelerators = executors_->facts()};
  for (const Session& s : sessions_) facts.sessions += s.state == Session::State::active;
  for (const StreamName& s : stream_names_) facts.streams += s.open;
  status_->answer(status_json(service_.config, report_, facts));
}

void Control::drain_trace() {
  drain_at_ = kNever;
  if (!trace_) return;
  trace_->drain([this](const TraceEvent& e) { print(e); });
  trace_file_.flush();
}

// time_ns,kind,task,frame,segment,accelerator,subnet; "-" where there is none. A release that has a deadline tells it in an
// eighth column.
void Control::print(const TraceEvent& e) {
  const StreamName* stream = e.stream.valid() ? &stream_names_[e.stream.value] : nullptr;
  const bool named = stream != nullptr && e.route.valid() && e.route.value < stream->subnets.size();
  trace_file_ << to_ns(e.at) << ',' << to_string(e.kind) << ',' << (stream != nullptr ? stream->name : "-") << ',' << e.frame << ','
              << e.segment << ',' << (e.accelerator.valid() ? service_.config.accelerator(e.accelerator).config.name : "-") << ','
              << (named ? service_.models[stream->model.value].subnets[stream->subnets[e.route.value]].name : "-");
  if (e.kind == TraceKind::release && e.deadline != kNever) trace_file_ << ",deadline_ns=" << to_ns(e.deadline);
  trace_file_ << '\n';
}

// A stream was opened or asks for something else from now on: what it asks for, in columns of its own, for replays.
void Control::print_open(const StreamRequest& r) {
  if (!trace_) return;
  drain_trace();  // what happened before it stands before it
  const StreamSpec& s = r.spec;
  constexpr std::array kQueues{"keep", "newest-wins", "drop-oldest"};
  trace_file_ << to_ns(live::monotonic_now()) << ",open," << stream_names_[r.stream.value].name << ",0,0,-,-,model="
              << service_.models[s.model.value].name << ",form=" << s.form << ",class=" << to_string(s.criticality)
              << ",late=" << (s.late == LateRule::abort ? "abort" : "finish") << ",queue=" << kQueues[static_cast<std::size_t>(s.queue)]
              << ",queue_depth=" << s.queue_depth << ",period_ns=" << to_ns(s.period) << ",deadline_ns=" << to_ns(s.relative_deadline)
              << ",accuracy_floor=" << s.accuracy_floor << ",accuracy_ceiling=" << s.accuracy_ceiling;
  if (s.parent.valid()) trace_file_ << ",parent=" << stream_names_[s.parent.value].name;
  trace_file_ << '\n';
}

}  // namespace takt::daemon
