// A client with one stream that hands in a frame and waits for its answer; ends the program when something is wrong.
#pragma once

#include <string>

#include "support/machine.hpp"
#include "takt/takt.h"

namespace takt::bench {

class Client {
 public:
  Client(const std::string& socket, const takt_stream_config& config) {
    if (const int e = takt_connect(socket.c_str(), "bench", &client_); e != 0)
      give_up(std::string("connect: ") + takt_error_name(e));
    require(takt_stream_open(client_, &config, &stream_, nullptr), "open");
  }
  ~Client() { takt_disconnect(client_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  static takt_stream_config config(const char* model, takt_class criticality = TAKT_SOFT) {
    takt_stream_config c;
    takt_stream_config_init(&c);
    c.model = model;
    c.criticality = criticality;
    c.relative_deadline_ns = 1'000'000'000;
    if (criticality == TAKT_HARD) c.period_ns = 20'000;
    return c;
  }

  // The next frame; `input` is where its bytes go.
  takt_frame* begin(void*& input, std::size_t& bytes) {
    takt_frame* frame = nullptr;
    require(takt_frame_begin(stream_, &frame), "begin");
    input = takt_frame_input(frame, 0, &bytes);
    return frame;
  }
  // The same; null if no slot or credit is free.
  takt_frame* try_begin() {
    takt_frame* frame = nullptr;
    const int e = takt_frame_begin(stream_, &frame);
    if (e != TAKT_E_NO_CREDIT) require(e, "begin");
    return frame;
  }
  // deadline_ns 0: the stream's.
  void submit(takt_frame* frame, std::uint64_t tag = 0, std::int64_t deadline_ns = 0) {
    require(takt_frame_submit(frame, tag, 0, deadline_ns), "submit");
  }
  // Blocks until the answer is there; it must be released.
  takt_answer answer() {
    takt_answer a;
    while (takt_next_answer(client_, &a) != 1)
      if (takt_dispatch(client_, 5000) < 0) give_up(takt_last_error(client_));
    return a;
  }
  void release(takt_answer& a) { takt_answer_release(client_, &a); }
  // Books and releases every answer that is there, without waiting.
  template <class Book>
  void take(Book book) {
    takt_answer a;
    if (takt_dispatch(client_, 0) < 0) give_up(takt_last_error(client_));
    while (takt_next_answer(client_, &a) == 1) {
      book(a);
      takt_answer_release(client_, &a);
    }
  }
  [[nodiscard]] int fd() const { return takt_fd(client_); }

 private:
  void require(int error, const char* what) const {
    if (error != 0) give_up(std::string(what) + ": " + takt_error_name(error) + ": " + takt_last_error(client_));
  }
  takt_client* client_ = nullptr;
  takt_stream* stream_ = nullptr;
};

}  // namespace takt::bench
