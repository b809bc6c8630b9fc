// takt.h for C++: handles that close themselves, spans instead of pointers, no exceptions. Header only; link libtakt.
//
// Threads, blocking, units, lifetimes: those of takt.h. A client must outlive its streams, frames and answers. What
// fails returns nothing (std::nullopt) or a takt_error; Client::last_error() says why.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "takt/takt.h"

namespace takt::client {

// A frame slot to write into. Given back unless it was submitted.
class Frame {
 public:
  explicit Frame(takt_frame* frame) noexcept : frame_(frame) {}

  // Empty if the model has no such input.
  [[nodiscard]] std::span<std::byte> input(std::uint32_t index = 0) const noexcept {
    std::size_t bytes = 0;
    void* data = takt_frame_input(frame_.get(), index, &bytes);
    return {static_cast<std::byte*>(data), bytes};
  }
  int describe(std::uint32_t index, const takt_tensor& tensor) const noexcept {
    return takt_frame_describe(frame_.get(), index, &tensor);
  }
  // On error the frame is still here. deadline_ns 0: as the stream says.
  int submit(std::uint64_t tag, std::int64_t deadline_ns = 0, std::int64_t capture_ns = 0) noexcept {
    const int error = takt_frame_submit(frame_.get(), tag, capture_ns, deadline_ns);
    if (error == TAKT_OK) (void)frame_.release();
    return error;
  }

 private:
  struct Discard {
    void operator()(takt_frame* frame) const noexcept { takt_frame_discard(frame); }
  };
  std::unique_ptr<takt_frame, Discard> frame_;
};

struct Output {
  takt_tensor tensor{};
  std::span<const std::byte> bytes;

  template <class T>
  [[nodiscard]] std::span<const T> as() const noexcept {
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

// A verdict or a notice; released when it ends.
class Answer {
 public:
  Answer(takt_client* client, const takt_answer& answer) noexcept : client_(client), answer_(answer) {}
  Answer(Answer&& other) noexcept : client_(std::exchange(other.client_, nullptr)), answer_(other.answer_) {}
  Answer& operator=(Answer&& other) noexcept {
    std::swap(client_, other.client_);
    std::swap(answer_, other.answer_);
    return *this;
  }
  ~Answer() {
    if (client_ != nullptr) takt_answer_release(client_, &answer_);
  }

  [[nodiscard]] const takt_answer* operator->() const noexcept { return &answer_; }
  [[nodiscard]] const takt_answer& operator*() const noexcept { return answer_; }
  // Valid as long as the answer.
  [[nodiscard]] std::optional<Output> output(std::uint32_t index = 0) const noexcept {
    Output output;
    const void* data = nullptr;
    std::size_t bytes = 0;
    if (takt_answer_output(&answer_, index, &output.tensor, &data, &bytes) != TAKT_OK) return {};
    output.bytes = {static_cast<const std::byte*>(data), bytes};
    return output;
  }

 private:
  takt_client* client_;
  takt_answer answer_;
};

class Stream {
 public:
  explicit Stream(takt_stream* stream) noexcept : stream_(stream) {}

  [[nodiscard]] takt_stream* get() const noexcept { return stream_.get(); }
  // Nothing: skip this frame, and see last_error() for which of takt_frame_begin()'s reasons it is.
  [[nodiscard]] std::optional<Frame> begin() const noexcept {
    takt_frame* frame = nullptr;
    if (takt_frame_begin(stream_.get(), &frame) != TAKT_OK) return {};
    return Frame(frame);
  }
  int update(const takt_stream_config& config, takt_admission* admission = nullptr) const noexcept {
    return takt_stream_update(stream_.get(), &config, admission);
  }

 private:
  struct Close {
    void operator()(takt_stream* stream) const noexcept { takt_stream_close(stream); }
  };
  std::unique_ptr<takt_stream, Close> stream_;
};

[[nodiscard]] inline takt_stream_config stream_config() noexcept {
  takt_stream_config config;
  takt_stream_config_init(&config);
  return config;
}

class Client {
 public:
  // On failure takt_last_error(nullptr) says why.
  [[nodiscard]] static std::optional<Client> connect(const char* path = nullptr, const char* name = nullptr) noexcept {
    takt_client* client = nullptr;
    if (takt_connect(path, name, &client) != TAKT_OK) return {};
    return Client(client);
  }

  [[nodiscard]] takt_client* get() const noexcept { return client_.get(); }
  [[nodiscard]] const char* last_error() const noexcept { return takt_last_error(client_.get()); }
  [[nodiscard]] int fd() const noexcept { return takt_fd(client_.get()); }
  [[nodiscard]] bool connected() const noexcept { return takt_is_connected(client_.get()) != 0; }
  [[nodiscard]] std::optional<Stream> open(const takt_stream_config& config,
                                           takt_admission* admission = nullptr) const noexcept {
    takt_stream* stream = nullptr;
    if (takt_stream_open(client_.get(), &config, &stream, admission) != TAKT_OK) return {};
    return Stream(stream);
  }
  // The next answer; waits up to `timeout` if none is there. Nothing: none came.
  [[nodiscard]] std::optional<Answer> next(std::chrono::milliseconds timeout = {}) const noexcept {
    takt_answer answer;
    if (takt_next_answer(client_.get(), &answer) == 0 &&
        (takt_dispatch(client_.get(), static_cast<int>(timeout.count())) <= 0 ||
         takt_next_answer(client_.get(), &answer) == 0))
      return {};
    return Answer(client_.get(), answer);
  }

 private:
  explicit Client(takt_client* client) noexcept : client_(client) {}
  struct Disconnect {
    void operator()(takt_client* client) const noexcept { takt_disconnect(client); }
  };
  std::unique_ptr<takt_client, Disconnect> client_;
};

}  // namespace takt::client
