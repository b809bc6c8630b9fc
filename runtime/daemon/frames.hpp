// The scheduler thread's books on sessions, their pools, streams and frames in flight.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "daemon/traffic.hpp"
#include "takt/ids.hpp"
#include "takt/time.hpp"

namespace takt::daemon {

struct PoolState {
  bool usable = false;             // by new frames
  bool freeing = false;
  wire::PoolKind kind = wire::PoolKind::frames;
  std::uint32_t number = 0;        // the broker's number, which executors know
  std::uint32_t uses = 0;          // frames in flight that name it
  std::uint64_t bytes = 0;
  std::uint64_t request = 0;       // of the free_pool that waits
};

struct SessionState {
  int fd = -1;                     // the control thread's; open until session_gone
  bool used = false, closing = false;
  std::uint32_t credits = 0;       // free
  std::uint32_t owed = 0;          // told in verdicts, not yet released by the client
  std::uint32_t in_flight = 0, streams = 0;
  std::uint32_t tree = 0;          // changes when a cascade changes: older frames have no place for newer children
  std::array<PoolState, wire::kMaxPools> pools{};
};

struct StreamState {
  bool used = false, open = false;
  std::uint32_t session = 0;
  ModelId model;
  std::uint64_t opened = 0;        // order of opening
  std::uint64_t result_bytes = 0;  // of its own answers, aligned
  std::uint32_t weight = 1;        // credits a frame: itself and every stream below it
  std::uint64_t area_bytes = 0;    // result bytes a frame: likewise
  std::uint64_t area_offset = 0;   // of its own part in its root's area
  StreamId parent;
};

struct FrameState {
  std::uint32_t session = 0;
  std::uint64_t tag = 0;
  std::uint64_t pools = 0;         // bit set of the session's pools it uses
  std::uint64_t area = 0;          // start of the root frame's result area
  std::uint64_t result_offset = 0;
  std::uint32_t reserved = 1;      // credits it still holds
  std::uint32_t tree = 0;
};

}  // namespace takt::daemon
