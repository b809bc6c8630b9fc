// The client itself: connecting, dispatching, what the broker's models are.
#include "client/client.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

namespace takt::lib {
namespace {

constexpr const char* kDefaultSocket = "/run/takt/takt.sock";

const char* socket_path(const char* given) noexcept {
  if (given != nullptr) return given;
  const char* set = std::getenv("TAKT_SOCKET");
  return set != nullptr && *set != '\0' ? set : kDefaultSocket;
}

// Control characters would make the name a malformed message.
wire::Name display_name(const char* given) noexcept {
  wire::Name name{};
  wire::set_text(name, given != nullptr ? given : ::program_invocation_short_name);
  for (char& c : std::span(name).first(wire::text_of(name).size()))
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return name;
}

int greet_and_wait(takt_client& client, std::int64_t until_ns) {
  if (!client.socket.prepare()) return failf(client, TAKT_E_SYSTEM, "no descriptors: %s", ::strerrordesc_np(errno));
  if (const int e = connect_and_greet(client); e != TAKT_OK) return e;
  Packet packet = client.socket.receive();
  while (packet.io == Io::again) {
    if (!client.socket.wait_readable(until_ns) && now_ns() >= until_ns)
      return failf(client, TAKT_E_TIMED_OUT, "the broker at %s did not greet within 5 s", client.path.c_str());
    packet = client.socket.receive();
  }
  if (packet.io == Io::closed)
    return failf(client, TAKT_E_DISCONNECTED, "the broker at %s closed the connection", client.path.c_str());
  if (const int e = take_welcome(client, packet); e != TAKT_OK) return e;
  if (const int e = fetch_models(client, until_ns); e != TAKT_OK) return e;
  client.link = takt_client::Link::online;
  client.online_since_ns = now_ns();
  return TAKT_OK;
}

// Until something came; false when the time was over or a signal came.
bool wait_for_work(const takt_client& client, std::int64_t until_ns) noexcept {
  return client.link == takt_client::Link::online ? client.socket.wait_readable(until_ns)
                                                  : client.socket.wait_any(until_ns);
}

// An input that is given by forms is described by the largest of them.
takt_tensor describe_input(const wire::ModelInfo& model, std::uint32_t index) noexcept {
  if (index != 0 || model.forms == 0) return to_c(packed(model.input[index]));
  const auto last = model.form.begin() + std::min<std::uint32_t>(model.forms, wire::kMaxForms);
  const auto largest = std::max_element(model.form.begin(), last, [](const wire::WireForm& a, const wire::WireForm& b) {
    return std::uint64_t{a.width} * a.height < std::uint64_t{b.width} * b.height;
  });
  return to_c(picture(largest->format, largest->width, largest->height));
}

void copy(const wire::Name& name, char (&out)[64]) noexcept {
  std::copy(name.begin(), name.end(), out);
}

}  // namespace
}  // namespace takt::lib

using namespace takt::lib;
namespace wire = takt::wire;

int takt_connect(const char* path, const char* name, takt_client** out) {
  if (out == nullptr) return TAKT_E_INVALID;
  *out = nullptr;
  auto client = std::make_unique<takt_client>();
  client->path = socket_path(path);
  client->name = display_name(name);
  const int e = greet_and_wait(*client, now_ns() + kCallNs);
  if (e != TAKT_OK) {
    auto& text = connect_error();
    std::snprintf(text.data(), text.size(), "%s", client->error);
    return e;
  }
  *out = client.release();
  return TAKT_OK;
}

void takt_disconnect(takt_client* client) {
  delete client;
}

int takt_is_connected(const takt_client* client) {
  return client != nullptr && client->link == takt_client::Link::online ? 1 : 0;
}

uint64_t takt_generation(const takt_client* client) {
  return client != nullptr ? client->welcome.generation : 0;
}

int takt_fd(const takt_client* client) {
  return client != nullptr ? client->socket.watch() : TAKT_E_INVALID;
}

int takt_dispatch(takt_client* client, int timeout_ms) {
  if (client == nullptr) return TAKT_E_INVALID;
  const int connected = takt_is_connected(client);
  const std::uint32_t epoch = client->epoch;
  const std::int64_t until = timeout_ms > 0 ? now_ns() + timeout_ms * kMillisecond : timeout_ms;
  for (bool more = true; more;) {
    report_credits(*client);
    const bool wait = timeout_ms != 0 && client->answers.size() == 0;
    more = wait && wait_for_work(*client, until);
    advance(*client);
    more = more && client->answers.size() == 0 && takt_is_connected(client) == connected && client->epoch == epoch;
  }
  return static_cast<int>(client->answers.size());
}

int takt_model_count(const takt_client* client) {
  return client != nullptr ? static_cast<int>(client->models.size()) : TAKT_E_INVALID;
}

int takt_model(const takt_client* client, int index, takt_model_info* out) {
  if (client == nullptr || out == nullptr) return TAKT_E_INVALID;
  if (index < 0 || static_cast<std::size_t>(index) >= client->models.size()) return TAKT_E_NOT_FOUND;
  const wire::ModelInfo& model = client->models[static_cast<std::size_t>(index)];
  *out = takt_model_info{};
  copy(model.name, out->name);
  out->inputs = model.inputs;
  out->outputs = model.outputs;
  out->segments = model.segments;
  out->subnets = model.subnets;
  out->metrics = model.metrics;
  out->ready = model.ready;
  out->best_accuracy = model.best_accuracy;
  out->least_accuracy = model.least_accuracy;
  out->result_bytes = model.result_bytes;
  for (std::uint32_t i = 0; i < model.inputs; ++i) {
    out->input[i] = describe_input(model, i);
    copy(model.input[i].name, out->input_name[i]);
  }
  for (std::uint32_t i = 0; i < model.outputs; ++i) {
    out->output[i] = to_c(packed(model.output[i]));
    copy(model.output[i].name, out->output_name[i]);
  }
  for (std::uint32_t i = 0; i < model.metrics; ++i) copy(model.metric[i], out->metric_name[i]);
  return TAKT_OK;
}
