// Streams: opening, changing and closing them at the broker.
#include <algorithm>
#include <bit>
#include <cstring>

#include "client/client.hpp"
#include "client/wish.hpp"

namespace takt::lib {
namespace {

bool same(const Layout& a, const Layout& b) noexcept {
  const auto equal = [](const TensorDesc& x, const TensorDesc& y) { return std::memcmp(&x, &y, sizeof x) == 0; };
  return a.inputs == b.inputs && a.slot_bytes == b.slot_bytes &&
         std::equal(a.input.begin(), a.input.end(), b.input.begin(), equal);
}

// The messages of all slots as they will go out, but for the pool's number.
void make_slots(takt_stream& stream, std::uint32_t count) {
  stream.slots = std::make_unique<Slot[]>(count);
  stream.slot_count = count;
  stream.free = count == kMaxSlots ? ~std::uint64_t{0} : bit(count) - 1;
  for (std::uint32_t s = 0; s < count; ++s) {
    Slot& slot = stream.slots[s];
    slot.slot = &slot;
    slot.stream = &stream;
    slot.index = s;
    wire::Submit& submit = slot.message.submit;
    submit.header.op = wire::Op::submit;
    submit.inputs = stream.layout.inputs;
    submit.header.bytes = static_cast<std::uint32_t>(sizeof(wire::Submit) + stream.layout.inputs * sizeof(TensorDesc));
    slot.message.input = stream.layout.input;
    for (TensorDesc& input : slot.message.input) input.offset += s * stream.layout.slot_bytes;
  }
}

// Only a preset leaves open what it runs and takes.
int learn_model(takt_client& client, takt_stream& stream, const wire::OpenStream& asked,
                const wire::StreamOpened& opened, std::int64_t until_ns, const wire::ModelInfo*& model) {
  if (opened.model == ~0U && stream.wish.model.empty())
    return fail(client, TAKT_E_UNSUPPORTED, "the broker does not say what the preset runs");
  const std::uint32_t number = opened.model != ~0U ? opened.model : asked.model;
  const auto find = [&] {
    const auto at = std::find_if(client.models.begin(), client.models.end(),
                                 [&](const wire::ModelInfo& m) { return m.model == number; });
    return at != client.models.end() ? &*at : nullptr;
  };
  model = find();
  if (model == nullptr) {
    if (const int e = fetch_models(client, until_ns); e != TAKT_OK) return e;
    model = find();
  }
  if (model == nullptr) return fail(client, TAKT_E_PROTOCOL, "the broker opened a stream of a model that it has not");
  stream.model = wire::text_of(model->name);
  const std::int32_t form = opened.model != ~0U ? opened.form : asked.form;
  if (form < 0 || static_cast<std::uint32_t>(form) >= model->forms) return TAKT_OK;
  const wire::WireForm& taken = model->form[static_cast<std::size_t>(form)];
  TensorDesc& own = stream.wish.picture;
  if (own.format == PictureFormat::none && !stream.is_child) own = picture(taken.format, taken.width, taken.height);
  const TensorDesc& given = picture_of(stream);
  if (given.format != taken.format || given.dims[1] > taken.width || given.dims[0] > taken.height)
    return failf(client, TAKT_E_INVALID, "the preset takes pictures of %ux%u at most, in its own format", taken.width,
                 taken.height);
  return TAKT_OK;
}

// What follows from the broker's yes: how large results are, where inputs lie.
int settle(takt_client& client, takt_stream& stream, const wire::OpenStream& asked, const wire::StreamOpened& opened,
           std::int64_t until_ns) {
  if (opened.result_bytes < sizeof(ResultHeader) || opened.result_bytes > kMaxBytes)
    return fail(client, TAKT_E_PROTOCOL, "the broker opened a stream without room for results");
  stream.result_bytes = align_result(opened.result_bytes);
  const wire::ModelInfo* model = nullptr;
  if (const int e = learn_model(client, stream, asked, opened, until_ns, model); e != TAKT_OK) return e;
  if (stream.is_child) return TAKT_OK;
  Layout layout;
  if (const int e = lay_out(client, *model, picture_of(stream), layout); e != TAKT_OK) return e;
  if (stream.slots == nullptr) {
    stream.layout = layout;
  } else if (!same(layout, stream.layout)) {
    return fail(client, TAKT_E_UNSUPPORTED, "the model takes other inputs than before: open the stream again");
  }
  return TAKT_OK;
}

int send_update(takt_client& client, takt_stream& stream, wire::OpenStream& message, std::int64_t until_ns,
                takt_admission& admission) {
  message.stream = stream.id;
  if (const int e = set_numbers(client, stream, stream.model, message); e != TAKT_OK) return e;
  wire::StreamOpened opened;
  if (const int e = ask(client, wire::Op::update_stream, message, wire::Op::stream_opened, opened, until_ns);
      e != TAKT_OK)
    return e;
  admission = admission_of(opened);
  return admission.outcome == takt_admission::TAKT_REFUSED ? fail_refused(client, admission) : TAKT_OK;
}

}  // namespace

int close_at_broker(takt_client& client, const takt_stream& stream, std::int64_t until_ns) noexcept {
  wire::CloseStream request;
  request.stream = stream.id;
  wire::Done done;
  return ask(client, wire::Op::close_stream, request, wire::Op::done, done, until_ns);
}

int open_at_broker(takt_client& client, takt_stream& stream, std::int64_t until_ns) {
  wire::OpenStream message = stream.wish.open;
  stream.admission = takt_admission{};
  stream.admission.outcome = takt_admission::TAKT_REFUSED;
  if (const int e = set_numbers(client, stream, stream.wish.model, message); e != TAKT_OK) return e;
  wire::StreamOpened opened;
  if (const int e = ask(client, wire::Op::open_stream, message, wire::Op::stream_opened, opened, until_ns);
      e != TAKT_OK)
    return e;
  stream.admission = admission_of(opened);
  if (stream.admission.outcome == takt_admission::TAKT_REFUSED) return fail_refused(client, stream.admission);
  stream.id = opened.stream;
  int e = settle(client, stream, message, opened, until_ns);
  if (e == TAKT_OK && stream.wish.revised)
    e = send_update(client, stream, *stream.wish.revised, until_ns, stream.admission);
  if (e != TAKT_OK && client.link != takt_client::Link::offline) {
    const char* why = client.error;
    (void)close_at_broker(client, stream, until_ns);
    client.error = why;
  }
  return e;
}

void refresh_trees(takt_client& client) noexcept {
  for (const auto& root : client.streams) {
    root->below = 0;
    for (const auto& stream : client.streams)
      if (stream->state == takt_stream::State::open && stream->is_below(root.get())) root->below |= bit(stream->place);
  }
}

void destroy(takt_client& client, takt_stream& stream) noexcept {
  const auto at =
      std::find_if(client.streams.begin(), client.streams.end(), [&](const auto& s) { return s.get() == &stream; });
  if (at == client.streams.end()) return;
  const auto owned = std::move(*at);
  client.streams.erase(at);
  client.free_places |= bit(owned->place);
  if (owned->frames != nullptr) drop_pool(client, *owned->frames);
  for (const auto& results : owned->results) drop_pool(client, results->pool);
}

namespace {

takt_stream* head_of(takt_stream* stream) noexcept {
  while (stream->parent != nullptr) stream = stream->parent;
  return stream;
}

// The memory of a stream that the broker accepted; for a child, more room in the results of its cascade.
int furnish(takt_client& client, takt_stream& stream, std::uint32_t slots, std::int64_t until_ns) {
  refresh_trees(client);
  if (stream.is_child) return fit_results(client, *head_of(&stream), until_ns);
  make_slots(stream, slots);
  if (const int e = make_frames(client, stream, until_ns); e != TAKT_OK) return e;
  return fit_results(client, stream, until_ns);
}

int check_open(takt_client& client, const takt_stream_config& config) noexcept {
  if (client.link != takt_client::Link::online) return fail_offline(client);
  if (client.free_places == 0) return fail(client, TAKT_E_LIMIT, "64 streams are open on this connection");
  if (config.parent != nullptr && config.parent->client != &client)
    return fail(client, TAKT_E_INVALID, "the parent is a stream of another client");
  if (config.parent != nullptr && (client.welcome.features & wire::kFeatureCascade) == 0)
    return fail(client, TAKT_E_UNSUPPORTED, "this broker runs no cascades");
  if (config.slots == 0 || config.slots > kMaxSlots) return fail(client, TAKT_E_INVALID, "a stream has 1 to 64 slots");
  return TAKT_OK;
}

// The stream is at the end of the list when the broker is asked; on error it is gone.
int open_stream(takt_client& client, const takt_stream_config& config, std::int64_t until_ns, takt_stream*& out,
                takt_admission& admission) {
  auto owned = std::make_unique<takt_stream>();
  takt_stream& stream = *owned;
  stream.client = &client;
  stream.parent = config.parent;
  stream.is_child = config.parent != nullptr;
  if (const int e = make_wish(client, config, until_ns, stream.wish); e != TAKT_OK) return e;
  const int e = open_at_broker(client, stream, until_ns);
  admission = stream.admission;
  if (e != TAKT_OK) return e;
  stream.place = static_cast<std::uint32_t>(std::countr_zero(client.free_places));
  client.free_places &= ~bit(stream.place);
  client.streams.push_back(std::move(owned));
  if (const int failed = furnish(client, stream, config.slots, until_ns); failed != TAKT_OK) {
    const std::string why = client.error;
    if (client.link == takt_client::Link::online) (void)close_at_broker(client, stream, until_ns);
    destroy(client, stream);
    refresh_trees(client);
    return failf(client, static_cast<takt_error>(failed), "%s", why.c_str());
  }
  out = &stream;
  return TAKT_OK;
}

int update_open(takt_client& client, takt_stream& stream, const takt_stream_config& config, std::int64_t until_ns,
                takt_admission& admission) {
  wire::OpenStream message = stream.wish.open;
  message.preset = {};
  if (const int e = set_rules(client, config, message); e != TAKT_OK) return e;
  if (const int e = send_update(client, stream, message, until_ns, admission); e != TAKT_OK) return e;
  stream.admission = admission;
  if (stream.wish.model.empty()) {
    stream.wish.revised = message;
  } else {
    stream.wish.open = message;
  }
  return TAKT_OK;
}

// A restarted broker refused it: ask again, with the new rules.
int update_refused(takt_client& client, takt_stream& stream, const takt_stream_config& config, std::int64_t until_ns,
                   takt_admission& admission) {
  const Wish before = stream.wish;
  int e = set_rules(client, config, stream.wish.model.empty() ? stream.wish.revised.emplace() : stream.wish.open);
  if (e == TAKT_OK) e = open_at_broker(client, stream, until_ns);
  admission = stream.admission;
  if (e != TAKT_OK) {
    stream.wish = before;
    return e;
  }
  stream.state = takt_stream::State::open;
  refresh_trees(client);
  e = stream.is_child ? fit_results(client, *head_of(&stream), until_ns) : take_memory(client, stream, until_ns);
  if (e != TAKT_OK) {
    stream.state = takt_stream::State::refused;
    if (client.link == takt_client::Link::online) (void)close_at_broker(client, stream, until_ns);
    refresh_trees(client);
  }
  return e;
}

// Nothing may name the stream's place any more: another stream will have it.
void forget_place(takt_client& client, const takt_stream& stream) noexcept {
  for (Slot* slot : client.flight) {
    if (slot == nullptr || slot->stream == &stream) continue;
    slot->awaited &= ~bit(stream.place);
    slot->below &= ~bit(stream.place);
  }
}

}  // namespace
}  // namespace takt::lib

using namespace takt::lib;

int takt_stream_open(takt_client* client, const takt_stream_config* config, takt_stream** out,
                     takt_admission* admission) {
  if (client == nullptr || config == nullptr || out == nullptr) return TAKT_E_INVALID;
  *out = nullptr;
  takt_admission told{};
  takt_stream_config whole;
  if (!complete(*config, whole))
    return fail(*client, TAKT_E_INVALID, "struct_size is wrong: use takt_stream_config_init()");
  if (const int e = check_open(*client, whole); e != TAKT_OK) return e;
  const int e = open_stream(*client, whole, now_ns() + kCallNs, *out, told);
  if (admission != nullptr) *admission = told;
  wake_if_answers(*client);
  return e;
}

int takt_stream_update(takt_stream* stream, const takt_stream_config* config, takt_admission* admission) {
  if (stream == nullptr || config == nullptr) return TAKT_E_INVALID;
  takt_client& client = *stream->client;
  takt_admission told{};
  takt_stream_config whole;
  if (!complete(*config, whole))
    return fail(client, TAKT_E_INVALID, "struct_size is wrong: use takt_stream_config_init()");
  if (client.link != takt_client::Link::online) return fail_offline(client);
  const auto update = stream->state == takt_stream::State::refused ? &update_refused : &update_open;
  const int e = update(client, *stream, whole, now_ns() + kCallNs, told);
  if (admission != nullptr) *admission = told;
  wake_if_answers(client);
  return e;
}

int takt_stream_admission(const takt_stream* stream, takt_admission* out) {
  if (stream == nullptr) return TAKT_E_INVALID;
  if (out != nullptr) *out = stream->admission;
  return stream->state == takt_stream::State::open ? TAKT_OK : TAKT_E_NOT_ADMITTED;
}

void takt_stream_close(takt_stream* stream) {
  if (stream == nullptr) return;
  takt_client& client = *stream->client;
  for (std::uint32_t s = 0; s < stream->slot_count; ++s) takt_frame_discard(&stream->slots[s]);
  // Waited for, so that the next frame of its cascade is counted as the broker counts it.
  if (stream->state == takt_stream::State::open && client.link == takt_client::Link::online)
    (void)close_at_broker(client, *stream, now_ns() + kCallNs);
  stream->state = takt_stream::State::closed;
  client.answers.forget(stream);
  for (const auto& other : client.streams)
    if (other->parent == stream) other->parent = nullptr;
  refresh_trees(client);
  forget_place(client, *stream);
  wake_if_answers(client);
  if (stream->idle()) destroy(client, *stream);
}

const char* takt_stream_model(const takt_stream* stream) {
  return stream != nullptr ? stream->model.c_str() : "";
}

int takt_stream_input(const takt_stream* stream, uint32_t index, takt_tensor* out) {
  if (stream == nullptr || out == nullptr) return TAKT_E_INVALID;
  if (index >= stream->layout.inputs) return fail(*stream->client, TAKT_E_NOT_FOUND, "frames of it have no such input");
  *out = to_c(stream->layout.input[index]);
  return TAKT_OK;
}

void takt_stream_set_user(takt_stream* stream, void* user) {
  if (stream != nullptr) stream->user = user;
}

void* takt_stream_user(const takt_stream* stream) {
  return stream != nullptr ? stream->user : nullptr;
}
