// Streams, jobs and their answers in the words of the real-time literature.
#pragma once

#include <cstdint>

#include "takt/ids.hpp"
#include "takt/time.hpp"

namespace takt {

enum class Criticality : std::uint8_t { hard, firm, soft };  // "class" in files and messages
enum class LateRule : std::uint8_t { abort, finish };
enum class QueueRule : std::uint8_t { keep, newest_wins, drop_oldest };

// The one terminal answer of every accepted frame.
enum class Verdict : std::uint8_t {
  done,        // in time, with its result
  late,        // after its deadline, with its result (late rule finish)
  missed,      // deadline passed, no result (late rule abort)
  dropped,     // given up by the policy or by drop-oldest
  superseded,  // a newer frame of a newest-wins stream took its place
  cancelled,   // by the client
  restarted,   // lost with the broker
  error,       // the executor failed on it
};
inline constexpr std::size_t kVerdicts = 8;

[[nodiscard]] constexpr const char* to_string(Verdict v) noexcept {
  constexpr const char* names[kVerdicts] = {"done", "late", "missed", "dropped", "superseded", "cancelled", "restarted", "error"};
  return names[static_cast<std::size_t>(v)];
}
[[nodiscard]] constexpr const char* to_string(Criticality c) noexcept {
  return c == Criticality::hard ? "hard" : c == Criticality::firm ? "firm" : "soft";
}

// A predicate over one metric of the parent's answer: when it holds, the child stream gets a job for the same frame.
struct Trigger {
  enum class Op : std::uint8_t { always, less, greater_equal };
  Op op = Op::always;
  std::uint8_t metric = 0;
  float threshold = 0;

  [[nodiscard]] constexpr bool fires(float value) const noexcept {
    return op == Op::always || (op == Op::less ? value < threshold : value >= threshold);
  }
};

// What a stream asks for. Durations are relative; `form` is the picture form of the model (-1: tensors as they are).
struct StreamSpec {
  ModelId model;
  std::int32_t form = -1;
  Duration period{};             // least time between releases; 0: unknown (soft only)
  Duration jitter{};             // a release may come this much late against its period
  Duration relative_deadline{};  // used for frames that name no absolute deadline
  Criticality criticality = Criticality::soft;
  LateRule late = LateRule::abort;
  QueueRule queue = QueueRule::keep;
  std::uint32_t queue_depth = 8;  // waiting frames that drop_oldest keeps, the newest included
  float accuracy_floor = 0;       // least accuracy of a subnet that may answer
  float accuracy_ceiling = 1;     // most accuracy worth paying for
  StreamId parent;                // cascade: jobs come from the parent's frames
  Trigger trigger;
};

struct Admission {
  enum class Outcome : std::uint8_t { accepted, lighter, refused };
  enum class Reason : std::uint8_t { none, utilisation, deadline_too_short, no_accelerator, accuracy_floor, no_capacity, bad_parent };
  Outcome outcome = Outcome::refused;
  Reason reason = Reason::none;
  StreamId stream;              // valid unless refused
  RouteId route;                // hard: the subnet it will always run with
  AcceleratorId accelerator;    // hard: where it runs
  Duration bound{};             // hard: worst-case response time that was admitted
  Duration feasible_period{};   // refused: the shortest period that would fit with the lightest allowed subnet; 0: none
};

// Terminal answer with where the time went.
struct Answer {
  Verdict verdict = Verdict::done;
  RouteId route;                    // subnet that ran; invalid if nothing ran
  AcceleratorId accelerator;        // where the last segment ran
  Instant release{}, first_start{}, end{}, deadline{};
  Duration executed{};              // sum of its segments' running times
  std::uint16_t segments = 0;       // completed
  std::uint16_t largest_batch = 0;
  bool child_follows = false;       // a cascade child of this frame was released
  bool has_result = false;
};

}  // namespace takt
