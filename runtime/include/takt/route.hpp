// A route: one subnet of a stream's model with its preprocessing, and the work that remains after each segment.
#pragma once

#include <cstdint>
#include <vector>

#include "takt/ids.hpp"
#include "takt/time.hpp"

namespace takt {

struct Route {
  std::uint32_t subnet = 0;        // position in Model::subnets
  float accuracy = 0;              // 0..1
  std::vector<VariantId> path;     // one variant a segment, preprocessing first
  std::vector<Duration> togo_min;  // [k]: sum over segments k.. of the least expected time over accelerators that are up
  std::vector<Duration> togo_sum;  // [k]: sum over segments k.. of the expected times summed over these accelerators

  [[nodiscard]] std::size_t length() const noexcept { return path.size(); }
  // Whether a job that has run `done` segments of `other` may go on with this route.
  [[nodiscard]] bool continues(const Route& other, std::size_t done) const noexcept {
    if (done > path.size() || done > other.path.size()) return false;
    for (std::size_t k = 0; k < done; ++k)
      if (path[k] != other.path[k]) return false;
    return true;
  }
};

}  // namespace takt
