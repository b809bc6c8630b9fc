// The scheduler thread's life and its outputs (Port); see broker_thread.hpp.
#include "daemon/broker_thread.hpp"

#include <bit>

#include "daemon/tokens.hpp"
#include "live/futex.hpp"
#include "live/realtime.hpp"
#include "wire/decode.hpp"

namespace takt::daemon {

Result<std::unique_ptr<BrokerThread>> BrokerThread::make(const files::Service& service, Policy& policy, wire::JobRecord* board,
                                                         std::uint32_t slots, Commands& commands, Events& events, TraceRing* trace) {
  auto loop = live::EventLoop::make();
  if (!loop) return tl::unexpected(loop.error());
  std::unique_ptr<BrokerThread> t(new BrokerThread(service, policy, board, commands, events, std::move(*loop)));
  CoreConfig core;
  core.max_jobs = service.config.max_jobs;
  core.max_streams = service.config.max_streams;
  core.max_batch = service.config.max_batch;
  core.learn_pace = true;
  core.slot_pools = {slots};  // the shared ones; devices with activations of their own have a pool each
  for (const files::DeviceConfig& device : service.config.devices) {
    const bool own = device.activations == files::Activations::own;
    if (own) core.slot_pools.push_back(slots);
    // Workers of the cpu driver are threads: the kernel takes the core from a soft one as soon as a hard one wakes.
    for (const files::AcceleratorEntry& entry : device.accelerators)
      core.accelerators.push_back({.pool = SlotPoolId{own ? core.slot_pools.size() - 1 : 0},
                                   .ahead = entry.ahead,
                                   .preempts = device.driver == "cpu" && entry.realtime,
                                   .shares_slots = !own});
  }
  Port& port = *t;
  t->core_ = std::make_unique<Scheduler>(std::move(core), service.models, service.costs, policy, port, trace);
  if (auto added = t->loop_.add(commands.fd(), token::make(token::kCommands), live::kEdge); !added)
    return tl::unexpected(added.error());
  return t;
}

BrokerThread::BrokerThread(const files::Service& service, const Policy& policy, wire::JobRecord* board, Commands& commands, Events& events,
                           live::EventLoop loop)
    : service_(service), policy_(policy), board_(board), commands_(commands), events_(events), loop_(std::move(loop)), sessions_(kMaxSessions),
      streams_(service.config.max_streams), frames_(service.config.max_jobs), frame_streams_(service.config.max_jobs), accelerators_(service.config.accelerators()) {
  dying_.reserve(kMaxSessions);
}

BrokerThread::~BrokerThread() { stop(); }

void BrokerThread::start() {
  thread_ = std::thread([this] { run(); });
  ready_.wait(false);
}

void BrokerThread::stop() {
  if (!thread_.joinable()) return;
  while (commands_.place() == nullptr) std::this_thread::yield();
  *commands_.place() = Command{.kind = Command::Kind::quit};
  commands_.send();
  thread_.join();
}

void BrokerThread::take_rights() {
  const files::SchedulerConfig& config = service_.config.scheduler;
  live::name_thread("takt-scheduler");
  if (config.core >= 0) {
    const std::array<int, 1> core{config.core};
    if (auto pinned = live::pin_thread(core); !pinned) degraded_ += std::string("scheduler not pinned: ") + pinned.error().text + "; ";
  }
  live::prefault_stack();
  if (config.priority > 0) {
    if (const live::Grant fifo = live::take_fifo(config.priority); !fifo.granted) {
      live::set_timer_slack();
      degraded_ += fifo.text + "; ";
    }
  }
  ready_.store(true);
  ready_.notify_all();
}

void BrokerThread::run() {
  take_rights();
  while (!quit_) {
    turn(loop_.wait(service_.config.scheduler.spin));
    loop_.wake_by(core_->next_wake());
  }
}

// At equal times completions come before deadlines and those before releases: the order of SCENARIOS semantics, so that
// the live engine and the simulator decide alike.
void BrokerThread::turn(std::span<const live::Event> events) {
  const Instant now = live::monotonic_now();
  for (const live::Event& e : events)
    if (token::kind(e.token) == token::kLink && accelerators_[token::index(e.token)].link != nullptr)
      completions(accelerators_[token::index(e.token)].link, now);
  for (const live::Event& e : events) {
    if (token::kind(e.token) == token::kCommands) {
      for (Command* c = commands_.front(); c != nullptr; c = commands_.front()) {
        const Command copy = *c;
        commands_.taken();
        command(copy, now);
      }
    } else if (token::kind(e.token) == token::kSession) {
      receive(token::index(e.token), now);
    }
  }
  core_->decide(live::monotonic_now());
  while (!dying_.empty()) {
    const std::uint32_t session = dying_.back();
    dying_.pop_back();
    end_session(session, nullptr, now);
  }
  const CoreCounters& c = core_->counters();
  counters_.released.store(c.released, std::memory_order_relaxed);
  counters_.starts.store(c.starts, std::memory_order_relaxed);
  counters_.refused_plans.store(c.refused_plans, std::memory_order_relaxed);
}

Event& BrokerThread::event(Event::Kind kind, std::uint32_t session) noexcept {
  Event* e = events_.place();
  TAKT_CHECK(e != nullptr);
  e->kind = kind;
  e->session = session;
  e->request = 0;
  e->stream_request = nullptr;
  e->link = nullptr;
  e->failed = false;
  return *e;
}

void BrokerThread::post(const LaunchOrder& order) noexcept {
  Accelerator& a = accelerators_[order.accelerator.value];
  if (a.link == nullptr) return;
  wire::StartProducer& ring = (*a.lanes)[static_cast<std::size_t>(order.lane)]->start;
  TAKT_CHECK(!ring.full());
  wire::StartEntry& e = ring.entry();
  e.variant = order.variant.value;
  e.count = static_cast<std::uint16_t>(order.jobs.size());
  e.first_segment = order.first_segment;
  e.last_segment = order.last_segment;
  e.expected_ns = to_ns(order.expected);
  for (std::size_t i = 0; i < order.jobs.size(); ++i)
    e.jobs[i] = {order.jobs[i].job.value, order.jobs[i].slot_in, order.jobs[i].slot_out};
  if (ring.publish(order.sequence)) live::futex_wake(ring.doorbell(), 1);
}

bool BrokerThread::recall(AcceleratorId id, takt::Lane lane, std::uint64_t sequence) noexcept {
  Accelerator& a = accelerators_[id.value];
  return a.link != nullptr && (*a.lanes)[static_cast<std::size_t>(lane)]->start.recall(sequence);
}

void BrokerThread::answer(JobId job, const Answer& a) noexcept {
  FrameState& f = frames_[job.value];
  const StreamId stream = frame_streams_[job.value];
  const Model& model = service_.models[streams_[stream.value].model.value];
  SessionState& s = sessions_[f.session];
  wire::VerdictMessage m;
  m.header = {.op = wire::Op::verdict, .bytes = sizeof m};
  m.stream = stream.value;
  m.verdict = static_cast<std::uint8_t>(a.verdict);
  m.has_result = a.has_result;
  m.child_follows = a.child_follows;
  m.credits = static_cast<std::uint8_t>(f.reserved);
  m.tag = f.tag;
  m.result_offset = f.result_offset;
  if (a.route.valid()) {
    const Route& route = core_->routes(stream)[a.route.value];
    m.subnet = route.subnet;
    m.accuracy = route.accuracy;
    wire::set_text(m.subnet_name, model.subnets[route.subnet].name);
  }
  m.accelerator = a.accelerator.value;
  m.release_ns = to_ns(a.release);
  m.start_ns = to_ns(a.first_start);
  m.end_ns = to_ns(a.end);
  m.deadline_ns = to_ns(a.deadline);
  m.executed_ns = to_ns(a.executed);
  m.segments = a.segments;
  m.largest_batch = a.largest_batch;
  s.owed += f.reserved;
  release_frame(f);
  send(f.session, m);
  counters_.answered.fetch_add(1, std::memory_order_relaxed);
}

// The frame no longer uses its pools; a pool that waits to be freed may go with its last use.
void BrokerThread::release_frame(FrameState& f) noexcept {
  SessionState& s = sessions_[f.session];
  --s.in_flight;
  for (std::uint64_t rest = f.pools; rest != 0; rest &= rest - 1) {
    const auto i = static_cast<std::uint32_t>(std::countr_zero(rest));
    PoolState& pool = s.pools[i];
    if (--pool.uses > 0 || !pool.freeing) continue;
    Event& e = event(Event::Kind::pool_unused, f.session);
    e.pool = i + 1;
    e.request = pool.request;
    pool = PoolState{};
    send_event();
  }
  if (s.closing && s.in_flight == 0) maybe_gone(f.session);
}

void BrokerThread::notice(JobId job) noexcept {
  const FrameState& f = frames_[job.value];
  wire::Notice m;
  m.header = {.op = wire::Op::notice, .bytes = sizeof m};
  m.stream = frame_streams_[job.value].value;
  m.tag = f.tag;
  send(f.session, m);
}

bool BrokerThread::child_released(JobId parent_id, JobId child_id) noexcept {
  FrameState& parent = frames_[parent_id.value];
  SessionState& s = sessions_[parent.session];
  const StreamId stream = core_->stream_of(child_id);
  const StreamState& state = streams_[stream.value];
  if (parent.tree != s.tree || parent.reserved <= state.weight) return false;
  parent.reserved -= state.weight;
  FrameState& child = frames_[child_id.value];
  child = parent;
  child.reserved = state.weight;
  child.result_offset = child.area + state.area_offset;
  frame_streams_[child_id.value] = stream;
  ++s.in_flight;
  for (std::uint64_t rest = child.pools; rest != 0; rest &= rest - 1)
    ++s.pools[static_cast<std::size_t>(std::countr_zero(rest))].uses;
  wire::JobRecord& record = board_[child_id.value];
  record = board_[parent_id.value];
  record.model = state.model.value;
  record.result_offset = child.result_offset;
  record.result_bytes = state.result_bytes;
  return true;
}

void BrokerThread::stream_moved(StreamId stream, AcceleratorId accelerator, RouteId) noexcept {
  wire::StreamChanged m;
  m.header = {.op = wire::Op::stream_changed, .bytes = sizeof m};
  m.stream = stream.value;
  m.accelerator = accelerator.value;
  m.still_hard = accelerator.valid();
  send(streams_[stream.value].session, m);
}

void BrokerThread::stream_ended(StreamId stream) noexcept {
  const std::uint32_t session = streams_[stream.value].session;
  streams_[stream.value] = StreamState{};
  --sessions_[session].streams;
  measure_trees(session);
  maybe_gone(session);
}

}  // namespace takt::daemon
