// The library's system calls for talking: one SOCK_SEQPACKET connection, one timer, one descriptor that watches both.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "wire/protocol.hpp"

namespace takt::lib {

// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// CLOCK_MONOTONIC in nanoseconds.
[[nodiscard]] std::int64_t now_ns() noexcept;

enum class Io : std::uint8_t {
  ok,
  again,   // would block
  closed,  // the peer is gone
  broken,  // truncated, or more descriptors than any message has
};

struct Packet {
  Io io = Io::again;
  std::span<const std::byte> bytes;  // in the socket's buffer, until the next receive()
  Descriptor descriptor;             // the first that came with it; others were closed
  std::uint32_t descriptors = 0;
};

// One thread at a time. Nothing blocks but the wait functions; nothing allocates.
class Socket {
 public:
  // Makes the watching descriptor and its timer, once. False: errno says why.
  [[nodiscard]] bool prepare() noexcept;
  // Connects without waiting; 0 or an errno value.
  [[nodiscard]] int connect(const char* path) noexcept;
  void close() noexcept;
  [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(socket_); }

  // Sends one packet; `descriptor` -1: none goes with it.
  [[nodiscard]] Io send(std::span<const std::byte> packet, int descriptor = -1) noexcept;
  [[nodiscard]] Packet receive() noexcept;

  // Wait until the time has come (-1: for ever). False: it came, or a signal did.
  [[nodiscard]] bool wait_readable(std::int64_t until_ns) const noexcept;
  [[nodiscard]] bool wait_writable(std::int64_t until_ns) const noexcept;
  // The same for the connection and the alarm together.
  [[nodiscard]] bool wait_any(std::int64_t until_ns) const noexcept;

  // The alarm makes watch() readable at the given time until it is set anew or switched off.
  void set_alarm(std::int64_t at_ns) noexcept;
  void clear_alarm() noexcept;
  [[nodiscard]] bool alarm_due() const noexcept { return alarm_ns_ != 0 && now_ns() >= alarm_ns_; }
  [[nodiscard]] int watch() const noexcept { return epoll_.get(); }

 private:
  Descriptor epoll_, timer_, socket_;
  std::int64_t alarm_ns_ = 0;  // 0: off
  bool reset_seen_ = false;
  alignas(8) std::array<std::byte, wire::kMaxMessage> buffer_;
};

}  // namespace takt::lib
