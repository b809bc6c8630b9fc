// Memory shared by the broker and one executor: start rings, completion rings, and the board of job descriptors.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "takt/model.hpp"
#include "takt/tensor.hpp"

namespace takt::wire {

inline constexpr std::size_t kStartEntries = 8;        // a power of two, more than 1 + posted ahead
inline constexpr std::size_t kCompletionEntries = 16;  // a power of two, more than kStartEntries
inline constexpr std::size_t kMaxExecutorAccelerators = 16;
inline constexpr std::size_t kWorkerLanes = 2;         // real-time and normal worker of an accelerator

static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free);

// An entry's life is one atomic word: sequence << 8 | state. The broker writes the payload, then publishes `posted`
// (release). The worker claims with a compare-and-swap posted -> claimed (acquire: it now sees the payload; and it is the
// only one to run it). The broker recalls with posted -> recalled. Both swaps name the sequence, so a slow peer can never
// touch the entry's next use, and exactly one of the two wins.
enum class EntryState : std::uint8_t { empty, posted, claimed, recalled };

[[nodiscard]] constexpr std::uint64_t entry_word(std::uint64_t sequence, EntryState state) noexcept {
  return sequence << 8 | static_cast<std::uint64_t>(state);
}

inline constexpr std::uint32_t kNoSlot = 0xffffffffu;

struct StartJob {
  std::uint32_t job = 0;  // index into the board
  std::uint32_t slot_in = kNoSlot, slot_out = kNoSlot;
};

struct alignas(64) StartEntry {
  std::atomic<std::uint64_t> word{0};
  std::uint32_t variant = 0;   // VariantId
  std::uint16_t count = 0;
  std::uint8_t first_segment = 0, last_segment = 0;
  std::int64_t expected_ns = 0;
  std::array<StartJob, kMaxBatch> jobs{};
};

// One producer (the broker), one consumer (the lane's worker). Position p lives in entries[p % kStartEntries]; the newest
// entry gives its position back when it is recalled. The operations are in ring_ops.hpp.
struct StartRing {
  // Doorbell: the broker adds 1 after publishing, then wakes sleepers if there are any; the worker reads it, looks for
  // work, announces itself in `sleepers` and waits on the value it read (futex). All sequentially consistent: either the
  // worker sees the new entry or the broker sees the sleeper.
  alignas(64) std::atomic<std::uint32_t> doorbell{0};
  std::atomic<std::uint32_t> sleepers{0};
  std::array<StartEntry, kStartEntries> entries{};
};

enum class RunStatus : std::int32_t { ok = 0, failed = 1 };

struct CompletionEntry {
  std::uint64_t sequence = 0;
  std::int64_t started_ns = 0, ended_ns = 0;
  RunStatus status = RunStatus::ok;
  std::uint32_t count = 0;
  std::array<std::array<float, kMaxMetrics>, kMaxBatch> metrics{};
};

// One producer (the worker), one consumer (the broker): head and tail only grow.
struct CompletionRing {
  alignas(64) std::atomic<std::uint64_t> head{0};  // written by the worker
  alignas(64) std::atomic<std::uint64_t> tail{0};  // written by the broker
  std::array<CompletionEntry, kCompletionEntries> entries{};
};

struct LaneRings {
  StartRing start;
  CompletionRing completion;
};

inline constexpr std::uint32_t kRingsMagic = 0x7461726e;
inline constexpr std::uint32_t kRingsVersion = 1;

// The session memory of one executor, made anew by the broker for every connection: nothing of an older generation can
// reach a newer one.
struct ExecutorMemory {
  std::uint32_t magic = kRingsMagic, version = kRingsVersion;
  std::uint64_t generation = 0;
  std::uint32_t accelerators = 0, reserved = 0;
  std::array<std::array<LaneRings, kWorkerLanes>, kMaxExecutorAccelerators> lanes{};
};

// What an executor must know of a job. Written by the broker before the job's first entry is posted, then constant until
// its answer; mapped read-only by executors.
struct JobRecord {
  std::uint32_t model = 0;
  std::uint32_t inputs = 0;
  std::uint32_t result_pool = 0;   // broker-wide pool number, like TensorDesc::pool here
  std::uint32_t reserved = 0;
  std::uint64_t result_offset = 0, result_bytes = 0;
  std::array<TensorDesc, kMaxTensors> input{};
};

}  // namespace takt::wire
