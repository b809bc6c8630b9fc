// What the control thread and the scheduler thread tell each other. The control thread prepares, the scheduler commits.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "daemon/mailbox.hpp"
#include "live/file_descriptor.hpp"
#include "live/shared_memory.hpp"
#include "live/unix_socket.hpp"
#include "core/scheduler.hpp"
#include "takt/job.hpp"
#include "takt/report.hpp"
#include "takt/route.hpp"
#include "wire/protocol.hpp"
#include "wire/rings.hpp"

namespace takt::daemon {

inline constexpr std::size_t kMaxSessions = 256;

// A stream to open or change. Made and freed by the control thread; lent to the scheduler thread between command and event.
struct StreamRequest {
  std::uint32_t session = 0;
  std::uint64_t serial = 0;        // of the session: its number may be another's when the answer comes
  std::uint64_t request = 0;
  bool update = false;
  StreamId stream;                 // of an update
  StreamSpec spec;
  std::vector<Route> routes;       // of a new stream
  std::vector<std::uint32_t> subnets;  // of the routes, for names
  std::uint64_t result_bytes = 0;
  std::string name;
  Admission admission;             // the answer
};

// What only the scheduler thread knows of the service. Lent to it like a StreamRequest.
struct SchedulerReport {
  PolicyReport policy;
  CoreCounters core;
  std::size_t in_flight = 0;       // jobs
  struct AcceleratorReport {
    bool up = false;
    Correction correction;
  };
  std::vector<AcceleratorReport> accelerators;  // sized by the control thread
};

// The memory of one attached executor. Owned by the control thread; the scheduler thread uses it between executor_up and
// link_released.
struct ExecutorLink {
  std::uint32_t device = 0;
  std::uint32_t first_accelerator = 0, accelerators = 0;
  live::Mapping memory;            // wire::ExecutorMemory
  live::Notifier completions;      // the executor adds 1 after a completion
};

struct Command {
  enum class Kind : std::uint8_t { session_add, session_close, pool_add, pool_free, stream, stream_close, executor_up, executor_down, report, quit };
  Kind kind = Kind::quit;
  std::uint32_t session = 0;
  std::uint64_t request = 0;
  int fd = -1;                     // session_add
  std::uint32_t credits = 0;       // session_add
  std::uint32_t pool = 0;          // the session's number for it, 1 ..
  std::uint32_t number = 0;        // the broker's number for it
  wire::PoolKind pool_kind = wire::PoolKind::frames;
  std::uint64_t bytes = 0;
  std::uint32_t stream = 0;        // stream_close
  StreamRequest* stream_request = nullptr;
  ExecutorLink* link = nullptr;
  SchedulerReport* report = nullptr;
};

struct Event {
  enum class Kind : std::uint8_t { packet, session_gone, pool_unused, stream_done, stream_closed, link_released, link_corrupt, reported };
  Kind kind = Kind::packet;
  std::uint32_t session = 0;
  std::uint64_t request = 0;
  std::uint32_t pool = 0;
  std::uint32_t stream = 0;
  bool failed = false;
  StreamRequest* stream_request = nullptr;
  ExecutorLink* link = nullptr;
  std::size_t bytes = 0;
  std::array<std::byte, wire::kMaxMessage> data;
  std::array<live::FileDescriptor, wire::kMaxDescriptors> descriptors;
};

// Every command leads to at most one event, every session to one more. So packets, which clients can send at will, are
// forwarded only while there are fewer than kForwarded events, and there is always room for the others.
inline constexpr std::size_t kForwarded = 192;
using Commands = Mailbox<Command, 256>;
using Events = Mailbox<Event, 1024>;

}  // namespace takt::daemon
