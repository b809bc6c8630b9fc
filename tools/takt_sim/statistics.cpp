// Statistics; see statistics.hpp.
#include "statistics.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/random.hpp"

namespace takt::tool {

double mean(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

double geometric_mean(std::span<const double> values) {
  constexpr double kLeast = 1e-12;
  double logs = 0;
  for (const double v : values) logs += std::log(std::max(v, kLeast));
  return values.empty() ? 0 : std::exp(logs / static_cast<double>(values.size()));
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Interval bootstrap(std::size_t groups, std::size_t resamples, std::uint64_t seed,
                   const std::function<double(std::span<const std::size_t>)>& statistic, double coverage) {
  if (groups == 0 || resamples == 0) return {};
  std::vector<double> values;
  std::vector<std::size_t> drawn(groups);
  std::uint64_t draw = sim::mix(seed);
  for (std::size_t r = 0; r < resamples; ++r) {
    for (std::size_t& g : drawn) g = static_cast<std::size_t>(sim::mix(draw++) % groups);
    values.push_back(statistic(drawn));
  }
  std::sort(values.begin(), values.end());
  const auto at = [&](double q) {
    const double place = q * static_cast<double>(resamples - 1);
    return values[static_cast<std::size_t>(std::llround(place))];
  };
  return {at((1 - coverage) / 2), at((1 + coverage) / 2)};
}

double student_t975(std::size_t degrees_of_freedom) {
  constexpr std::array kTable{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                              2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                              2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
  if (degrees_of_freedom == 0) return std::numeric_limits<double>::infinity();
  return degrees_of_freedom <= kTable.size() ? kTable[degrees_of_freedom - 1] : 1.96;
}

Difference paired_difference(std::span<const double> a, std::span<const double> b) {
  const std::size_t n = std::min(a.size(), b.size());
  Difference d;
  for (std::size_t i = 0; i < n; ++i) d.mean += (a[i] - b[i]) / static_cast<double>(n);
  if (n < 2) return d;
  double squares = 0;
  for (std::size_t i = 0; i < n; ++i) squares += (a[i] - b[i] - d.mean) * (a[i] - b[i] - d.mean);
  const double half = student_t975(n - 1) * std::sqrt(squares / static_cast<double>(n - 1) / static_cast<double>(n));
  d.low = d.mean - half;
  d.high = d.mean + half;
  return d;
}

Regret regret(std::span<const double> own, std::span<const std::vector<double>> rivals) {
  Regret r;
  if (rivals.empty()) return r;
  for (std::size_t i = 0; i < own.size(); ++i) {
    double least = std::numeric_limits<double>::infinity();
    for (const std::vector<double>& rival : rivals) least = std::min(least, rival[i]);
    const double difference = own[i] - least, n = static_cast<double>(own.size());
    r.mean_difference += difference / n;
    r.mean += std::max(0.0, difference) / n;
    if (difference > r.worst) r.worst = difference, r.worst_cell = i;
  }
  return r;
}

}  // namespace takt::tool
