// A plan: what a policy wants done now. Fixed capacity; filling it never allocates.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "takt/ids.hpp"
#include "takt/time.hpp"

namespace takt {

// Start the next segment of `job` on `accelerator`; the core may let up to `batch` - 1 compatible waiting jobs join.
struct Start {
  JobId job;
  AcceleratorId accelerator;
  std::uint32_t batch = 1;
};

// Use another subnet from the next segment on; it must agree with what the job has already run.
struct Reroute {
  JobId job;
  RouteId route;
};

// A vector whose room is made once; push() reports when it is full instead of growing.
template <class T>
class Bounded {
 public:
  explicit Bounded(std::size_t capacity = 0) { items_.reserve(capacity); }
  bool push(const T& item) noexcept {
    if (items_.size() == items_.capacity()) return false;
    items_.push_back(item);
    return true;
  }
  void clear() noexcept { items_.clear(); }
  [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] std::span<const T> items() const noexcept { return items_; }

 private:
  std::vector<T> items_;
};

// The core applies a plan in the order drops, reroutes, recalls, starts. It asks again after the first question of an instant,
// as long as something was started, and, a few times at most, after drops and reroutes.
// An item that cannot be honoured is refused and counted; the rest of the plan stands.
struct Plan {
  Plan(std::size_t jobs, std::size_t accelerators)
      : drops(jobs), reroutes(jobs), recalls(accelerators), starts(accelerators) {}

  Bounded<JobId> drops;
  Bounded<Reroute> reroutes;
  Bounded<AcceleratorId> recalls;  // take back what is posted ahead there, post nothing ahead: decide at the next boundary
  Bounded<Start> starts;
  Instant wake_at = kNever;        // ask again then, even if nothing happens (a hold)

  void clear() noexcept {
    drops.clear();
    reroutes.clear();
    recalls.clear();
    starts.clear();
    wake_at = kNever;
  }
};

}  // namespace takt
