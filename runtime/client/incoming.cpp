// What the broker says unasked: verdicts, notices, refused frames, changed streams. Nothing in it is trusted.
#include <algorithm>
#include <cstdio>

#include "client/client.hpp"

namespace takt::lib {
namespace {

Slot* find_frame(const takt_client& client, std::uint64_t tag) noexcept {
  Slot* slot = client.flight[tag % wire::kMaxCredits];
  return slot != nullptr && slot->message.submit.tag == tag ? slot : nullptr;
}

// The stream below `root` that has the number, or null: it was closed since.
takt_stream* find_below(const takt_client& client, const takt_stream& root, std::uint32_t id) noexcept {
  for (const auto& stream : client.streams)
    if (stream->id == id && (root.below & bit(stream->place)) != 0) return stream.get();
  return nullptr;
}

std::uint64_t places_of_children(const takt_client& client, const takt_stream& parent) noexcept {
  std::uint64_t places = 0;
  for (const auto& stream : client.streams)
    if (stream->parent == &parent) places |= bit(stream->place);
  return places;
}

// Who answers: the frame's own stream, one below it, or one that is closed by now (null).
struct Source {
  bool own = false;
  takt_stream* stream = nullptr;
};

const char* find_source(const takt_client& client, const Slot& slot, std::uint32_t id, Source& source) noexcept {
  takt_stream& root = *slot.stream;
  const bool root_answered = (slot.awaited & bit(root.place)) == 0;
  if (root.id == id) {
    source = {true, &root};
    return root_answered ? "a second verdict for one frame" : nullptr;
  }
  if (!root_answered) return "a cascade child's verdict before its parent's";
  source = {false, find_below(client, root, id)};
  if (source.stream != nullptr && (slot.awaited & bit(source.stream->place)) == 0)
    return "a verdict of a cascade child that was not announced";
  return nullptr;
}

// Where the result lies must be the frame's own area of its pool.
const char* take_result(const wire::VerdictMessage& m, const Slot& slot, const Source& source,
                        takt_frame& frame) noexcept {
  frame.has_result = m.has_result != 0 && source.stream != nullptr;
  if (!frame.has_result) return nullptr;
  const std::uint64_t first = slot.message.submit.result_offset, size = source.stream->result_bytes;
  const std::uint64_t end = std::min(first + slot.stride, slot.results->bytes());
  if (m.result_offset % kResultAlignment != 0 || m.result_offset < first || m.result_offset > end ||
      size > end - m.result_offset)
    return "a result outside of the frame's area";
  frame.result_offset = m.result_offset;
  frame.result_bytes = size;
  return nullptr;
}

void describe(const wire::VerdictMessage& m, takt_answer& answer) noexcept {
  answer.has_result = answer.frame->has_result ? 1 : 0;
  answer.child_follows = m.child_follows;
  std::copy(m.subnet_name.begin(), m.subnet_name.end(), answer.subnet);
  answer.accuracy = m.accuracy;
  answer.accelerator = m.accelerator;
  answer.release_ns = m.release_ns;
  answer.start_ns = m.start_ns;
  answer.end_ns = m.end_ns;
  answer.deadline_ns = m.deadline_ns;
  answer.executed_ns = m.executed_ns;
  answer.segments = m.segments;
  answer.largest_batch = m.largest_batch;
}

const char* take_verdict(takt_client& client, const wire::VerdictMessage& m) noexcept {
  Slot* slot = find_frame(client, m.tag);
  if (slot == nullptr) return "a verdict for a frame that is not in flight";
  Source source;
  if (const char* wrong = find_source(client, *slot, m.stream, source)) return wrong;
  const std::uint32_t left = slot->cost - slot->ended;
  if (m.credits == 0 || m.credits > left || (m.child_follows != 0 && m.credits == left))
    return "a verdict whose credits do not add up";
  takt_frame result;
  if (const char* wrong = take_result(m, *slot, source, result)) return wrong;

  takt_frame& frame = answer_frame(client, *slot, source.own);
  frame.has_result = result.has_result;
  frame.result_offset = result.result_offset;
  frame.result_bytes = result.result_bytes;
  frame.credits = m.credits;
  frame.epoch = client.epoch;
  if (source.stream != nullptr) {
    slot->awaited &= ~bit(source.stream->place);
    if (m.child_follows != 0) slot->awaited |= places_of_children(client, *source.stream) & slot->below;
  }
  describe(m, queue_verdict(client, frame, source.stream, static_cast<takt_verdict>(m.verdict)));
  return nullptr;
}

// At most one notice for each verdict that is to come: others are not worth an error.
const char* take_notice(takt_client& client, const wire::Notice& m) noexcept {
  Slot* slot = find_frame(client, m.tag);
  if (slot == nullptr) return nullptr;
  takt_stream* stream = slot->stream->id == m.stream ? slot->stream : find_below(client, *slot->stream, m.stream);
  if (stream == nullptr || (slot->awaited & ~slot->noticed & bit(stream->place)) == 0) return nullptr;
  slot->noticed |= bit(stream->place);
  takt_answer* answer = client.answers.push_notice();
  if (answer == nullptr) return nullptr;
  answer->stream = stream->state == takt_stream::State::closed ? nullptr : stream;
  answer->tag = slot->tag;
  answer->deadline_ns = m.deadline_ns;
  answer->frame = slot;
  return nullptr;
}

// A frame that was not accepted: the broker never took its credits, so it wants to hear of no release.
const char* take_refusal(takt_client& client, const wire::Failure& m) noexcept {
  Slot* slot = find_frame(client, m.tag);
  if (slot == nullptr || slot->ended > 0) return "it refused a frame that is not in flight";
  failf(client, error_of(m.code), "the broker refused a frame: %s", m.text.data());
  takt_frame& frame = answer_frame(client, *slot, true);
  frame.credits = slot->cost;
  slot->awaited = 0;
  takt_answer& answer = queue_verdict(client, frame, slot->stream, TAKT_ERROR);
  answer.deadline_ns = slot->message.submit.deadline_ns;
  return nullptr;
}

const char* take_failure(takt_client& client, const wire::Failure& m, std::uint64_t request) noexcept {
  if (m.refused_frame != 0) return take_refusal(client, m);
  if (request != 0) return nullptr;  // of a message that nobody waits on: nothing depends on it
  std::snprintf(client.farewell.data(), client.farewell.size(), "the broker ended the session: %s", m.text.data());
  return client.farewell.data();
}

void take_change(takt_client& client, const wire::StreamChanged& m) noexcept {
  for (const auto& stream : client.streams) {
    if (stream->id != m.stream || stream->state != takt_stream::State::open) continue;
    takt_admission& admission = stream->admission;
    if (m.still_hard != 0) {
      admission.outcome = takt_admission::TAKT_ACCEPTED;
      admission.reason = takt_admission::TAKT_REASON_NONE;
      std::snprintf(admission.accelerator, sizeof admission.accelerator, "#%u", m.accelerator);
    } else {
      admission.outcome = takt_admission::TAKT_REFUSED;
      admission.reason = takt_admission::TAKT_REASON_NO_ACCELERATOR;
      admission.accelerator[0] = '\0';
      admission.bound_ns = 0;
    }
  }
}

template <class T, class Take>
const char* decoded(std::span<const std::byte> packet, Take take) noexcept {
  const auto message = wire::decode<T>(packet);
  return message ? take(*message) : message.error().text;
}

}  // namespace

const char* take_message(takt_client& client, wire::Op op, std::span<const std::byte> packet) noexcept {
  switch (op) {
    case wire::Op::verdict:
      return decoded<wire::VerdictMessage>(packet, [&](const auto& m) { return take_verdict(client, m); });
    case wire::Op::notice: return decoded<wire::Notice>(packet, [&](const auto& m) { return take_notice(client, m); });
    case wire::Op::failure:
      return decoded<wire::Failure>(packet, [&](const auto& m) { return take_failure(client, m, m.header.request); });
    case wire::Op::stream_changed:
      return decoded<wire::StreamChanged>(packet, [&](const auto& m) -> const char* {
        take_change(client, m);
        return nullptr;
      });
    case wire::Op::done: return nullptr;  // of a close or free that nobody waits on
    default: return "an answer that nobody asked for";
  }
}

}  // namespace takt::lib
