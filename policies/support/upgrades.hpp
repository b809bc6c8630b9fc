// How many of a stream's frames may have its better subnets if all streams keep their periods: what the capacity takes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "takt/policy.hpp"

namespace takt {

// All streams begin with their lightest subnet; then they are upgraded in order of cost until the capacity is used up,
// the last one in a part of its frames. Segments count with their least time: on unlike accelerators an estimate from
// below. Children count as if every frame had one. Streams without a period count nothing. Only prepare() allocates.
class Upgrades {
 public:
  void prepare(const PolicyLimits& limits) {
    levels_.assign(limits.streams, 0);
    order_.reserve(limits.streams);
  }

  // `capacity`: part of all accelerators' time that may be used. O(streams); O(streams log streams) if any has changed.
  void refresh(const Snapshot& s, double capacity) noexcept {
    std::uint64_t mark = 1;
    const auto mix = [&](std::uint64_t x) { mark = (mark ^ x) * 0x9e3779b97f4a7c15u; };
    for (const AcceleratorView& a : s.accelerators) mix(a.up);
    for (const StreamView& v : s.streams) {
      mix(v.first), mix(v.last), mix(v.spec != nullptr ? static_cast<std::uint64_t>(to_ns(v.spec->period)) : 0);
      mix(v.spec != nullptr ? v.spec->model.value : 0);
    }
    if (mark != mark_) share_out(s, capacity);
    mark_ = mark;
  }

  // The most accurate route that a frame of the stream may have.
  [[nodiscard]] std::uint32_t best(const Snapshot& s, StreamId stream, std::uint32_t frame) const noexcept {
    const StreamView& v = s.streams[stream.value];
    const double level = levels_[stream.value];  // steps up from the lightest, spread evenly over the frames
    const auto up_to = [&](double frames) { return static_cast<std::int64_t>(frames * level + 1e-9); };
    const std::int64_t steps = up_to(frame + 1.0) - up_to(frame);
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(v.last - 1 - steps, v.first, v.last - 1));
  }

 private:
  void share_out(const Snapshot& s, double capacity) noexcept {
    order_.clear();
    double left = capacity;
    for (std::uint32_t t = 0; t < s.streams.size(); ++t) {
      const StreamView& v = s.streams[t];
      if (v.spec == nullptr || v.first >= v.last) continue;
      levels_[t] = v.last - 1 - v.first;
      if (v.spec->period <= Duration::zero()) continue;
      left -= load(s, t, v.last - 1);
      if (v.last - v.first > 1) order_.push_back(t);
    }
    std::sort(order_.begin(), order_.end(), [&](std::uint32_t x, std::uint32_t y) {
      const Duration a = work(s, x, s.streams[x].first), b = work(s, y, s.streams[y].first);
      return a != b ? a < b : x < y;
    });
    for (const std::uint32_t t : order_) {
      const StreamView& v = s.streams[t];
      const double more = load(s, t, v.first) - load(s, t, v.last - 1);
      const double part = std::clamp(left / std::max(more, 1e-12), 0.0, 1.0);
      levels_[t] *= part;
      left -= part * more;
    }
  }
  [[nodiscard]] static Duration work(const Snapshot& s, std::uint32_t stream, std::uint32_t route) noexcept {
    return s.streams[stream].routes[route].togo_min[0];
  }
  // Part of all accelerators' time.
  [[nodiscard]] static double load(const Snapshot& s, std::uint32_t stream, std::uint32_t route) noexcept {
    const Duration all = s.streams[stream].spec->period * static_cast<std::int64_t>(s.accelerators.size());
    return static_cast<double>(work(s, stream, route).count()) / static_cast<double>(all.count());
  }

  std::uint64_t mark_ = 0;            // of what was shared out last
  std::vector<double> levels_;        // by stream
  std::vector<std::uint32_t> order_;  // streams with several subnets
};

}  // namespace takt
