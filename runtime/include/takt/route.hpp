// A route: one subnet of a stream's model with its preprocessing, and the work that remains after each segment.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "takt/cost.hpp"
#include "takt/ids.hpp"
#include "takt/time.hpp"

namespace takt {

struct Route {
  std::uint32_t subnet = 0;        // position in Model::subnets
  float accuracy = 0;              // 0..1
  double worst_energy_nj = 0;      // as the subnet's, with preprocessing
  std::vector<VariantId> path;     // one variant a segment, preprocessing first
  std::vector<Duration> togo_min;  // [k]: sum over segments k.. of the least expected time over accelerators that are up
  std::vector<Duration> togo_sum;  // [k]: sum over segments k.. of the expected times summed over these accelerators
  // [k][c]: as togo_min for jobs that stay together in a batch of CostTable's class c; kForever: some segment cannot.
  std::vector<std::array<Duration, CostTable::kBatches>> togo_together;
  std::vector<Duration> togo_shared;  // [k]: a job's share of the batch that gives most jobs a second

  [[nodiscard]] std::size_t length() const noexcept { return path.size(); }
  // What is left after `done` segments for each of `n` jobs that stay together if they can.
  [[nodiscard]] Duration togo(std::size_t done, std::size_t n) const noexcept {
    const Duration together = togo_together[done][CostTable::batch_class(n)];
    return together == kForever ? togo_min[done] : together;
  }
  // Whether a job that has run `done` segments of `other` may go on with this route.
  [[nodiscard]] bool continues(const Route& other, std::size_t done) const noexcept {
    if (done > path.size() || done > other.path.size()) return false;
    for (std::size_t k = 0; k < done; ++k)
      if (path[k] != other.path[k]) return false;
    return true;
  }
};

}  // namespace takt
