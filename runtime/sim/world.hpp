// The scheduler's view of a case: a model and a stream for each task, and the table of segment times.
#pragma once

#include <vector>

#include "core/scheduler.hpp"
#include "sim/case.hpp"
#include "takt/cost.hpp"
#include "takt/model.hpp"

namespace takt::sim {

// Where a variant comes from.
struct Place {
  std::uint32_t task = 0, subnet = 0, segment = 0;
};

struct World {
  std::vector<Model> models;  // one a task
  std::vector<Place> places;  // by variant
  CostTable costs;
  CoreConfig core;
};

[[nodiscard]] World make_world(const Case& scenario, std::uint8_t ahead);
// What task t asks for as a stream. Streams are opened in the order of tasks, so that their numbers are the same.
[[nodiscard]] StreamSpec stream_of(const Case& scenario, std::size_t t);

}  // namespace takt::sim
