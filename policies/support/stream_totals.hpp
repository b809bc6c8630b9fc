// What each stream's first subnet takes on each accelerator alone: for policies that weigh accelerators as a whole.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "takt/policy.hpp"

namespace takt {

// Kept until a stream or an accelerator changes; only prepare() allocates.
class StreamTotals {
 public:
  void prepare(const PolicyLimits& limits) {
    seen_.assign(limits.streams, {});
    totals_.assign(limits.streams * limits.accelerators, kForever);
    up_.assign(limits.accelerators, 0);
  }

  // True if anything is new to it: an accelerator that came or went, or the stream of a waiting job. O(n); then
  // O(streams) and, for each new stream, O(segments x accelerators).
  [[nodiscard]] bool refresh(const Snapshot& s) noexcept {
    bool stale = false;
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      stale |= up_[a] != static_cast<std::uint8_t>(s.accelerators[a].up);
      up_[a] = static_cast<std::uint8_t>(s.accelerators[a].up);
    }
    for (std::size_t i = 0; i < s.waiting.size && !stale; ++i) {
      const std::size_t stream = s.waiting.rank[i].stream.value;
      stale = seen_[stream] != mark(s.streams[stream]);
    }
    if (!stale) return false;
    for (std::size_t t = 0; t < s.streams.size(); ++t) {
      const Mark now = mark(s.streams[t]);
      if (seen_[t] == now) continue;
      seen_[t] = now;
      if (now.length > 0) add_up(s, t);
    }
    return true;
  }

  [[nodiscard]] bool known(std::size_t stream) const noexcept { return seen_[stream].length > 0; }
  // kForever: some segment cannot run there, or the accelerator is down.
  [[nodiscard]] Duration total(std::size_t stream, std::size_t a) const noexcept {
    return up_[a] != 0 ? totals_[stream * up_.size() + a] : kForever;
  }
  // By accelerator: its mean speed over the streams, relative to the accelerator that is fastest for the stream.
  void speeds(std::span<double> out) const noexcept {
    std::fill(out.begin(), out.end(), 0.0);
    double streams = 0;
    for (std::size_t t = 0; t < seen_.size(); ++t) {
      Duration least = kForever;
      for (std::size_t a = 0; a < out.size(); ++a) least = known(t) ? std::min(least, total(t, a)) : least;
      if (least == kForever) continue;
      ++streams;
      for (std::size_t a = 0; a < out.size(); ++a)
        if (total(t, a) != kForever) out[a] += static_cast<double>(least.count()) / static_cast<double>(total(t, a).count());
    }
    for (double& speed : out) speed = speed > 0 ? speed / streams : 1;
  }

 private:
  // Tells a stream from another one that takes its place.
  struct Mark {
    const Route* routes = nullptr;
    std::uint32_t first = 0;
    ModelId model;
    std::size_t length = 0;  // of the first subnet; 0: no stream
    friend bool operator==(const Mark&, const Mark&) = default;
  };
  static Mark mark(const StreamView& stream) noexcept {
    if (stream.spec == nullptr || stream.first >= stream.last) return {};
    return {stream.routes.data(), stream.first, stream.spec->model, stream.routes[stream.first].length()};
  }
  void add_up(const Snapshot& s, std::size_t stream) noexcept {
    for (std::size_t a = 0; a < up_.size(); ++a) {
      Duration sum{};
      for (const VariantId v : s.streams[stream].routes[s.streams[stream].first].path)
        sum = saturating_add(sum, s.costs->at(AcceleratorId{a}, v).expected);
      totals_[stream * up_.size() + a] = sum;
    }
  }

  std::vector<Mark> seen_;
  std::vector<Duration> totals_;  // by stream and accelerator
  std::vector<std::uint8_t> up_;
};

}  // namespace takt
