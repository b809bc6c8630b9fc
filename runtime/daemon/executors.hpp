// The executors as the control thread sees them: started, attached, told of models and pools, restarted when they die.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/traffic.hpp"
#include "files/service_file.hpp"
#include "live/child_process.hpp"
#include "live/event_loop.hpp"
#include "live/unix_socket.hpp"
#include "takt/time.hpp"
#include "wire/executor_protocol.hpp"

namespace takt::daemon {

// Where the executor program and its driver modules are.
struct Programs {
  std::string executor;    // path of takt-exec
  std::string driver_dir;  // of takt-driver-*.so
};

// What the devices share: memory made once by the broker, and how the rest of the control thread is told.
struct ExecutorShare {
  int board = -1, slots = -1;        // memfds
  std::uint64_t board_jobs = 0, slot_bytes = 0, slot_count = 0;
  std::function<void(ExecutorLink*)> up, down;       // to the scheduler thread
  std::function<void(std::uint32_t)> pool_mapped;    // every attached executor has it
};

// A pool that executors must know.
struct SharedPool {
  std::uint32_t number = 0;
  wire::PoolKind kind = wire::PoolKind::frames;
  std::uint64_t bytes = 0;
  int fd = -1;
};

// What an executor said of one of its accelerators.
struct AcceleratorFacts {
  std::uint32_t sms = 0;   // granted; 0: the driver counts none
  std::string note;        // what is not as configured
  std::optional<wire::DeviceHealth> health;  // the latest
  bool disturbed = false;  // since others have used its device, segments took longer than their profile
};

// Control thread only; never blocks. A device goes absent -> connected -> up; a link that was up is freed only when the
// scheduler thread has let go of it.
class Executors {
 public:
  Executors(const files::Service& service, Programs programs, ExecutorShare share, live::EventLoop& loop, std::uint64_t token_base);

  [[nodiscard]] Result<void> listen();
  [[nodiscard]] bool owns(std::uint64_t token) const noexcept { return token >= token_base_ && token < token_base_ + kTokens; }
  void handle(const live::Event& event);
  // Starts what should run and does not, kills what does not answer. Call when next_check() is due.
  void check(Instant now);
  [[nodiscard]] Instant next_check() const noexcept;

  // True if pool_mapped() will follow; false if no executor is attached, so that nothing is to be waited for.
  [[nodiscard]] bool map_pool(const SharedPool& pool);
  void unmap_pool(std::uint32_t number);
  void set_pools(std::function<std::vector<SharedPool>()> all) { all_pools_ = std::move(all); }

  void link_released(ExecutorLink* link);
  void link_corrupt(ExecutorLink* link);
  void quit_all();  // of devices that are ours to start, adopted ones too
  [[nodiscard]] bool all_ended() const noexcept;
  [[nodiscard]] bool holds(std::uint32_t model) const noexcept;  // some executor has it loaded
  // Of all accelerators by number; empty ones of executors that are not up.
  [[nodiscard]] std::vector<AcceleratorFacts> facts() const;

 private:
  enum class Step : std::uint8_t { absent, connected, up };
  struct Device {
    const files::DeviceConfig* config = nullptr;
    std::uint32_t first_accelerator = 0;
    Step step = Step::absent;
    live::ChildProcess child;
    live::FileDescriptor socket;
    live::FileDescriptor process;            // pidfd of what is attached, ours or not
    std::unique_ptr<ExecutorLink> link;
    std::uint32_t awaited = 0;               // answers still to come before it is up
    std::vector<std::uint32_t> mapping;      // pools it has been told of and not yet acknowledged
    std::vector<bool> models;
    std::vector<AcceleratorFacts> facts;     // by position
    Instant next_start{}, kill_at = kNever, up_since{};
    std::uint32_t strikes = 0;               // failures in a row
    bool struck = false;                     // this process has had its strike
    bool refused = false;                    // its driver is not as configured: only an operator helps
  };
  static constexpr std::uint64_t kTokens = 1024, kListener = 0, kStranger = 1, kSocket = 256, kChild = 512;

  void start(Device& d, Instant now);
  void accept();
  void greet(std::size_t stranger);
  void attach(Device& d, live::FileDescriptor socket);
  [[nodiscard]] Result<void> send_all(Device& d);
  void receive(Device& d);
  [[nodiscard]] Result<void> packet(Device& d, std::span<const std::byte> bytes);
  [[nodiscard]] bool fits(Device& d, const wire::ExecutorHello& hello);
  void ready(Device& d, const wire::Ready& r);
  void granted(Device& d, const wire::Ready& r);
  void health(Device& d, const wire::DeviceHealth& h);
  void lost(Device& d, const char* why);
  void strike(Device& d, Instant now);
  void child_ended(Device& d);
  void mapped(Device& d, std::uint32_t number);

  const files::Service& service_;
  Programs programs_;
  ExecutorShare share_;
  live::EventLoop& loop_;
  std::uint64_t token_base_;
  std::unique_ptr<live::Listener> listener_;
  std::vector<live::FileDescriptor> strangers_;  // connected, hello not yet read
  std::vector<Device> devices_;
  std::vector<std::unique_ptr<ExecutorLink>> leaving_;  // of lost executors, until the scheduler thread lets go
  std::function<std::vector<SharedPool>()> all_pools_;
  std::uint64_t generation_ = 0;
  bool quitting_ = false, stranger_told_ = false;
};

}  // namespace takt::daemon
