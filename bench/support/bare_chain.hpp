// The limit: a message over a bare SOCK_SEQPACKET to a process that does nothing but pass it on by a ring and a futex
// to a second one. The same syscalls and the same memory as any broker with an executor cannot do without.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "support/placement.hpp"

namespace takt::bench {

// How the bare broker waits for its socket.
enum class Wait { blocking_recv, epoll };

struct BareOptions {
  Placement placement = kOneCpu;
  int worker_priority = 0;  // 0: SCHED_OTHER
  Wait wait = Wait::blocking_recv;
  std::size_t message = 0;  // bytes through the socket
  std::size_t frame = 64;   // bytes in shared memory, which the worker reads
};

// When what happened to one message; CLOCK_MONOTONIC in nanoseconds.
struct BareTimes {
  std::int64_t received = 0, started = 0, read = 0;
};

class BareChain {
 public:
  explicit BareChain(const BareOptions& options);  // forks both processes
  ~BareChain();                                    // and ends them
  BareChain(const BareChain&) = delete;
  BareChain& operator=(const BareChain&) = delete;

  [[nodiscard]] void* frame() const noexcept;  // where the client writes its pixels
  // Sends one message and waits until the worker has answered.
  BareTimes pass();

 private:
  struct Shared;
  void broker(int socket) const;
  void worker(int answer) const;

  BareOptions options_;
  Shared* shared_ = nullptr;
  std::byte* frame_ = nullptr;
  int to_broker_ = -1, from_worker_ = -1;
  std::array<pid_t, 2> processes_{};
};

}  // namespace takt::bench
