// Losing the broker and finding it again: every frame in flight is answered once, streams and memory are taken along.
#include <algorithm>
#include <bit>
#include <cstdio>

#include "client/client.hpp"

namespace takt::lib {
namespace {

constexpr std::int64_t kStableNs = 1000 * kMillisecond;  // a connection that lasted starts over with short waits

void retry_later(takt_client& client) noexcept {
  client.link = takt_client::Link::offline;
  client.socket.set_alarm(now_ns() + client.backoff_ns);
  client.backoff_ns = std::clamp(2 * client.backoff_ns, kFirstBackoffNs, kLastBackoffNs);
}

void queue_restarted(takt_client& client, Slot& slot, takt_stream* stream, std::uint32_t credits) noexcept {
  takt_frame& frame = answer_frame(client, slot, stream == slot.stream);
  frame.credits = credits;
  takt_answer& answer = queue_verdict(client, frame, stream, TAKT_RESTARTED);
  answer.deadline_ns = slot.message.submit.deadline_ns;
  answer.end_ns = now_ns();
}

// One answer for each verdict that was to come: the frame's own, or those of children that were announced. Which of
// several children were is told by the credits that are left.
void answer_restarted(takt_client& client, Slot& slot) noexcept {
  if ((slot.awaited & bit(slot.stream->place)) != 0) {
    queue_restarted(client, slot, slot.stream, slot.cost - slot.ended);
  } else {
    for (const auto& stream : client.streams) {
      const std::uint32_t left = slot.cost - slot.ended;
      if ((slot.awaited & bit(stream->place)) != 0 && stream->weight() <= left)
        queue_restarted(client, slot, stream.get(), stream->weight());
    }
  }
  slot.awaited = 0;
  const std::uint32_t left = slot.cost - slot.ended;  // of children that are closed by now
  slot.ended = slot.cost;
  slot.released += left;
  client.outstanding -= left;
  retire_if_over(client, slot);
}

// Without memory it would only hold what others could have.
void give_up(takt_client& client, takt_stream& stream, std::int64_t until_ns) noexcept {
  stream.state = takt_stream::State::refused;
  stream.admission.outcome = takt_admission::TAKT_REFUSED;
  (void)close_at_broker(client, stream, until_ns);
}

// All streams, parents first, then the memory of those that were taken over.
void take_over(takt_client& client, std::int64_t until_ns) {
  for (const auto& stream : client.streams) {
    if (stream->state == takt_stream::State::closed) continue;
    const int e = open_at_broker(client, *stream, until_ns);
    if (client.link == takt_client::Link::offline) return;
    stream->state = e == TAKT_OK ? takt_stream::State::open : takt_stream::State::refused;
  }
  refresh_trees(client);
  for (const auto& stream : client.streams) {
    if (stream->state != takt_stream::State::open || stream->is_child) continue;
    const int e = take_memory(client, *stream, until_ns);
    if (client.link == takt_client::Link::offline) return;
    if (e != TAKT_OK) give_up(client, *stream, until_ns);
  }
  refresh_trees(client);
}

void resume(takt_client& client) {
  const std::int64_t until = now_ns() + kResumeNs;
  client.repairs = false;
  if (fetch_models(client, until) != TAKT_OK) return lose(client, client.error);
  take_over(client, until);
  if (client.link == takt_client::Link::offline) return;
  client.link = takt_client::Link::online;
  client.online_since_ns = now_ns();
  client.socket.clear_alarm();
}

void try_again(takt_client& client) noexcept {
  if (connect_and_greet(client) == TAKT_OK) {
    client.socket.set_alarm(now_ns() + kCallNs);
  } else if (client.link == takt_client::Link::offline) {
    retry_later(client);
  }
}

void greet(takt_client& client) {
  const Packet packet = client.socket.receive();
  if (packet.io == Io::again) {
    if (client.socket.alarm_due()) lose(client, "it did not greet in time");
  } else if (packet.io == Io::closed) {
    lose(client, "the connection was closed");
  } else if (take_welcome(client, packet) != TAKT_OK) {
    lose(client, client.error);
  } else {
    resume(client);
  }
}

// Memory that a restarted broker refused to take over is made anew when no frame lies in it any more.
void repair(takt_client& client) {
  client.repairs = false;
  for (const auto& stream : client.streams) {
    if (stream->state != takt_stream::State::open || stream->is_child || stream->frames->epoch == client.epoch)
      continue;
    const std::int64_t until = now_ns() + kResumeNs;
    if (!stream->idle()) {
      client.repairs = true;
    } else if (make_frames(client, *stream, until) != TAKT_OK && client.link == takt_client::Link::online) {
      give_up(client, *stream, until);
    }
    if (client.link == takt_client::Link::offline) return;
  }
  refresh_trees(client);
}

}  // namespace

void lose(takt_client& client, const char* because) noexcept {
  if (client.link == takt_client::Link::offline) return;
  if (client.link == takt_client::Link::online && now_ns() - client.online_since_ns > kStableNs)
    client.backoff_ns = kFirstBackoffNs;
  std::snprintf(client.lost_because.data(), client.lost_because.size(), "%s", because);
  client.socket.close();
  client.unreported = 0;
  retry_later(client);
  for (std::size_t i = 0; i < client.flight.size(); ++i)
    if (client.flight[i] != nullptr) answer_restarted(client, *client.flight[i]);
}

void advance(takt_client& client) {
  if (client.link == takt_client::Link::offline && client.socket.alarm_due()) try_again(client);
  if (client.link == takt_client::Link::greeting) greet(client);
  if (client.link != takt_client::Link::online) return;
  client.socket.clear_alarm();
  take_in(client);
  if (client.repairs && client.link == takt_client::Link::online) repair(client);
}

}  // namespace takt::lib
