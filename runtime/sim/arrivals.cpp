// When frames come: the formulas of SCENARIOS, draw for draw.
#include "sim/arrivals.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "sim/random.hpp"

namespace takt::sim {
namespace {

bool put(const files::ScenarioTask& root, Release release, Duration at, std::vector<Release>& releases) {
  if (releases.size() >= kMaxReleases) return false;
  release.at = Instant{at};
  release.deadline = release.at + root.relative_deadline;
  release.weight = root.weight;
  releases.push_back(release);
  return true;
}

// Jitter may bring a frame past its successors, or past the end.
bool append_periodic(const files::ScenarioTask& root, std::uint32_t task, std::uint64_t seed, Duration duration,
                     std::vector<Release>& releases) {
  if ((duration - root.offset) / root.period >= static_cast<std::int64_t>(kMaxReleases)) return false;
  const double jitter = static_cast<double>(root.jitter.count());
  std::uint32_t frame = 0;
  for (Duration nominal = root.offset; nominal < duration; nominal += root.period, ++frame) {
    const double late = std::floor(jitter * u(seed, Salt::jitter, task, frame));
    const Duration at = nominal + Duration{static_cast<Duration::rep>(late)};
    if (at < duration && !put(root, {.task = task, .frame = frame}, at, releases)) return false;
  }
  return true;
}

bool append_poisson(const files::ScenarioTask& root, std::uint32_t task, std::uint64_t seed, Duration duration,
                    std::vector<Release>& releases) {
  const double end_s = 1e-9 * static_cast<double>(duration.count()) + 1;  // before llround could overflow
  double seconds = 0;
  for (std::uint32_t frame = 0;; ++frame) {
    seconds += -std::log1p(-u(seed, Salt::arrivals, task, frame)) / root.rate;
    if (seconds > end_s) return true;
    const Duration at = root.offset + Duration{std::llround(seconds * 1e9)};
    if (at >= duration) return true;
    if (!put(root, {.task = task, .frame = frame}, at, releases)) return false;
  }
}

}  // namespace

bool append_releases(const files::ScenarioTask& root, std::uint32_t task, std::uint64_t seed, Duration duration,
                     std::vector<Release>& releases) {
  return root.arrivals == files::Arrivals::poisson ? append_poisson(root, task, seed, duration, releases)
                                                   : append_periodic(root, task, seed, duration, releases);
}

void sort_releases(std::vector<Release>& releases) {
  std::sort(releases.begin(), releases.end(), [](const Release& a, const Release& b) {
    return std::tie(a.at, a.task, a.frame) < std::tie(b.at, b.task, b.frame);
  });
}

}  // namespace takt::sim
