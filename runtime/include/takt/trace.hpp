// One trace event: fixed size, written by the core into a ring, printed as one text line outside the hot path.
#pragma once

#include <cstdint>

#include "takt/ids.hpp"
#include "takt/time.hpp"

namespace takt {

enum class TraceKind : std::uint8_t {
  release, start, end, done, late, abort, drop,  // the simulator's words; abort is the verdict `missed`
  supersede, cancel, restart, error, notice, post, recall, open, close, up, down,
};

[[nodiscard]] constexpr const char* to_string(TraceKind k) noexcept {
  constexpr const char* names[] = {"release", "start", "end", "done", "late", "abort", "drop", "supersede", "cancel",
                                   "restart", "error", "notice", "post", "recall", "open", "close", "up", "down"};
  return names[static_cast<std::size_t>(k)];
}

struct TraceEvent {
  Instant at{};
  TraceKind kind{};
  std::uint16_t segment = 0;
  std::uint16_t batch = 0;
  StreamId stream;              // "task" in the text
  std::uint32_t frame = 0;      // the stream's count of releases
  AcceleratorId accelerator;    // none: "-"
  Instant deadline = kNever;    // of a release
  RouteId route;                // printed as the subnet's name; none: "-"
};

// Where the core puts events; called on the scheduler thread, must not block or allocate. Losing events is allowed, counted.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void record(const TraceEvent& event) noexcept = 0;
};

}  // namespace takt
