// The scheduler thread's side of clients: packets, frames, credits, and the end of a session.
#include <algorithm>
#include <bit>

#include "daemon/broker_thread.hpp"
#include "daemon/tokens.hpp"
#include "wire/decode.hpp"

namespace takt::daemon {
namespace {

constexpr const char* kTooMany = "released more credits than verdicts gave";

bool take_back(SessionState& s, std::uint32_t credits) noexcept {
  if (credits > s.owed) return false;
  s.owed -= credits;
  s.credits += credits;
  return true;
}

}  // namespace

// One packet a turn: a flood does not starve the others, and a frame is decided on before the socket is asked for more,
// which the next wait does anyway.
void BrokerThread::receive(std::uint32_t session, Instant now) {
  if (!sessions_[session].used || sessions_[session].closing) return;
  live::Packet p;
  switch (live::receive_packet(sessions_[session].fd, room_, p)) {
    case live::Received::packet: packet(session, p, now); return;
    case live::Received::nothing: return;
    case live::Received::closed: end_session(session, nullptr, now); return;
    case live::Received::malformed: end_session(session, "a packet was empty, too long or had too many descriptors", now); return;
  }
}

void BrokerThread::packet(std::uint32_t session, live::Packet& p, Instant now) {
  const auto op = wire::check_header(p.bytes);
  if (!op) {
    end_session(session, op.error().text, now);
    return;
  }
  switch (*op) {
    case wire::Op::submit:
      if (auto ok = submit(session, p.bytes, now); !ok) end_session(session, ok.error().text, now);
      return;
    case wire::Op::release_credit: release_credit(session, p.bytes, now); return;
    case wire::Op::cancel: cancel(session, p.bytes, now); return;
    default: forward(session, p); return;
  }
}

// Everything that is not the hot path is the control thread's; it answers on the same socket.
void BrokerThread::forward(std::uint32_t session, live::Packet& p) {
  if (events_.used() >= kForwarded) {
    wire::Header header;
    std::copy_n(p.bytes.begin(), sizeof header, reinterpret_cast<std::byte*>(&header));
    wire::Failure m;
    m.header = {.op = wire::Op::failure, .bytes = sizeof m, .request = header.request};
    m.code = static_cast<std::int32_t>(Code::no_capacity);
    wire::set_text(m.text, "too many requests at once: try again");
    send(session, m);
    return;
  }
  Event& e = event(Event::Kind::packet, session);
  e.bytes = p.bytes.size();
  std::copy(p.bytes.begin(), p.bytes.end(), e.data.begin());
  for (std::size_t i = 0; i < e.descriptors.size(); ++i) e.descriptors[i] = std::move(p.descriptors[i]);
  send_event();
}

// An error ends the session; a frame that is merely not acceptable is refused and costs nothing.
Result<void> BrokerThread::submit(std::uint32_t session, std::span<const std::byte> bytes, Instant now) {
  std::array<TensorDesc, kMaxTensors> storage;
  const auto view = wire::decode_submit(bytes, storage);
  if (!view) return tl::unexpected(view.error());
  const wire::Submit& m = view->submit;
  SessionState& s = sessions_[session];
  if (!take_back(s, m.released)) return fail(Code::invalid_argument, kTooMany);
  const auto refuse = [&](const Error& error) -> Result<void> {
    refuse_frame(session, m, error);
    return {};
  };
  if (m.stream >= streams_.size() || !streams_[m.stream].open || streams_[m.stream].session != session)
    return refuse({Code::not_found, "no such stream of this session is open"});
  const StreamState& stream = streams_[m.stream];
  if (s.credits < stream.weight) return refuse({Code::no_capacity, "no credit: release answers first"});
  if (auto ok = wire::check_deadline(m.deadline_ns, to_ns(now)); !ok) return refuse(ok.error());
  const auto pools = check_frame(s, stream, m, view->inputs);
  if (!pools) return refuse(pools.error());
  const auto job = core_->release(StreamId{m.stream}, now, m.deadline_ns == 0 ? kNever : instant_ns(m.deadline_ns));
  if (!job) return refuse(job.error());

  s.credits -= stream.weight;
  ++s.in_flight;
  frame_streams_[job->value] = StreamId{m.stream};
  frames_[job->value] = {.session = session, .tag = m.tag, .pools = *pools, .area = m.result_offset,
                         .result_offset = m.result_offset, .reserved = stream.weight, .tree = s.tree};
  for (std::uint64_t rest = *pools; rest != 0; rest &= rest - 1) ++s.pools[static_cast<std::size_t>(std::countr_zero(rest))].uses;
  write_record(*job, m, view->inputs);
  return {};
}

// Judges a frame against its stream's model and the session's pools; the bit set of the pools it uses.
Result<std::uint64_t> BrokerThread::check_frame(SessionState& s, const StreamState& stream, const wire::Submit& m,
                                                std::span<const TensorDesc> inputs) noexcept {
  const Model& model = service_.models[stream.model.value];
  if (m.children + 1 != stream.weight)
    return fail(Code::invalid_argument, "`children` is not the number of streams below this one");
  if (inputs.size() != model.inputs.size()) return fail(Code::invalid_argument, "the model takes another number of inputs");
  std::uint64_t used = 0;
  const auto pool_at = [&](std::uint32_t number, wire::PoolKind kind) -> PoolState* {
    if (number == 0 || number > s.pools.size()) return nullptr;
    PoolState& pool = s.pools[number - 1];
    return pool.usable && pool.kind == kind ? &pool : nullptr;
  };
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const PoolState* pool = pool_at(inputs[i].pool, wire::PoolKind::frames);
    if (pool == nullptr) return fail(Code::invalid_argument, "an input names no frame pool of this session");
    if (auto ok = wire::check_tensor(inputs[i], pool->bytes); !ok) return tl::unexpected(ok.error());
    const std::int32_t form = core_->spec(StreamId{m.stream}).form;
    auto ok = i == 0 && form >= 0 ? wire::check_against_form(inputs[i], model.forms[static_cast<std::size_t>(form)])
                                  : wire::check_against_spec(inputs[i], model.inputs[i]);
    if (!ok) return tl::unexpected(ok.error());
    used |= std::uint64_t{1} << (inputs[i].pool - 1);
  }
  const PoolState* results = pool_at(m.result_pool, wire::PoolKind::results);
  if (results == nullptr) return fail(Code::invalid_argument, "result_pool names no result pool of this session");
  if (m.result_offset % kResultAlignment != 0 || m.result_offset > results->bytes ||
      stream.area_bytes > results->bytes - m.result_offset)
    return fail(Code::invalid_argument, "the result area is not aligned or does not fit in its pool");
  return used | std::uint64_t{1} << (m.result_pool - 1);
}

// What executors read of the job, with the broker's own pool numbers.
void BrokerThread::write_record(JobId job, const wire::Submit& m, std::span<const TensorDesc> inputs) noexcept {
  const FrameState& f = frames_[job.value];
  const SessionState& s = sessions_[f.session];
  wire::JobRecord& r = board_[job.value];
  r.model = streams_[m.stream].model.value;
  r.inputs = static_cast<std::uint32_t>(inputs.size());
  r.result_pool = s.pools[m.result_pool - 1].number;
  r.result_offset = m.result_offset;
  r.result_bytes = streams_[m.stream].result_bytes;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    r.input[i] = inputs[i];
    r.input[i].pool = s.pools[inputs[i].pool - 1].number;
  }
}

void BrokerThread::refuse_frame(std::uint32_t session, const wire::Submit& submit, const Error& error) noexcept {
  wire::Failure m;
  m.header = {.op = wire::Op::failure, .bytes = sizeof m, .request = submit.header.request};
  m.code = static_cast<std::int32_t>(error.code);
  m.tag = submit.tag;
  m.stream = submit.stream;
  m.refused_frame = 1;
  wire::set_text(m.text, error.text);
  send(session, m);
}

void BrokerThread::release_credit(std::uint32_t session, std::span<const std::byte> bytes, Instant now) {
  const auto m = wire::decode<wire::ReleaseCredit>(bytes);
  if (!m || !take_back(sessions_[session], m->count)) end_session(session, m ? kTooMany : m.error().text, now);
}

void BrokerThread::cancel(std::uint32_t session, std::span<const std::byte> bytes, Instant now) {
  const auto m = wire::decode<wire::Cancel>(bytes);
  if (!m) {
    end_session(session, m.error().text, now);
    return;
  }
  // A frame that was answered in the meantime is simply not found.
  core_->for_each_job(StreamId{m->stream}, [&](JobId job) {
    if (frames_[job.value].session != session || frames_[job.value].tag != m->tag) return false;
    core_->cancel(job, now);
    return true;
  });
}

void BrokerThread::end_session(std::uint32_t session, const char* reason, Instant now) {
  SessionState& s = sessions_[session];
  if (!s.used || s.closing) return;
  if (reason != nullptr) {
    counters_.protocol_errors.fetch_add(1, std::memory_order_relaxed);
    wire::Failure m;
    m.header = {.op = wire::Op::failure, .bytes = sizeof m};
    m.code = static_cast<std::int32_t>(Code::invalid_argument);
    wire::set_text(m.text, reason);
    (void)live::send_message(s.fd, m);
  }
  s.closing = true;
  loop_.remove(s.fd);
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    if (!streams_[i].open || streams_[i].session != session) continue;
    streams_[i].open = false;
    core_->close_stream(StreamId{i}, now);
  }
  maybe_gone(session);
}

// A session is gone when nothing of it runs any more; only then may its memory be.
void BrokerThread::maybe_gone(std::uint32_t session) {
  SessionState& s = sessions_[session];
  if (!s.used || !s.closing || s.in_flight > 0 || s.streams > 0) return;
  s = SessionState{};
  (void)event(Event::Kind::session_gone, session);
  send_event();
}

void BrokerThread::completions(ExecutorLink* link, Instant now) {
  for (std::uint32_t i = 0; i < link->accelerators; ++i) {
    Accelerator& a = accelerators_[link->first_accelerator + i];
    if (a.link != link) continue;
    for (std::size_t l = 0; l < kLanes; ++l)
      lane_completions(AcceleratorId{std::size_t{link->first_accelerator} + i}, *(*a.lanes)[l], static_cast<takt::Lane>(l), now);
  }
}

void BrokerThread::lane_completions(AcceleratorId a, Lane& lane, takt::Lane which, Instant now) {
  wire::CompletionEntry entry;
  for (;;) {
    const auto popped = lane.completion.pop(entry);
    if (popped == wire::CompletionConsumer::Pop::nothing) return;
    if (popped == wire::CompletionConsumer::Pop::corrupt || !lane.start.finish(entry.sequence)) {
      Event& e = event(Event::Kind::link_corrupt, 0);
      e.link = accelerators_[a.value].link;
      send_event();
      return;
    }
    std::array<JobMetrics, kMaxBatch> metrics;
    for (std::size_t i = 0; i < entry.count; ++i) metrics[i].value = entry.metrics[i];
    const Completion c{.sequence = entry.sequence,
                       .started = instant_ns(entry.started_ns),
                       .ended = instant_ns(entry.ended_ns),
                       .failed = entry.status != wire::RunStatus::ok,
                       .metrics = {metrics.data(), entry.count}};
    core_->completed(a, which, c, now);
  }
}

}  // namespace takt::daemon
