// Messages between the broker and an executor on its SOCK_SEQPACKET control socket. Both are ours; still checked.
#pragma once

#include <array>
#include <cstdint>

#include "wire/protocol.hpp"
#include "wire/rings.hpp"

namespace takt::wire {

inline constexpr std::uint16_t kExecutorMajor = 2;
inline constexpr std::uint32_t kMaxExecutorPools = 65536;  // broker-wide pool numbers are below it
inline constexpr std::uint32_t kMaxUnit = 63, kMaxSms = 4096;  // of OpenAccelerator
using Path = std::array<char, 1024>;

enum class ExecutorOp : std::uint16_t {
  hello = 100,    // executor -> broker: who I am, what I hold
  attach,         // broker -> executor: memory (3 descriptors) and this session's generation
  accelerator,    // broker -> executor: open one accelerator
  load_model,     // broker -> executor: read it and say so
  map_pool, unmap_pool,  // broker -> executor
  start_workers,  // broker -> executor: everything is known, run
  ready,          // executor -> broker: answers accelerator, load_model, map_pool, unmap_pool, start_workers
  quit,           // broker -> executor: end when idle
  device_health,  // executor -> broker: about once a second for each accelerator whose driver measures something
};

struct ExecutorHeader {
  std::uint32_t magic = kMagic;
  std::uint16_t major = kExecutorMajor;
  ExecutorOp op = ExecutorOp::hello;
  std::uint32_t bytes = 0;
  std::uint32_t number = 0;  // accelerator, model or pool the message is about
};

struct ExecutorHello {
  ExecutorHeader header;
  std::int32_t pid = 0;
  std::uint32_t models = 0;        // how many models it still holds loaded
  std::uint8_t preemption = 0;     // takt::Preemption
  std::uint8_t shares_slots = 1;
  std::array<std::uint8_t, 6> reserved{};
  Name device{};                   // name of the <device> it serves
  Name driver{};
  std::array<Name, 16> held{};     // names of the held models, with digest checked again at load_model
};

// With four descriptors: ExecutorMemory (read-write), board (read-only), slot memory (read-write), and an eventfd to which
// the executor adds 1 after a completion, in this order. A driver that shares no slots has `slots` of its own, each of
// `slot_bytes`, and leaves the slot memory alone.
struct Attach {
  ExecutorHeader header;
  std::uint64_t generation = 0;
  std::uint64_t board_jobs = 0;
  std::uint64_t slot_bytes = 0, slots = 0;
};

struct OpenAccelerator {
  ExecutorHeader header;           // number: position in this executor
  std::uint32_t threads = 1, cores = 0;
  std::array<std::int32_t, 64> core{};
  std::uint32_t spin_us = 0;       // worker spins so long before it sleeps
  std::int32_t realtime_priority = 0;  // of the real-time worker; 0: none
  std::uint8_t realtime_worker = 1;
  std::uint8_t precision = 1;      // takt::Precision
  std::array<std::uint8_t, 6> reserved{};
  std::uint32_t unit = 0;          // which of the driver's devices
  std::uint32_t sms = 0;           // multiprocessors of a part of it; 0: what the other parts leave
  std::uint32_t others = 0;        // other accelerators of the executor on this unit
  std::array<std::uint32_t, kMaxExecutorAccelerators - 1> other_sms{};  // what they ask for
  Name name{};
};

struct LoadModel {
  ExecutorHeader header;           // number: ModelId
  std::uint32_t first_variant = 0; // VariantId of its first variant
  std::uint32_t reserved = 0;
  Path directory{};
  Path profile{};                  // cost profile (null driver: the times to pretend); may be empty
};

struct MapPool {                   // map_pool: with its descriptor
  ExecutorHeader header;           // number: broker-wide pool number
  PoolKind kind = PoolKind::frames;
  std::uint32_t reserved = 0;
  std::uint64_t bytes = 0;
};

struct Ready {
  ExecutorHeader header;           // number: as in the request
  ExecutorOp about = ExecutorOp::accelerator;
  std::uint16_t failed = 0;
  std::int32_t code = 0;
  std::uint8_t realtime = 0;       // start_workers: SCHED_FIFO was granted
  std::array<std::uint8_t, 3> reserved{};
  std::uint32_t sms = 0;           // accelerator: multiprocessors granted; 0: the driver counts none
  std::array<char, 256> text{};    // why it failed; accelerator: what is not as asked for; start_workers: why no SCHED_FIFO
};

// takt::DeviceHealth of one accelerator's device, and how its segments keep to the profile; -1: not known.
struct DeviceHealth {
  ExecutorHeader header;           // number: accelerator
  std::int64_t energy_mj = -1;
  float power_w = -1, temperature_c = -1;
  float busy = -1;                 // 0 to 1
  float pace = -1;                 // measured over profiled time since the last message; -1: nothing ran
  std::int32_t clock_mhz = -1, memory_clock_mhz = -1;
  std::int32_t others = -1;        // processes beside the executor that use the device
  std::uint8_t throttled = 0;
  std::array<std::uint8_t, 3> reserved{};
  std::int64_t late_allocations = -1;  // of device memory since all was prepared
};

struct ExecutorSimple { ExecutorHeader header; };  // start_workers, unmap_pool, quit

}  // namespace takt::wire
