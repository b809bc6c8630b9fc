// For each job the accelerators in the order in which they help its remaining chain most, and what the chain takes on
// the first one, two, three of them: how many units a job needs to meet its slack.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "takt/policy.hpp"

namespace takt {

// A job's sets are made when it is first looked at and kept up as its segments go by. Only prepare() allocates.
class UnitSets {
 public:
  void prepare(const PolicyLimits& limits) {
    width_ = limits.accelerators;
    jobs_.assign(limits.jobs, {});
    order_.assign(limits.jobs * width_, 0);
    time_.assign(limits.jobs * width_, {});
    up_.assign(width_, 0);
  }

  // Before the jobs of a snapshot are looked at. O(accelerators).
  void take(const Snapshot& s) noexcept {
    up_count_ = 0;
    for (std::size_t a = 0; a < width_; ++a) {
      const auto up = static_cast<std::uint8_t>(s.accelerators[a].up);
      generation_ += up_[a] != up;
      up_[a] = up;
      up_count_ += up;
    }
  }
  // Brings waiting job i up to date: O(accelerators) a segment gone by; O(segments x accelerators^3) for a new job.
  void look(const Snapshot& s, std::size_t i) noexcept {
    const std::size_t job = s.waiting.job[i].value;
    const Rank& r = s.waiting.rank[i];
    State now{r.release, r.stream, r.frame, s.waiting.route[i], s.waiting.segment[i], generation_};
    State& state = jobs_[job];
    const bool same = state.with_segment(now.segment) == now && state.segment <= now.segment;
    if (!same || !advance(s, i, job, state.segment)) build(s, i, job);
    state = now;
  }

  [[nodiscard]] std::size_t count() const noexcept { return up_count_; }  // units there are
  // The n-th unit to add to the set of waiting job i.
  [[nodiscard]] std::size_t unit(const Snapshot& s, std::size_t i, std::size_t n) const noexcept {
    return order_[s.waiting.job[i].value * width_ + n];
  }
  // What the chain of waiting job i takes on its first `units`, without switches; kForever if a segment runs on none.
  [[nodiscard]] Duration time(const Snapshot& s, std::size_t i, std::size_t units) const noexcept {
    return time_[s.waiting.job[i].value * width_ + units - 1];
  }
  // The part of time() after its next segment.
  [[nodiscard]] Duration after(const Snapshot& s, std::size_t i, std::size_t units) const noexcept {
    const Duration all = time(s, i, units);
    return all == kForever ? all : all - least(s, s.waiting.job[i].value, units, s.waiting.next[i]);
  }

 private:
  struct State {
    Instant release{};
    StreamId stream;
    std::uint32_t frame = 0;
    RouteId route;
    std::uint16_t segment = 0;
    std::uint32_t generation = 0xffffffffu;  // of the accelerators that are up
    friend bool operator==(const State&, const State&) = default;
    [[nodiscard]] State with_segment(std::uint16_t other) const noexcept {
      State copy = *this;
      copy.segment = other;
      return copy;
    }
  };

  // Least time of a variant over the first `units` of a job.
  [[nodiscard]] Duration least(const Snapshot& s, std::size_t job, std::size_t units, VariantId v) const noexcept {
    Duration best = kForever;
    for (std::size_t n = 0; n < units; ++n)
      best = std::min(best, s.costs->at(AcceleratorId{std::size_t{order_[job * width_ + n]}}, v).expected);
    return best;
  }
  // False if a time cannot be kept up.
  bool advance(const Snapshot& s, std::size_t i, std::size_t job, std::size_t from) noexcept {
    const Route& route = s.route(i);
    for (std::size_t n = 0; n < up_count_; ++n) {
      Duration& time = time_[job * width_ + n];
      if (time == kForever) return false;
      for (std::size_t k = from; k < s.waiting.segment[i]; ++k) time -= least(s, job, n + 1, route.path[k]);
    }
    return true;
  }
  void build(const Snapshot& s, std::size_t i, std::size_t job) noexcept {
    std::uint16_t* order = &order_[job * width_];
    std::size_t known = 0;
    for (std::size_t a = 0; a < width_; ++a)
      if (up_[a] != 0) order[known++] = static_cast<std::uint16_t>(a);
    for (std::size_t n = 0; n < known; ++n) {  // the next unit goes to place n; the rest keeps file order
      std::size_t best = n;
      Duration shortest = with(s, i, job, n, order[n]);
      for (std::size_t c = n + 1; c < known; ++c) {
        const Duration time = with(s, i, job, n, order[c]);
        if (time < shortest) shortest = time, best = c;
      }
      std::rotate(order + n, order + best, order + best + 1);
      time_[job * width_ + n] = shortest;
    }
  }
  // The rest of the chain on the first `units` and accelerator a.
  [[nodiscard]] Duration with(const Snapshot& s, std::size_t i, std::size_t job, std::size_t units,
                              std::size_t a) const noexcept {
    Duration sum{};
    const Route& route = s.route(i);
    for (std::size_t k = s.waiting.segment[i]; k < route.length(); ++k)
      sum = saturating_add(
          sum, std::min(least(s, job, units, route.path[k]), s.costs->at(AcceleratorId{a}, route.path[k]).expected));
    return sum;
  }

  std::size_t width_ = 0, up_count_ = 0;
  std::vector<State> jobs_;
  std::vector<std::uint16_t> order_;  // by job and unit
  std::vector<Duration> time_;        // by job and unit
  std::vector<std::uint8_t> up_;
  std::uint32_t generation_ = 0;
};

}  // namespace takt
