// A broker for one executor, without scheduler or clients: posts entries, recalls, pops completions. For tests.
#pragma once

#include <poll.h>

#include <array>
#include <chrono>
#include <cstring>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "live/event_loop.hpp"
#include "live/futex.hpp"
#include "live/monotonic_clock.hpp"
#include "live/shared_memory.hpp"
#include "live/unix_socket.hpp"
#include "takt/model.hpp"
#include "wire/decode.hpp"
#include "wire/executor_protocol.hpp"
#include "wire/ring_ops.hpp"

namespace takt::test {

template <class T>
T must(Result<T> result) {
  if (!result)
    throw std::runtime_error(std::string(result.error().text) + ", " + std::to_string(result.error().vendor));
  return std::move(*result);
}

// A pool that broker and executor share.
struct FakePool {
  live::FileDescriptor fd;
  live::Mapping memory;
  explicit FakePool(std::uint64_t bytes)
      : fd(must(live::make_memory("test-pool", bytes))),
        memory(must(live::Mapping::map(fd.get(), bytes, live::Access::read_write))) {}
};

// The memory of one session and the broker's ends of its rings.
class FakeSession {
 public:
  static constexpr std::size_t kJobs = 64, kSlots = 32;
  static constexpr std::uint64_t kSlotBytes = 4096;

  explicit FakeSession(std::uint64_t generation = 1)
      : memory_fd_(must(live::make_memory("test-rings", sizeof(wire::ExecutorMemory)))),
        board_fd_(must(live::make_memory("test-board", kJobs * sizeof(wire::JobRecord)))),
        slots_fd_(must(live::make_memory("test-slots", kSlots * kSlotBytes))),
        memory_map_(map(memory_fd_)),
        board_map_(map(board_fd_)),
        slots_map_(map(slots_fd_)),
        completed_(must(live::Notifier::make())),
        memory_(new (memory_map_.data()) wire::ExecutorMemory{}) {
    memory_->generation = generation;
    memory_->accelerators = 1;
    for (std::size_t l = 0; l < wire::kWorkerLanes; ++l) {
      starts_.emplace_back(memory_->lanes[0][l].start);
      completions_.emplace_back(memory_->lanes[0][l].completion);
    }
  }

  [[nodiscard]] wire::ExecutorMemory& memory() { return *memory_; }
  [[nodiscard]] wire::JobRecord& job(std::size_t i) { return board_map_.as<wire::JobRecord>()[i]; }
  [[nodiscard]] std::byte* slot(std::size_t i) { return slots_map_.data() + i * kSlotBytes; }
  [[nodiscard]] const live::Notifier& completed() const { return completed_; }
  [[nodiscard]] wire::StartProducer& starts(std::size_t lane = 1) { return starts_[lane]; }

  [[nodiscard]] std::array<int, 4> descriptors() const {
    return {memory_fd_.get(), board_fd_.get(), slots_fd_.get(), completed_.fd()};
  }

  // What post() needs to know of a launch.
  struct Start {
    std::uint32_t variant = 0;
    bool first = true, last = true;
    Duration expected{};
    std::vector<wire::StartJob> jobs{{}};
  };
  void post(std::uint64_t sequence, const Start& start, std::size_t lane = 1) {
    wire::StartEntry& e = starts_[lane].entry();
    e.variant = start.variant;
    e.count = static_cast<std::uint16_t>(start.jobs.size());
    e.first_segment = start.first ? 1 : 0;
    e.last_segment = start.last ? 1 : 0;
    e.expected_ns = to_ns(start.expected);
    std::copy(start.jobs.begin(), start.jobs.end(), e.jobs.begin());
    if (starts_[lane].publish(sequence)) live::futex_wake(starts_[lane].doorbell());
  }

  // The next completion of the lane; nothing if none came in time.
  std::optional<wire::CompletionEntry> wait_completion(std::size_t lane = 1,
                                                       Duration limit = std::chrono::seconds(20)) {
    const Instant deadline = live::monotonic_now() + limit;
    wire::CompletionEntry entry;
    for (;;) {
      const auto popped = completions_[lane].pop(entry);
      if (popped == wire::CompletionConsumer::Pop::entry && starts_[lane].finish(entry.sequence)) return entry;
      if (popped != wire::CompletionConsumer::Pop::nothing || live::monotonic_now() >= deadline) return std::nullopt;
      pollfd wake{.fd = completed_.fd(), .events = POLLIN, .revents = 0};
      std::uint64_t count = 0;
      if (::poll(&wake, 1, 10) > 0) (void)!::read(completed_.fd(), &count, sizeof(count));
    }
  }

 private:
  static live::Mapping map(const live::FileDescriptor& fd) {
    return must(live::Mapping::map(fd.get(), must(live::check_memory(fd.get())), live::Access::read_write));
  }
  live::FileDescriptor memory_fd_, board_fd_, slots_fd_;
  live::Mapping memory_map_, board_map_, slots_map_;
  live::Notifier completed_;
  wire::ExecutorMemory* memory_;
  std::deque<wire::StartProducer> starts_;
  std::deque<wire::CompletionConsumer> completions_;
};

// The broker's end of the executor socket.
class FakeBroker {
 public:
  explicit FakeBroker(const std::string& path) : listener_(must(live::Listener::bind(path))) {}

  // Accepts an executor and returns its hello; nothing if none came in time.
  std::optional<wire::ExecutorHello> accept(Duration limit = std::chrono::seconds(20)) {
    pollfd wait{.fd = listener_.fd(), .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, static_cast<int>(limit / std::chrono::milliseconds(1))) <= 0) return std::nullopt;
    socket_ = must(listener_.accept());
    return receive<wire::ExecutorHello>();
  }
  void hang_up() { socket_.reset(); }
  [[nodiscard]] bool connected() const { return socket_.valid(); }

  template <class T>
  void send(T message, wire::ExecutorOp op, std::uint32_t number, std::span<const int> descriptors = {}) {
    message.header = {.op = op, .bytes = sizeof(T), .number = number};
    must_send(live::send_message(socket_.get(), message, descriptors));
  }
  void attach(FakeSession& session) {
    wire::Attach m{};
    m.generation = session.memory().generation;
    m.board_jobs = FakeSession::kJobs;
    m.slot_bytes = FakeSession::kSlotBytes;
    m.slots = FakeSession::kSlots;
    send(m, wire::ExecutorOp::attach, 0, session.descriptors());
  }
  wire::Ready open_accelerator(const std::string& name, Duration spin = {}, std::int32_t priority = 0) {
    wire::OpenAccelerator m{};
    m.spin_us = static_cast<std::uint32_t>(spin / std::chrono::microseconds(1));
    m.realtime_priority = priority;
    wire::set_text(m.name, name);
    send(m, wire::ExecutorOp::accelerator, 0);
    return answer();
  }
  wire::Ready load_model(const std::string& directory, std::uint32_t first_variant = 0, std::uint32_t number = 0) {
    wire::LoadModel m{};
    m.first_variant = first_variant;
    wire::set_text(m.directory, directory);
    send(m, wire::ExecutorOp::load_model, number);
    return answer();
  }
  wire::Ready map_pool(std::uint32_t number, const FakePool& pool, wire::PoolKind kind) {
    wire::MapPool m{};
    m.kind = kind;
    m.bytes = pool.memory.size();
    const int fd = pool.fd.get();
    send(m, wire::ExecutorOp::map_pool, number, {&fd, 1});
    return answer();
  }
  wire::Ready unmap_pool(std::uint32_t number) { return simple(wire::ExecutorOp::unmap_pool, number); }
  wire::Ready start_workers() { return simple(wire::ExecutorOp::start_workers, 0); }
  void quit() { send(wire::ExecutorSimple{}, wire::ExecutorOp::quit, 0); }

  // True once the executor's end is closed.
  bool wait_hang_up(Duration limit = std::chrono::seconds(20)) {
    pollfd wait{.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
    return ::poll(&wait, 1, static_cast<int>(limit / std::chrono::milliseconds(1))) > 0;
  }

  // The next answer, for requests sent with send().
  wire::Ready answer() {
    const std::optional<wire::Ready> ready = receive<wire::Ready>();
    if (!ready) throw std::runtime_error("the executor gave no answer");
    return *ready;
  }

  // The next message, if it is a T.
  template <class T>
  std::optional<T> receive() {
    pollfd wait{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    constexpr int kLimitMs = 20'000;
    live::Packet packet;
    alignas(8) std::array<std::byte, wire::kMaxMessage> room;
    if (::poll(&wait, 1, kLimitMs) <= 0 ||
        live::receive_packet(socket_.get(), room, packet) != live::Received::packet || packet.bytes.size() != sizeof(T))
      return std::nullopt;
    T message;
    std::memcpy(&message, packet.bytes.data(), sizeof(T));
    return message;
  }
  // Whether a message waits.
  [[nodiscard]] bool pending() {
    pollfd wait{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    return ::poll(&wait, 1, 0) > 0;
  }

 private:
  static void must_send(const Result<void>& sent) {
    if (!sent) throw std::runtime_error(sent.error().text);
  }
  wire::Ready simple(wire::ExecutorOp op, std::uint32_t number) {
    send(wire::ExecutorSimple{}, op, number);
    return answer();
  }
  live::Listener listener_;
  live::FileDescriptor socket_;
};

}  // namespace takt::test
