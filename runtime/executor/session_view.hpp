// What workers see of the session with one broker: its shared memory, the pools, and which variant is which.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "executor/pool_table.hpp"
#include "live/event_loop.hpp"
#include "takt/model.hpp"
#include "wire/rings.hpp"

namespace takt::executor {

// A variant by its number in this session, with what every launch of it needs to know.
struct Place {
  const Model* model = nullptr;
  const Variant* variant = nullptr;
  bool first = false, last = false;
  std::uint64_t result_bytes = 0;  // least size of a result area
};

// Constant while workers serve, but for the pools. Spans lie in mappings that the session owns.
struct SessionView {
  wire::ExecutorMemory* memory = nullptr;
  std::span<const wire::JobRecord> board;
  std::byte* slots = nullptr;  // null: the driver keeps activations on its device and knows them by number
  std::uint64_t slot_bytes = 0, slot_count = 0;
  std::vector<Place> places;  // by VariantId; gaps have no model
  PoolTable pools;
  live::Notifier completed;  // wakes the broker
};

}  // namespace takt::executor
