// Frames: begin, fill, submit, answer, release. Nothing here allocates, and nothing but the release of a closed
// stream's last frame frees.
#include <algorithm>
#include <bit>

#include "client/client.hpp"

namespace takt::lib {

takt_frame& answer_frame(takt_client& client, Slot& slot, bool own) noexcept {
  takt_frame* frame = &slot;
  if (!own) {  // there are as many as credits, and every answer holds one
    const auto place = static_cast<std::uint32_t>(std::countr_zero(client.free_child_answers));
    client.free_child_answers &= ~bit(place);
    frame = &client.child_answers[place];
    frame->slot = &slot;
  }
  frame->answered = true;
  frame->has_result = false;
  frame->credits = frame->epoch = 0;
  return *frame;
}

takt_answer& queue_verdict(takt_client& client, takt_frame& frame, takt_stream* stream, takt_verdict verdict) noexcept {
  frame.slot->ended += frame.credits;
  takt_answer& answer = client.answers.push_verdict();
  const bool known = stream != nullptr && stream->state != takt_stream::State::closed;
  answer.stream = known ? stream : nullptr;
  answer.tag = frame.slot->tag;
  answer.verdict = verdict;
  answer.accelerator = ~0U;
  answer.frame = &frame;
  return answer;
}

void retire_if_over(takt_client& client, Slot& slot) noexcept {
  if (slot.released < slot.cost) return;
  takt_stream& stream = *slot.stream;
  const auto flight = static_cast<std::uint32_t>(slot.message.submit.tag % wire::kMaxCredits);
  client.flight[flight] = nullptr;
  client.free_flights |= bit(flight);
  --slot.results->users;
  slot.results = nullptr;
  slot.state = Slot::State::free;
  stream.free |= bit(slot.index);
  // A result pool that was replaced goes with its last frame.
  if (stream.results.size() > 1)
    std::erase_if(stream.results, [&](auto& old) {
      if (old == stream.results.back() || old->pool.users > 0) return false;
      drop_pool(client, old->pool);
      return true;
    });
  if (stream.state == takt_stream::State::closed && stream.idle()) destroy(client, stream);
}

namespace {

void report_release(takt_client& client, takt_frame& frame) noexcept {
  Slot& slot = *frame.slot;
  frame.answered = false;
  frame.has_result = false;
  slot.released += frame.credits;
  client.outstanding -= frame.credits;
  if (frame.epoch == client.epoch && client.link == takt_client::Link::online) client.unreported += frame.credits;
  if (&frame != &slot)
    client.free_child_answers |= bit(static_cast<std::uint32_t>(&frame - client.child_answers.data()));
  retire_if_over(client, slot);
}

// The descriptors as the stream has them, if a former use of the slot changed them.
void restore(Slot& slot) noexcept {
  if (!slot.described) return;
  slot.described = false;
  const std::uint64_t base = slot.index * slot.stream->layout.slot_bytes;
  for (std::uint32_t i = 0; i < slot.stream->layout.inputs; ++i) {
    TensorDesc& desc = slot.message.input[i];
    const std::uint32_t pool = desc.pool;
    desc = slot.stream->layout.input[i];
    desc.pool = pool;
    desc.offset += base;
  }
}

int check_can_submit(takt_client& client, const takt_stream& stream) noexcept {
  if (client.link != takt_client::Link::online) return fail_offline(client);
  if (stream.state == takt_stream::State::refused)
    return fail(client, TAKT_E_NOT_ADMITTED,
                "the restarted broker did not take the stream over: see takt_stream_admission()");
  if (stream.frames == nullptr || stream.frames->epoch != client.epoch)
    return fail(client, TAKT_E_DISCONNECTED, "the stream's memory waits for its last old frame: discard or release it");
  if (client.outstanding + stream.weight() > client.capacity)
    return fail(client, TAKT_E_NO_CREDIT, "every credit of the session is in use: release answers first");
  return TAKT_OK;
}

// Credits that were given back travel with the frame: a packet of their own would wake the broker twice.
Io send_frame(takt_client& client, Slot& slot) noexcept {
  slot.message.submit.released = client.unreported;
  const Io io = client.socket.send(slot.packet());
  if (io == Io::ok) client.unreported = 0;
  return io;
}

void enter_flight(takt_client& client, Slot& slot, std::uint64_t tag) noexcept {
  takt_stream& stream = *slot.stream;
  slot.tag = tag;
  slot.cost = stream.weight();
  slot.ended = slot.released = 0;
  slot.below = stream.below;
  slot.awaited = bit(stream.place);
  slot.noticed = 0;
  slot.results = &stream.results.back()->pool;
  slot.stride = stream.results.back()->stride;
  ++slot.results->users;
  slot.state = Slot::State::submitted;
  client.outstanding += slot.cost;
  const auto flight = static_cast<std::uint32_t>(slot.message.submit.tag % wire::kMaxCredits);
  client.flight[flight] = &slot;
  client.free_flights &= ~bit(flight);
}

bool negative_or_far(std::int64_t deadline_ns) noexcept {
  return deadline_ns != 0 && !wire::check_deadline(deadline_ns, now_ns());
}

}  // namespace
}  // namespace takt::lib

using namespace takt::lib;
namespace wire = takt::wire;

int takt_frame_begin(takt_stream* stream, takt_frame** out) {
  if (stream == nullptr || out == nullptr) return TAKT_E_INVALID;
  *out = nullptr;
  takt_client& client = *stream->client;
  if (stream->is_child) return fail(client, TAKT_E_INVALID, "a cascade child takes its frames from its parent");
  if (const int e = check_can_submit(client, *stream); e != TAKT_OK) return e;
  if (stream->free == 0)
    return fail(client, TAKT_E_NO_CREDIT, "every slot of the stream is in use: release answers, or open it with more");
  Slot& slot = stream->slots[static_cast<std::size_t>(std::countr_zero(stream->free))];
  stream->free &= ~bit(slot.index);
  restore(slot);
  slot.state = Slot::State::begun;
  *out = &slot;
  return TAKT_OK;
}

void* takt_frame_input(takt_frame* frame, uint32_t index, size_t* bytes) {
  if (bytes != nullptr) *bytes = 0;
  if (frame == nullptr || frame->slot == nullptr) return nullptr;
  const takt_stream& stream = *frame->slot->stream;
  if (index >= stream.layout.inputs || stream.frames == nullptr) {
    fail(*stream.client, TAKT_E_INVALID, "the model has no such input");
    return nullptr;
  }
  const takt::TensorDesc& room = stream.layout.input[index];
  if (bytes != nullptr) *bytes = room.bytes;
  return stream.frames->data() + frame->slot->index * stream.layout.slot_bytes + room.offset;
}

int takt_frame_describe(takt_frame* frame, uint32_t index, const takt_tensor* tensor) {
  if (frame == nullptr || tensor == nullptr) return TAKT_E_INVALID;
  Slot& slot = *frame->slot;
  takt_client& client = *slot.stream->client;
  const Layout& layout = slot.stream->layout;
  if (slot.state != Slot::State::begun) return fail(client, TAKT_E_INVALID, "the frame was submitted already");
  if (index >= layout.inputs) return fail(client, TAKT_E_INVALID, "the model has no such input");
  auto desc = to_wire(*tensor);
  const takt::TensorDesc& room = layout.input[index];
  if (!desc || desc->dtype != room.dtype || desc->format != room.format || desc->rank != room.rank)
    return fail(client, TAKT_E_INVALID, "type, format and rank of an input cannot change");
  desc->bytes = room.bytes;
  if (const auto ok = wire::check_tensor(*desc, room.bytes); !ok)
    return failf(client, TAKT_E_INVALID, "the input does not fit its room: %s", ok.error().text);
  desc->bytes = wire::extent_of(*desc);
  desc->offset = slot.index * layout.slot_bytes + room.offset;
  desc->pool = slot.message.input[index].pool;
  slot.message.input[index] = *desc;
  slot.described = true;
  return TAKT_OK;
}

int takt_frame_submit(takt_frame* frame, uint64_t tag, int64_t capture_ns, int64_t deadline_ns) {
  if (frame == nullptr) return TAKT_E_INVALID;
  Slot& slot = *frame->slot;
  takt_stream& stream = *slot.stream;
  takt_client& client = *stream.client;
  if (slot.state != Slot::State::begun) return fail(client, TAKT_E_INVALID, "the frame was submitted already");
  if (capture_ns < 0 || negative_or_far(deadline_ns))
    return fail(client, TAKT_E_INVALID, "a time is negative, or the deadline over 10 s ahead: is it CLOCK_MONOTONIC?");
  if (const int e = check_can_submit(client, stream); e != TAKT_OK) return e;

  wire::Submit& submit = slot.message.submit;
  const auto flight = static_cast<std::uint64_t>(std::countr_zero(client.free_flights));
  submit.header.request = ++client.requests;
  submit.stream = stream.id;
  // Unique whatever the application counts, and `tag >> 16` in a trace is what it said.
  submit.tag = tag << 16 | (++client.serial * wire::kMaxCredits + flight) % 65536;
  submit.capture_ns = capture_ns;
  submit.deadline_ns = deadline_ns;
  submit.result_pool = stream.results.back()->pool.id;
  submit.children = stream.weight() - 1;
  submit.result_offset = slot.index * stream.results.back()->stride;
  switch (send_frame(client, slot)) {
    case Io::ok: enter_flight(client, slot, tag); return TAKT_OK;
    case Io::again: return fail(client, TAKT_E_NO_CREDIT, "the broker is behind with reading: skip this frame");
    default: break;
  }
  take_in(client);  // what the broker said before it left still counts
  lose(client, "the connection was closed");
  return fail_offline(client);
}

void takt_frame_discard(takt_frame* frame) {
  if (frame == nullptr || frame->slot->state != Slot::State::begun) return;
  frame->slot->state = Slot::State::free;
  frame->slot->stream->free |= bit(frame->slot->index);
}

int takt_frame_cancel(takt_frame* frame) {
  if (frame == nullptr) return TAKT_E_INVALID;
  const Slot& slot = *frame->slot;
  takt_client& client = *slot.stream->client;
  if (slot.state != Slot::State::submitted) return fail(client, TAKT_E_INVALID, "the frame was not submitted");
  if (client.link != takt_client::Link::online) return fail_offline(client);
  if (slot.ended == slot.cost) return TAKT_OK;  // its last verdict is here
  wire::Cancel message;
  message.stream = slot.message.submit.stream;
  message.tag = slot.message.submit.tag;
  if (client.socket.send(stamp(client, wire::Op::cancel, message)) == Io::ok) return TAKT_OK;
  return fail(client, TAKT_E_TIMED_OUT, "the broker is behind with reading: try again");
}

int takt_next_answer(takt_client* client, takt_answer* out) {
  if (client == nullptr || out == nullptr) return 0;
  const takt_answer* answer = client->answers.pop();
  if (answer == nullptr) return 0;
  *out = *answer;
  return 1;
}

int takt_answer_output(const takt_answer* answer, uint32_t index, takt_tensor* tensor, const void** data,
                       size_t* bytes) {
  if (answer == nullptr || answer->frame == nullptr) return TAKT_E_INVALID;
  const takt_frame& frame = *answer->frame;
  if (!frame.answered || !frame.has_result || answer->is_notice != 0) return TAKT_E_NOT_FOUND;
  takt_client& client = *frame.slot->stream->client;
  const std::byte* area = frame.slot->results->data() + frame.result_offset;
  const auto desc = output_of({area, frame.result_bytes}, index);
  if (!desc) return fail(client, error_of(static_cast<std::int32_t>(desc.error().code)), desc.error().text);
  if (tensor != nullptr) *tensor = to_c(*desc);
  if (data != nullptr) *data = area + desc->offset;
  if (bytes != nullptr) *bytes = desc->bytes;
  return TAKT_OK;
}

void takt_answer_release(takt_client* client, takt_answer* answer) {
  if (client == nullptr || answer == nullptr || answer->frame == nullptr) return;
  takt_frame* frame = answer->frame;
  answer->frame = nullptr;
  if (answer->is_notice == 0 && frame->answered) report_release(*client, *frame);
}
