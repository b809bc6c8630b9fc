// An application on libtakt for live tests: opens streams, submits frames that carry their tag, collects verdicts.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "support/live_service.hpp"
#include "takt/takt.h"

namespace takt::testing {

struct Seen {
  std::vector<takt_verdict> verdicts;  // of one (stream, tag)
  std::vector<unsigned char> echo;     // first bytes of its result, as the null driver writes them
  std::uint32_t largest_batch = 0;
};

class LiveClient {
 public:
  explicit LiveClient(const std::string& socket, const char* name = "test") {
    // A dead client's session counts until its last segment has ended: a place may have to be waited for.
    int error = 0;
    EXPECT_TRUE(eventually([&] { return (error = takt_connect(socket.c_str(), name, &client_)) != TAKT_E_LIMIT; }));
    EXPECT_EQ(error, 0) << takt_error_name(error);
  }
  ~LiveClient() {
    if (client_ != nullptr) takt_disconnect(client_);
  }
  LiveClient(const LiveClient&) = delete;
  LiveClient& operator=(const LiveClient&) = delete;
  [[nodiscard]] takt_client* get() const { return client_; }

  static takt_stream_config config(std::int64_t deadline_ms = 1000, std::uint32_t slots = 8) {
    takt_stream_config c;
    takt_stream_config_init(&c);
    c.model = "plain";
    c.relative_deadline_ns = deadline_ms * 1'000'000;
    c.slots = slots;
    return c;
  }
  takt_stream* open(const takt_stream_config& c, takt_admission* admission = nullptr) {
    takt_stream* s = nullptr;
    const int error = takt_stream_open(client_, &c, &s, admission);
    EXPECT_EQ(error, 0) << takt_last_error(client_);
    return s;
  }
  // The first eight bytes of the frame are its tag; the null driver hands them through.
  int submit(takt_stream* s, std::uint64_t tag, std::int64_t deadline_ns = 0) {
    takt_frame* f = nullptr;
    if (const int error = takt_frame_begin(s, &f); error != 0) return error;
    std::size_t room = 0;
    void* data = takt_frame_input(f, 0, &room);
    std::memcpy(data, &tag, std::min(room, sizeof tag));
    const int error = takt_frame_submit(f, tag, takt_now_ns(), deadline_ns);
    if (error != 0) takt_frame_discard(f);
    return error;
  }
  // Takes what waits for up to `timeout_ms`.
  void take(int timeout_ms) {
    takt_dispatch(client_, timeout_ms);
    takt_answer a;
    while (takt_next_answer(client_, &a) == 1) {
      if (a.is_notice != 0) {
        ++notices;
        continue;
      }
      Seen& seen = answers[{a.stream, a.tag}];
      seen.verdicts.push_back(a.verdict);
      seen.largest_batch = a.largest_batch;
      takt_tensor t;
      const void* data = nullptr;
      std::size_t bytes = 0;
      if (a.has_result != 0 && takt_answer_output(&a, 0, &t, &data, &bytes) == 0)
        seen.echo.assign(static_cast<const unsigned char*>(data), static_cast<const unsigned char*>(data) + std::min<std::size_t>(bytes, 8));
      ++total;
      takt_answer_release(client_, &a);
    }
  }
  // Until `n` verdicts have come; false after half a minute.
  bool await(std::size_t n) {
    for (int i = 0; i < 600 && total < n; ++i) take(50);
    return total >= n;
  }
  [[nodiscard]] std::size_t count(takt_verdict v) const {
    std::size_t n = 0;
    for (const auto& [key, seen] : answers)
      for (const takt_verdict x : seen.verdicts) n += x == v;
    return n;
  }
  [[nodiscard]] bool each_once() const {
    for (const auto& [key, seen] : answers)
      if (seen.verdicts.size() != 1) return false;
    return true;
  }

  std::map<std::pair<takt_stream*, std::uint64_t>, Seen> answers;
  std::size_t total = 0, notices = 0;

 private:
  takt_client* client_ = nullptr;
};

}  // namespace takt::testing
