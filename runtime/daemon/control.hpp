// The control thread: connections, handshakes, pools, streams to be, executors, the trace file. Nothing here is real-time.
#pragma once

#include <array>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/broker_thread.hpp"
#include "daemon/executors.hpp"
#include "daemon/quota.hpp"
#include "daemon/status.hpp"

namespace takt::daemon {

// Runs on the thread that calls run(). Everything a client asks that is not a frame ends here; what changes the schedule
// goes on to the scheduler thread as a prepared command, and the answer goes out when its event comes back.
class Control {
 public:
  // `service` is borrowed. Errors: sockets that cannot be bound, memory, an unknown policy; `text` says which.
  [[nodiscard]] static tl::expected<std::unique_ptr<Control>, std::string> make(const files::Service& service, Programs programs);
  ~Control();
  // Serves until SIGTERM or SIGINT, then ends the executors it started and returns 0.
  int run();

 private:
  struct Pool {
    enum class State : std::uint8_t { none, mapping, ready, freeing };
    State state = State::none;
    wire::PoolKind kind = wire::PoolKind::frames;
    std::uint64_t bytes = 0, request = 0;
    live::FileDescriptor memory;
    bool ours = false;       // made here: the client gets the descriptor
  };
  struct Session {
    enum class State : std::uint8_t { free, hello, active, leaving };
    State state = State::free;
    std::uint64_t serial = 0;  // of all sessions, from 1
    live::FileDescriptor socket;
    const files::ListenerConfig* listener = nullptr;
    uid_t user = 0;
    Usage usage;
    std::string name;
    std::array<Pool, wire::kMaxPools> pools;
  };
  struct StreamName {
    std::string name;              // unlike that of any other open stream
    std::uint32_t session = 0;
    bool open = false;
    ModelId model;
    std::vector<std::uint32_t> subnets;
  };

  explicit Control(const files::Service& service, live::EventLoop loop) : service_(service), loop_(std::move(loop)) {}
  [[nodiscard]] tl::expected<void, std::string> set_up(Programs programs);
  [[nodiscard]] tl::expected<void, std::string> make_memory();
  [[nodiscard]] tl::expected<void, std::string> listen();
  void handle(const live::Event& e, Instant now);
  void drain_trace();
  void print(const TraceEvent& e);
  void print_open(const StreamRequest& r);
  void events();
  void ask_for_report();
  void tell_status();

  // sessions.cpp
  void accept(std::size_t listener);
  void hello(std::uint32_t session);
  void turn_away(std::uint32_t session, Code code, const char* text);
  void end(std::uint32_t session);
  void gone(std::uint32_t session);
  void packet(const Event& e, std::array<live::FileDescriptor, wire::kMaxDescriptors>& descriptors);
  void list_models(std::uint32_t session, std::span<const std::byte> bytes);
  void create_pool(std::uint32_t session, std::span<const std::byte> bytes, live::FileDescriptor imported);
  void pool_ready(std::uint32_t number);
  void free_pool(std::uint32_t session, std::span<const std::byte> bytes);
  void pool_unused(const Event& e);
  void open_stream(std::uint32_t session, std::span<const std::byte> bytes, bool update);
  [[nodiscard]] Result<void> fill_spec(const wire::OpenStream& m, const files::ListenerConfig& listener, StreamRequest& r) const;
  void stream_done(StreamRequest* r);
  void close_stream(std::uint32_t session, std::span<const std::byte> bytes);
  void stream_closed(const Event& e);
  [[nodiscard]] std::string unlike_others(std::string name, std::uint32_t stream) const;
  void fail_request(std::uint32_t session, std::uint64_t request, Code code, const char* text);
  [[nodiscard]] Result<void> charge(Session& s, const Usage& more);
  void refund(Session& s, const Usage& less);
  [[nodiscard]] std::vector<SharedPool> shared_pools() const;
  template <class T>
  void send(std::uint32_t session, const T& message, std::span<const int> descriptors = {});
  void command(const Command& c);

  static constexpr std::uint32_t number(std::uint32_t session, std::uint32_t pool) { return session * wire::kMaxPools + pool; }

  const files::Service& service_;
  live::EventLoop loop_;
  live::FileDescriptor board_memory_, slot_memory_, signals_;
  live::Mapping board_;
  std::uint64_t generation_ = 0, slot_bytes_ = 0, serials_ = 0;
  std::unique_ptr<Commands> commands_;
  std::unique_ptr<Events> events_;
  std::unique_ptr<TraceRing> trace_;
  std::ofstream trace_file_;
  std::unique_ptr<Policy> policy_;
  std::unique_ptr<Executors> executors_;
  std::unique_ptr<BrokerThread> broker_;
  std::vector<live::Listener> listeners_;
  std::optional<StatusSocket> status_;
  SchedulerReport report_;
  bool report_asked_ = false;  // it is lent to the scheduler thread
  Instant started_{};
  std::vector<Session> sessions_;
  std::vector<StreamName> stream_names_;
  Quota quota_;
  bool stopping_ = false;
  Instant drain_at_ = kNever;
};

}  // namespace takt::daemon
