// Launches under way on one worker, in the order in which they will end.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "executor/launch_builder.hpp"
#include "takt/time.hpp"

namespace takt::executor {

// A launch from its claim to its completion, with all that the driver was given to point at.
struct Flight {
  explicit Flight(std::uint32_t accelerator = 0) noexcept : builder(accelerator) {}

  LaunchBuilder builder;
  std::array<std::array<float, kMaxMetrics>, kMaxBatch> metrics{};
  std::uint64_t sequence = 0;
  std::uint32_t count = 0;  // jobs
  Duration expected{};
  Instant launched{};
  Result<void> begun;  // an error: the driver has nothing of it
};

// First in, first out; never allocates. One thread.
class FlightQueue {
 public:
  static constexpr std::size_t kMost = 4;  // launches under way; what is claimed can no longer be recalled

  explicit FlightQueue(std::uint32_t accelerator) noexcept { flights_.fill(Flight(accelerator)); }

  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] Flight& oldest() noexcept { return flights_[first_]; }
  // The place of the next one; the caller has seen that there are fewer than kMost.
  [[nodiscard]] Flight& place() noexcept { return flights_[(first_ + count_) % kMost]; }
  // `place()` has been filled: it is predicted to end its time after all those before it.
  void add() noexcept {
    const Flight& flight = place();
    end_ = std::max(end_, flight.launched) + flight.expected;
    ++count_;
  }
  // The oldest ended at `at`: what is behind it has begun now.
  void remove(Instant at) noexcept {
    first_ = (first_ + 1) % kMost;
    --count_;
    end_ = at;
    for (std::size_t i = 0; i < count_; ++i) end_ += flights_[(first_ + i) % kMost].expected;
  }
  // When all that is under way should have ended.
  [[nodiscard]] Instant predicted_end() const noexcept { return end_; }

 private:
  std::array<Flight, kMost> flights_;
  std::size_t first_ = 0, count_ = 0;
  Instant end_{};
};

}  // namespace takt::executor
