// One connection to the broker, from hello to its end: the control messages and the memory that came with them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "executor/device.hpp"
#include "executor/session_view.hpp"
#include "live/shared_memory.hpp"
#include "live/unix_socket.hpp"
#include "wire/executor_protocol.hpp"

namespace takt::executor {

// Main thread. Workers must be idle before it is destroyed: they work in its memory.
class Session {
 public:
  // `closed`: the broker has gone or spoke nonsense. `quit`: it asked us to end.
  enum class Next { go_on, closed, quit };

  Session(Device& device, live::FileDescriptor socket) : device_(&device), socket_(std::move(socket)) {}
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Says who we are and what we hold.
  [[nodiscard]] Result<void> greet(const std::string& device_name, const std::string& driver_name);
  // Takes every message that waits. May block as long as the driver takes to load a model.
  [[nodiscard]] Next receive();

  // Tells the broker how the devices are, if that is due and anything is measured; when to call it again. Takes as long
  // as the driver does.
  [[nodiscard]] Instant tell_health(Instant now);

  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  [[nodiscard]] bool attached() const noexcept { return view_.memory != nullptr; }

 private:
  [[nodiscard]] Next dispatch(live::Packet& packet);
  [[nodiscard]] bool attach(const wire::Attach& message, live::Packet& packet);
  [[nodiscard]] bool open_accelerator(const wire::OpenAccelerator& message);
  [[nodiscard]] bool load_model(const wire::LoadModel& message);
  [[nodiscard]] Parsed<void> load(const wire::LoadModel& message);
  [[nodiscard]] bool map_pool(const wire::MapPool& message, live::Packet& packet);
  [[nodiscard]] bool unmap_pool(const wire::ExecutorSimple& message);
  [[nodiscard]] bool start_workers(const wire::ExecutorSimple& message);
  // False: the broker cannot be told, which ends the session.
  [[nodiscard]] bool answer(const wire::ExecutorHeader& request, const Result<void>& outcome);
  [[nodiscard]] bool send(wire::Ready ready, wire::ExecutorOp about, std::uint32_t number);

  Device* device_;
  live::FileDescriptor socket_;
  live::Mapping memory_, board_, slots_;
  SessionView view_;
  std::vector<std::uint32_t> accelerators_;  // opened in this session
  bool started_ = false;
  Instant next_health_{};
  alignas(8) std::array<std::byte, wire::kMaxMessage> room_{};
};

}  // namespace takt::executor
