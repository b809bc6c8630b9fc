// Models and their times in a few lines: what a service's model and profile files would say.
#pragma once

#include <string>
#include <vector>

#include "takt/cost.hpp"
#include "takt/job.hpp"
#include "takt/model.hpp"
#include "takt/time.hpp"

namespace takt::test {

[[nodiscard]] constexpr Duration us(std::int64_t n) noexcept {
  return std::chrono::microseconds(n);
}
[[nodiscard]] constexpr Duration ms(std::int64_t n) noexcept {
  return std::chrono::milliseconds(n);
}
[[nodiscard]] constexpr Instant at(Duration since_start) noexcept {
  return Instant{since_start};
}

// One segment of a subnet. The same name at the same position of two subnets is the same variant: they share that
// segment.
struct Piece {
  std::string variant;
  Duration time{};
};
struct SubnetDraft {
  std::string name;
  float accuracy = 0;
  std::vector<Piece> pieces;
};

class Catalog {
 public:
  explicit Catalog(std::size_t accelerators = 1) : accelerators_(accelerators) {}

  // Every variant takes its time everywhere, budget equal to the expected time, and only alone (no batches).
  ModelId add(const std::vector<SubnetDraft>& subnets);
  // A model of one subnet of accuracy 0.7, called by its model's name: m0, m1, ...
  ModelId chain(const std::vector<Duration>& segments);

  // The model's times on one accelerator are multiplied; 0: it cannot run there.
  void set_factor(ModelId model, std::size_t accelerator, double factor);
  // A batch of n takes 1 + growth * (n - 1) times as long as one, up to `largest`.
  void set_batches(ModelId model, double growth, std::size_t largest = kMaxBatch);
  // Budgets of all models are this much of the expected time.
  void set_budget_factor(double factor) { budget_factor_ = factor; }

  [[nodiscard]] std::size_t accelerators() const noexcept { return accelerators_; }
  [[nodiscard]] const std::vector<Model>& models() const noexcept { return models_; }
  [[nodiscard]] CostTable costs() const;

 private:
  struct Draft {
    std::vector<Duration> times;  // of its variants
    std::vector<double> factors;  // of the accelerators
    double growth = 0;
    std::size_t largest_batch = 1;
  };
  std::size_t accelerators_;
  double budget_factor_ = 1;
  std::vector<Model> models_;
  std::vector<Draft> drafts_;
};

// Streams with a deadline; other fields keep their defaults and are set by the test.
[[nodiscard]] StreamSpec soft(ModelId model, Duration relative_deadline);
[[nodiscard]] StreamSpec hard(ModelId model, Duration period, Duration relative_deadline);

}  // namespace takt::test
