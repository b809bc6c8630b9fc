// What changed among the waiting jobs since a stage last looked: for stages that keep an order or columns of their own.
#pragma once

#include <cstdint>

#include "takt/policy.hpp"

namespace takt {

// A reader's place in the snapshots' log of changes. All snapshots must come from one scheduler. Does not allocate.
class Changes {
 public:
  // Calls each(job) for every job that came, went or differs since the last call, perhaps more than once; what it is
  // now stands in the snapshot. False, and no call, if that cannot be told, as at the first time: then forget all and
  // take what waits. O(changes).
  template <class Each>
  [[nodiscard]] bool follow(const WaitingJobs& waiting, Each each) noexcept {
    const ChangeLog& log = waiting.changes;
    const bool known = begun_ && !log.ring.empty() && log.count >= read_ && log.count - read_ <= log.ring.size();
    if (known)
      for (; read_ < log.count; ++read_) each(log.ring[read_ & (log.ring.size() - 1)]);
    read_ = log.count;
    begun_ = true;
    return known;
  }

 private:
  std::uint64_t read_ = 0;
  bool begun_ = false;
};

}  // namespace takt
