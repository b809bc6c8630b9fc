// Figures as the benchmarks state them: quantiles of a round, the median over rounds, ratios within a round.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace takt::bench {

using Samples = std::vector<std::int64_t>;  // nanoseconds

struct Quantiles {
  double p50 = 0, p99 = 0, p999 = 0;
};

// Of an ordered list, by the nearest rank. 0 of an empty one.
inline double quantile(const Samples& ordered, double share) noexcept {
  if (ordered.empty()) return 0;
  const auto place = static_cast<std::size_t>(share * static_cast<double>(ordered.size()));
  return static_cast<double>(ordered[std::min(place, ordered.size() - 1)]);
}

inline Quantiles quantiles(Samples samples) {
  std::sort(samples.begin(), samples.end());
  return {quantile(samples, 0.5), quantile(samples, 0.99), quantile(samples, 0.999)};
}

inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Named series, each measured once a round in turn with the others.
class Rounds {
 public:
  void add(const std::string& series, const Samples& samples) { rounds_[series].push_back(quantiles(samples)); }
  [[nodiscard]] bool has(const std::string& series) const { return rounds_.contains(series); }

  // Median over the rounds, each quantile by itself.
  [[nodiscard]] Quantiles of(const std::string& series) const {
    return over_rounds(rounds_.at(series).size(), [&](std::size_t r) { return rounds_.at(series)[r]; });
  }
  // Median over the rounds of the ratio within the round: what the machine did meanwhile hit both.
  [[nodiscard]] Quantiles ratio(const std::string& series, const std::string& limit) const {
    const auto &a = rounds_.at(series), &b = rounds_.at(limit);
    return over_rounds(std::min(a.size(), b.size()), [&](std::size_t r) {
      return Quantiles{a[r].p50 / b[r].p50, a[r].p99 / b[r].p99, a[r].p999 / b[r].p999};
    });
  }

 private:
  template <class Round>
  static Quantiles over_rounds(std::size_t count, Round round) {
    std::vector<double> p50, p99, p999;
    for (std::size_t r = 0; r < count; ++r) {
      const Quantiles q = round(r);
      p50.push_back(q.p50), p99.push_back(q.p99), p999.push_back(q.p999);
    }
    return {median(p50), median(p99), median(p999)};
  }

  std::map<std::string, std::vector<Quantiles>> rounds_;
};

}  // namespace takt::bench
