// The online tuner of two weights: a pattern search on [0, 2]^2, one probe a window. Our reconstruction of SDRM3's "gradient
// descent like" tuning, of which only the abstract is at hand.
#pragma once

#include <algorithm>
#include <array>

namespace takt {

struct Weights {
  double alpha = 1, beta = 1;
  friend bool operator==(const Weights&, const Weights&) = default;
};

// How it searches; the defaults are those of the scenarios' semantics. A wider first radius sees past a hump, measuring again
// forgets a lucky window.
struct SearchRule {
  double first_radius = 0.5;
  bool remeasure = false;  // measure the best point again after every step; its cost is the mean of its windows
};

// Least cost wins. Probes go +alpha, -alpha, +beta, -beta from the best point, in turn; after four failures the radius is
// halved; under kLeastRadius the best point stays.
class PatternSearch {
 public:
  static constexpr double kLeastRadius = 0.05, kLeast = 0, kMost = 2;

  explicit PatternSearch(Weights first = {}, const SearchRule& rule = {})
      : rule_(rule), best_(first), probe_(first), radius_(rule.first_radius) {}

  // The point to use now.
  [[nodiscard]] const Weights& point() const noexcept { return probe_; }
  [[nodiscard]] const Weights& best() const noexcept { return best_; }
  [[nodiscard]] bool settled() const noexcept { return settled_; }
  [[nodiscard]] unsigned steps() const noexcept { return steps_; }  // accepted moves and halvings
  [[nodiscard]] double radius() const noexcept { return radius_; }
  [[nodiscard]] double best_cost() const noexcept { return best_cost_; }

  // The workload is another one: searches again from the best point, which is measured first. Steps go on counting.
  void restart() noexcept {
    probe_ = best_;
    radius_ = rule_.first_radius;
    direction_ = failures_ = best_windows_ = 0;
    settled_ = false;
  }

  // What point() cost in the window that has ended.
  void measured(double cost) noexcept {
    if (settled_) return;
    const unsigned before = steps_;
    if (probe_ == best_) {
      best_cost_ = best_windows_ == 0 ? cost : best_cost_ + (cost - best_cost_) / (best_windows_ + 1);
      ++best_windows_;
    } else if (cost < best_cost_) {
      best_ = probe_;
      best_cost_ = cost;
      best_windows_ = 1;
      failures_ = 0;
      ++steps_;
    } else {
      fail();
    }
    next_probe();
    if (rule_.remeasure && steps_ != before) probe_ = best_;  // the probe it was to be comes after it
  }

 private:
  void fail() noexcept {
    direction_ = (direction_ + 1) % 4;
    if (++failures_ < 4) return;
    failures_ = 0;
    radius_ /= 2;
    ++steps_;
    settled_ = radius_ < kLeastRadius;
  }
  // A probe that clipping puts on the best point has failed already.
  void next_probe() noexcept {
    while (!settled_) {
      constexpr std::array<std::array<int, 2>, 4> kDirections{{{1, 0}, {-1, 0}, {0, 1}, {0, -1}}};
      const auto& d = kDirections[direction_];
      probe_ = {std::clamp(best_.alpha + radius_ * d[0], kLeast, kMost), std::clamp(best_.beta + radius_ * d[1], kLeast, kMost)};
      if (probe_ != best_) return;
      fail();
    }
    probe_ = best_;
  }

  SearchRule rule_;
  Weights best_, probe_;
  double best_cost_ = 0, radius_;
  unsigned direction_ = 0, failures_ = 0, steps_ = 0, best_windows_ = 0;
  bool settled_ = false;
};

}  // namespace takt
