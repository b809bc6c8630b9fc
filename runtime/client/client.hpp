// The client: one connection to the broker, the streams on it, the frames in flight, the answers that wait.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "client/answer_queue.hpp"
#include "client/socket.hpp"
#include "client/stream.hpp"
#include "wire/decode.hpp"

namespace takt::lib {
inline constexpr std::int64_t kMillisecond = 1'000'000;
inline constexpr std::int64_t kCallNs = 5000 * kMillisecond;    // a request of the application
inline constexpr std::int64_t kResumeNs = 1000 * kMillisecond;  // everything after the welcome of a restarted broker
inline constexpr std::int64_t kFirstBackoffNs = 5 * kMillisecond, kLastBackoffNs = 100 * kMillisecond;
}  // namespace takt::lib

struct takt_client {
  enum class Link : std::uint8_t {
    offline,   // the alarm says when to try again
    greeting,  // hello was sent; the alarm says when to give up
    online,
  };

  std::string path;
  takt::wire::Name name{};
  takt::lib::Socket socket;
  Link link = Link::offline;
  std::uint32_t epoch = 0;  // counts connections
  std::uint64_t requests = 0;
  takt::wire::Welcome welcome;
  std::vector<takt::wire::ModelInfo> models;
  std::int64_t backoff_ns = takt::lib::kFirstBackoffNs, online_since_ns = 0;
  bool repairs = false;  // a stream waits for new memory

  std::vector<std::unique_ptr<takt_stream>> streams;  // in order of opening: parents come before their children
  std::uint64_t free_places = ~std::uint64_t{0};

  std::uint32_t capacity = 0, outstanding = 0;  // credits of the session, and those that frames hold
  std::uint32_t unreported = 0;                 // released, and the broker does not know yet
  std::array<takt::lib::Slot*, takt::wire::kMaxCredits> flight{};
  std::uint64_t free_flights = ~std::uint64_t{0};
  std::uint64_t serial = 0;
  std::array<takt_frame, takt::wire::kMaxCredits> child_answers{};
  std::uint64_t free_child_answers = ~std::uint64_t{0};
  takt::lib::AnswerQueue answers;

  const char* error = "no error";  // static text or `error_text`
  std::array<char, 320> error_text{};
  std::array<char, 224> lost_because{};
  std::array<char, 192> farewell{};  // why the broker ended the session
};

namespace takt::lib {

// ---- errors.cpp: both return `error`
int fail(takt_client& client, takt_error error, const char* static_text) noexcept;
int failf(takt_client& client, takt_error error, const char* format, ...) noexcept
    __attribute__((format(printf, 3, 4)));
int fail_offline(takt_client& client) noexcept;
[[nodiscard]] takt_error error_of(std::int32_t code) noexcept;
[[nodiscard]] std::array<char, 320>& connect_error() noexcept;  // text of this thread's last failed connect

// ---- session.cpp: talking. Functions that return int give 0 or a takt_error, with the text set.
template <class T>
std::span<const std::byte> stamp(takt_client& client, wire::Op op, T& message) noexcept {
  message.header.op = op;
  message.header.bytes = sizeof(T);
  message.header.request = ++client.requests;
  return std::as_bytes(std::span(&message, 1));
}
// Sends and waits if it must; does not wait for an answer.
int tell(takt_client& client, std::span<const std::byte> packet, std::int64_t until_ns, int descriptor = -1) noexcept;
// Waits for the answer to the latest request, taking in whatever comes before. Other answers than `expected` are
// errors; `also` (with list_models) is one more that may come.
int await(takt_client& client, wire::Op expected, wire::Op also, std::int64_t until_ns, Packet& answer) noexcept;
template <class Answer, class Request>
int ask(takt_client& client, wire::Op op, Request& request, wire::Op expected, Answer& answer, std::int64_t until_ns,
        int descriptor = -1, Descriptor* received = nullptr) noexcept;
int protocol_error(takt_client& client, const char* what) noexcept;  // ends the connection
int connect_and_greet(takt_client& client) noexcept;                 // offline -> greeting
int take_welcome(takt_client& client, const Packet& packet) noexcept;
int fetch_models(takt_client& client, std::int64_t until_ns);
void take_in(takt_client& client) noexcept;  // all packets that are there; ends the connection if it is broken
void report_credits(takt_client& client) noexcept;
// The application must look: makes takt_fd() readable if answers wait.
void wake_if_answers(takt_client& client) noexcept;

// ---- incoming.cpp
// One message that nobody waits for. Null, or what is impossible about it (static text).
[[nodiscard]] const char* take_message(takt_client& client, wire::Op op, std::span<const std::byte> packet) noexcept;

// ---- frames.cpp
// What an answer of the frame's own stream, or of one below it, hands to the application.
[[nodiscard]] takt_frame& answer_frame(takt_client& client, Slot& slot, bool own) noexcept;
// Queues a verdict that ends `frame.credits`; the caller fills in the rest. `stream` null: closed since.
takt_answer& queue_verdict(takt_client& client, takt_frame& frame, takt_stream* stream, takt_verdict verdict) noexcept;
void retire_if_over(takt_client& client, Slot& slot) noexcept;  // frees the slot once every credit was released

// ---- memory.cpp
int make_frames(takt_client& client, takt_stream& stream, std::int64_t until_ns);
// Room for the results of the stream and all below it: the pool it has, taken over by this broker, or a new one.
int fit_results(takt_client& client, takt_stream& root, std::int64_t until_ns);
// After a restart: the broker takes over the memory, or new memory is made where no frame is out; else repair() does
// it.
int take_memory(takt_client& client, takt_stream& root, std::int64_t until_ns);
void drop_pool(takt_client& client, Pool& pool) noexcept;

// ---- streams.cpp
// Asks with today's numbers. An admission that is refused is an error too.
int open_at_broker(takt_client& client, takt_stream& stream, std::int64_t until_ns);
int close_at_broker(takt_client& client, const takt_stream& stream, std::int64_t until_ns) noexcept;
void refresh_trees(takt_client& client) noexcept;  // which streams are below which
void destroy(takt_client& client, takt_stream& stream) noexcept;

// ---- resume.cpp
// Ends the connection: every frame in flight is answered, and the alarm says when to connect again.
void lose(takt_client& client, const char* because) noexcept;
void advance(takt_client& client);  // whatever is due: connecting, greeting, taking over, repairing, taking in

template <class Answer, class Request>
int ask(takt_client& client, wire::Op op, Request& request, wire::Op expected, Answer& answer, std::int64_t until_ns,
        int descriptor, Descriptor* received) noexcept {
  if (const int e = tell(client, stamp(client, op, request), until_ns, descriptor); e != TAKT_OK) return e;
  Packet packet;
  if (const int e = await(client, expected, expected, until_ns, packet); e != TAKT_OK) return e;
  auto decoded = wire::decode<Answer>(packet.bytes);
  if (!decoded) return protocol_error(client, decoded.error().text);
  answer = *decoded;
  if (received != nullptr) *received = std::move(packet.descriptor);
  return TAKT_OK;
}

}  // namespace takt::lib
