// The scheduler thread's side of what the control thread prepared: sessions, pools, streams, executors.
#include <algorithm>

#include "daemon/broker_thread.hpp"
#include "daemon/tokens.hpp"

namespace takt::daemon {

void BrokerThread::command(const Command& c, Instant now) {
  using Kind = Command::Kind;
  // Asked for a session that is gone by now. Its number is used again only after a session_add, which comes behind.
  const bool stale = !sessions_[c.session].used;
  switch (c.kind) {
    case Kind::session_add: add_session(c); return;
    case Kind::session_close: end_session(c.session, nullptr, now); return;
    case Kind::pool_add:
      if (stale) return;
      sessions_[c.session].pools[c.pool - 1] = {
          .usable = true, .kind = c.pool_kind, .number = c.number, .bytes = c.bytes};
      return;
    case Kind::pool_free:
      if (!stale) free_pool(c);
      return;
    case Kind::stream: add_stream(*c.stream_request, now); return;
    case Kind::stream_close:
      if (!stale) close_stream(c, now);
      return;
    case Kind::executor_up: executor_up(c.link, now); return;
    case Kind::executor_down: executor_down(c.link, now); return;
    case Kind::report: report(*c.report); return;
    case Kind::quit: quit_ = true; return;
  }
}

void BrokerThread::add_session(const Command& c) {
  SessionState& s = sessions_[c.session];
  s = SessionState{};
  s.used = true;
  s.fd = c.fd;
  s.credits = c.credits;
  if (!loop_.add(c.fd, token::make(token::kSession, c.session))) dying_.push_back(c.session);
}

void BrokerThread::free_pool(const Command& c) {
  PoolState& pool = sessions_[c.session].pools[c.pool - 1];
  pool.usable = false;
  pool.freeing = true;
  pool.request = c.request;
  if (pool.uses > 0) return;
  pool = PoolState{};
  Event& e = event(Event::Kind::pool_unused, c.session);
  e.pool = c.pool;
  e.request = c.request;
  send_event();
}

void BrokerThread::add_stream(StreamRequest& r, Instant now) {
  SessionState& s = sessions_[r.session];
  // A parent or an updated stream must be the session's own; its number was chosen by the client.
  const auto theirs = [&](StreamId id) {
    return id.value < streams_.size() && streams_[id.value].open && streams_[id.value].session == r.session;
  };
  r.admission = {.outcome = Admission::Outcome::refused, .reason = Admission::Reason::bad_parent};
  if (s.used && !s.closing && (!r.spec.parent.valid() || theirs(r.spec.parent)) && (!r.update || theirs(r.stream))) {
    r.admission = r.update ? core_->update_stream(r.stream, r.spec, now) : core_->open_stream(r.spec, std::move(r.routes), now);
  }
  if (r.admission.outcome != Admission::Outcome::refused) {
    const StreamId id = r.admission.stream;
    if (!r.update) {
      streams_[id.value] = {.used = true, .open = true, .session = r.session, .model = r.spec.model, .opened = ++opened_,
                            .result_bytes = align_result(r.result_bytes), .parent = r.spec.parent};
      ++s.streams;
      measure_trees(r.session);
    }
    r.stream = id;
  }
  Event& e = event(Event::Kind::stream_done, r.session);
  e.stream_request = &r;
  send_event();
}

void BrokerThread::close_stream(const Command& c, Instant now) {
  Event& e = event(Event::Kind::stream_closed, c.session);
  e.request = c.request;
  e.stream = c.stream;
  e.failed = c.stream >= streams_.size() || !streams_[c.stream].open || streams_[c.stream].session != c.session;
  const bool failed = e.failed;
  send_event();
  if (failed) return;
  streams_[c.stream].open = false;
  core_->close_stream(StreamId{c.stream}, now);
}

// Credits and result areas of a session's streams: a frame reserves both for itself and for every stream below it, the
// areas in order of opening.
void BrokerThread::measure_trees(std::uint32_t session) noexcept {
  SessionState& s = sessions_[session];
  ++s.tree;
  const auto ours = [&](const StreamState& t) { return t.used && t.session == session; };
  for (StreamState& t : streams_) {
    if (!ours(t)) continue;
    t.weight = 1;
    t.area_bytes = t.result_bytes;
    t.area_offset = 0;
  }
  // In order of opening, because parents are opened first; each stream is appended to all of its ancestors.
  std::uint64_t after = 0;
  for (;;) {
    StreamState* next = nullptr;
    for (StreamState& t : streams_)
      if (ours(t) && t.opened > after && (next == nullptr || t.opened < next->opened)) next = &t;
    if (next == nullptr) return;
    after = next->opened;
    for (StreamId up = next->parent; up.valid() && ours(streams_[up.value]); up = streams_[up.value].parent) {
      StreamState& ancestor = streams_[up.value];
      if (!ancestor.parent.valid()) next->area_offset = ancestor.area_bytes;
      ++ancestor.weight;
      ancestor.area_bytes += next->result_bytes;
    }
  }
}

void BrokerThread::report(SchedulerReport& r) {
  r.policy = PolicyReport{};
  policy_.describe(r.policy);
  r.core = core_->counters();
  r.in_flight = core_->jobs_in_flight();
  for (std::size_t a = 0; a < r.accelerators.size(); ++a)
    r.accelerators[a] = {accelerators_[a].link != nullptr, core_->correction(AcceleratorId{a})};
  (void)event(Event::Kind::reported, 0);
  send_event();
}

void BrokerThread::executor_up(ExecutorLink* link, Instant now) {
  auto& memory = *link->memory.as<wire::ExecutorMemory>();
  for (std::uint32_t i = 0; i < link->accelerators; ++i) {
    Accelerator& a = accelerators_[link->first_accelerator + i];
    a.link = link;
    a.lanes.emplace();
    for (std::size_t l = 0; l < kLanes; ++l)
      (*a.lanes)[l].emplace(Lane{wire::StartProducer(memory.lanes[i][l].start), wire::CompletionConsumer(memory.lanes[i][l].completion)});
    core_->accelerator_up(AcceleratorId{std::size_t{link->first_accelerator} + i}, now);
  }
  if (!loop_.add(link->completions.fd(), token::make(token::kLink, link->first_accelerator), live::kEdge))
    executor_down(link, now);
}

void BrokerThread::executor_down(ExecutorLink* link, Instant now) {
  completions(link, now);  // what it still finished counts
  for (std::uint32_t i = 0; i < link->accelerators; ++i) {
    Accelerator& a = accelerators_[link->first_accelerator + i];
    if (a.link != link) continue;
    core_->accelerator_down(AcceleratorId{std::size_t{link->first_accelerator} + i}, now);
    a = Accelerator{};
  }
  loop_.remove(link->completions.fd());
  Event& e = event(Event::Kind::link_released, 0);
  e.link = link;
  send_event();
}

}  // namespace takt::daemon
