// The conversation with the broker: greeting, requests and their answers, taking in what comes, giving credits back.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "client/client.hpp"

namespace takt::lib {
namespace {

constexpr int kPacketsPerTurn = 256;     // a broker that floods us must not keep takt_dispatch() for ever
constexpr std::size_t kMaxModels = 256;  // in one list

struct Incoming {
  wire::Op op;
  std::uint64_t request;
};

// The framing of a packet. Null, or what is wrong with it.
const char* frame_of(const Packet& packet, Incoming& incoming) noexcept {
  if (packet.io == Io::broken) return "the broker sent a packet that is too long";
  const auto op = wire::check_header(packet.bytes);
  if (!op) return op.error().text;
  if (packet.descriptors > 0 && (*op != wire::Op::pool_created || packet.descriptors > 1))
    return "the broker sent descriptors that nobody asked for";
  wire::Header header;
  std::memcpy(&header, packet.bytes.data(), sizeof header);
  incoming = {*op, header.request};
  return nullptr;
}

int fail_as_told(takt_client& client, std::span<const std::byte> packet) noexcept {
  const auto failure = wire::decode<wire::Failure>(packet);
  if (!failure) return protocol_error(client, failure.error().text);
  return failf(client, error_of(failure->code), "the broker says: %s", failure->text.data());
}

int connection_error(takt_client& client, int error) noexcept {
  const char* path = client.path.c_str();
  switch (error) {
    case ENOENT:
    case ECONNREFUSED:
      return failf(client, TAKT_E_DISCONNECTED, "no broker listens at %s: start taktd, or set TAKT_SOCKET", path);
    case EAGAIN: return failf(client, TAKT_E_DISCONNECTED, "the broker at %s has no time to accept", path);
    case EACCES:
    case EPERM: return failf(client, TAKT_E_DENIED, "%s: permission denied: join the group of the socket", path);
    case EPROTOTYPE: return failf(client, TAKT_E_UNSUPPORTED, "%s is another kind of socket than taktd's", path);
    default: return failf(client, TAKT_E_SYSTEM, "%s: %s", path, ::strerrordesc_np(error));
  }
}

// The broker may end the session with a reason of its own; everything else that take_message() minds is impossible.
int end_because(takt_client& client, const char* why) noexcept {
  if (why != client.farewell.data()) return protocol_error(client, why);
  lose(client, why);
  return fail_offline(client);
}

}  // namespace

int protocol_error(takt_client& client, const char* what) noexcept {
  lose(client, what);
  return failf(client, TAKT_E_PROTOCOL, "the broker said something impossible: %s", what);
}

int tell(takt_client& client, std::span<const std::byte> packet, std::int64_t until_ns, int descriptor) noexcept {
  for (;;) {
    switch (client.socket.send(packet, descriptor)) {
      case Io::ok: return TAKT_OK;
      case Io::again:
        if (client.socket.wait_writable(until_ns) || now_ns() < until_ns) continue;
        lose(client, "it stopped reading");
        return fail_offline(client);
      default:
        take_in(client);  // what it said before it left still counts
        lose(client, "the connection was closed");
        return fail_offline(client);
    }
  }
}

int await(takt_client& client, wire::Op expected, wire::Op also, std::int64_t until_ns, Packet& answer) noexcept {
  const std::uint64_t request = client.requests;
  for (;;) {
    if (now_ns() >= until_ns) {  // also if it talks without end, but of something else
      lose(client, "it did not answer in time");
      return fail(client, TAKT_E_TIMED_OUT, "the broker did not answer in time");
    }
    answer = client.socket.receive();
    if (answer.io == Io::again) {
      (void)client.socket.wait_readable(until_ns);
      continue;
    }
    if (answer.io == Io::closed) {
      lose(client, "the connection was closed");
      return fail_offline(client);
    }
    Incoming incoming{};
    if (const char* wrong = frame_of(answer, incoming)) return protocol_error(client, wrong);
    if (incoming.request == request) {
      if (incoming.op == expected || incoming.op == also) return TAKT_OK;
      if (incoming.op == wire::Op::failure) return fail_as_told(client, answer.bytes);
    }
    if (const char* wrong = take_message(client, incoming.op, answer.bytes)) return end_because(client, wrong);
  }
}

int connect_and_greet(takt_client& client) noexcept {
  if (const int error = client.socket.connect(client.path.c_str()); error != 0) return connection_error(client, error);
  wire::Hello hello;
  hello.now_ns = now_ns();
  hello.client = client.name;
  client.link = takt_client::Link::greeting;
  // A broker that turned us away before we spoke left its reason to be read, as one that hangs up later does.
  if (client.socket.send(stamp(client, wire::Op::hello, hello)) != Io::again) return TAKT_OK;
  return failf(client, TAKT_E_DISCONNECTED, "the broker at %s takes no greeting", client.path.c_str());
}

int take_welcome(takt_client& client, const Packet& packet) noexcept {
  const auto op = wire::check_header(packet.bytes);
  if (!op && op.error().code == Code::unsupported)
    return failf(client, TAKT_E_UNSUPPORTED, "the broker speaks another version of the protocol than %u",
                 unsigned{wire::kMajor});
  Incoming incoming{};
  if (const char* wrong = frame_of(packet, incoming)) return protocol_error(client, wrong);
  if (incoming.op == wire::Op::failure) return fail_as_told(client, packet.bytes);
  const auto welcome = wire::decode<wire::Welcome>(packet.bytes);
  if (!welcome) return protocol_error(client, welcome.error().text);
  if (welcome->major != wire::kMajor)
    return failf(client, TAKT_E_UNSUPPORTED, "the broker speaks version %u of the protocol, this library %u",
                 unsigned{welcome->major}, unsigned{wire::kMajor});
  client.welcome = *welcome;
  client.capacity = welcome->credits;
  client.unreported = 0;
  ++client.epoch;
  return TAKT_OK;
}

int fetch_models(takt_client& client, std::int64_t until_ns) {
  wire::ListModels request;
  if (const int e = tell(client, stamp(client, wire::Op::list_models, request), until_ns); e != TAKT_OK) return e;
  std::vector<wire::ModelInfo> models;
  for (;;) {
    Packet packet;
    if (const int e = await(client, wire::Op::model_info, wire::Op::done, until_ns, packet); e != TAKT_OK) return e;
    if (*wire::check_header(packet.bytes) == wire::Op::done) break;
    const auto model = wire::decode<wire::ModelInfo>(packet.bytes);
    if (!model) return protocol_error(client, model.error().text);
    if (models.size() == kMaxModels) return protocol_error(client, "the list of models does not end");
    models.push_back(*model);
  }
  client.models = std::move(models);
  return TAKT_OK;
}

void take_in(takt_client& client) noexcept {
  for (int i = 0; i < kPacketsPerTurn && client.link == takt_client::Link::online; ++i) {
    const Packet packet = client.socket.receive();
    if (packet.io == Io::again) return;
    if (packet.io == Io::closed) return lose(client, "the connection was closed");
    Incoming incoming{};
    const char* wrong = frame_of(packet, incoming);
    if (wrong == nullptr) wrong = take_message(client, incoming.op, packet.bytes);
    if (wrong != nullptr) end_because(client, wrong);
  }
}

void report_credits(takt_client& client) noexcept {
  if (client.unreported == 0 || client.link != takt_client::Link::online) return;
  wire::ReleaseCredit message;
  message.count = client.unreported;
  // If the queue is full the count waits for the next call; a connection that is gone shows when it is read.
  if (client.socket.send(stamp(client, wire::Op::release_credit, message)) == Io::ok) client.unreported = 0;
}

void wake_if_answers(takt_client& client) noexcept {
  if (client.answers.size() > 0 && client.link == takt_client::Link::online) client.socket.set_alarm(now_ns());
}

}  // namespace takt::lib
