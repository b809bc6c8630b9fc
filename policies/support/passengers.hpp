// Whom a timetable is drawn up for: all that waits or runs, in the order in which it is booked.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "policies/support/job_watch.hpp"
#include "policies/support/order.hpp"
#include "policies/support/timetable.hpp"
#include "takt/policy.hpp"

namespace takt {

struct Passenger {
  Order order;
  Chain chain;
  std::uint32_t place = WaitingJobs::kAbsent;  // in the snapshot; absent: it runs
  RouteId route;
  Instant deadline{}, due{};  // due: so early that its children can be in time as well
  Duration work{};            // least time that is left of it
  bool booked = false;
};

// Only prepare() allocates.
class Passengers {
 public:
  // At most `most` are booked; more have to wait until some are gone.
  void prepare(const PolicyLimits& limits, std::size_t most) {
    most_ = most;
    all_.reserve(limits.jobs + limits.accelerators);
  }

  // Firm before soft, then by due - lead * mean work. `skips`: whether what is often skipped is booked with less time.
  void gather(const Snapshot& s, const JobWatch& watch, double lead, bool skips) noexcept {
    all_.clear();
    for (std::uint32_t i = 0; i < s.waiting.size; ++i) {
      const Trail& trail = s.waiting.trail[i];
      add(s, s.waiting.rank[i], i, lead,
          {.job = s.waiting.job[i],
           .route = &s.route(i),
           .first = s.waiting.segment[i],
           .ready = s.now,
           .at = trail.ran_on,
           .live_bytes = trail.live_bytes,
           .holds = s.waiting.holds[i]});
    }
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      const AcceleratorView& acc = s.accelerators[a];
      if (!acc.running.valid() || watch.of(acc.running).route == nullptr) continue;
      add(s, watch.of(acc.running).rank, WaitingJobs::kAbsent, lead,
          {.job = acc.running,
           .route = watch.of(acc.running).route,
           .first = acc.running_segment + 1u,
           .ready = std::max(acc.running_until, s.now + Duration{1}),
           .at = AcceleratorId{a},
           .live_bytes = acc.running_bytes,
           .holds = acc.pool});
    }
    cut();
    for (Passenger& p : all_)
      if (skips) p.chain.parts = watch.parts(p.order.stream);
  }
  [[nodiscard]] std::vector<Passenger>& all() noexcept { return all_; }
  [[nodiscard]] bool some_left_out() const noexcept { return left_out_; }

 private:
  void add(const Snapshot& s, const Rank& r, std::uint32_t place, double lead, const Chain& chain) noexcept {
    Passenger p{.order = {}, .chain = chain, .place = place, .route = {}, .deadline = r.deadline, .due = r.deadline};
    std::int64_t key = INT64_MAX;
    const Duration togo = chain.route->togo_min[std::min(chain.first, chain.route->length())];
    // What is wanted late and will be gives way to all that can be in time.
    const bool late =
        s.streams[r.stream.value].spec->late == LateRule::finish && chain.ready + s.paced(togo) > r.deadline;
    if (late) p.deadline = p.due = kNever;
    if (p.deadline < kNever) {
      p.deadline -= scaled(togo, s.caution) - s.paced(togo);  // what it may take longer
      p.due = p.deadline - (s.streams[r.stream.value].has_children ? children_time(s, r.stream) : Duration{});
      const Duration mean = r.togo_sum / static_cast<std::int64_t>(s.accelerators.size());
      key = to_ns(p.due) - to_ns(scaled(mean, lead));
    }
    p.order = order_of(r, key);
    all_.push_back(p);
  }
  void cut() noexcept {
    const auto before = [](const Passenger& x, const Passenger& y) { return x.order < y.order; };
    left_out_ = all_.size() > most_;
    if (left_out_) {
      std::nth_element(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(most_), all_.end(), before);
      all_.resize(most_);
    }
    std::sort(all_.begin(), all_.end(), before);
  }
  // Least time of what may follow a job of the stream in its cascade.
  [[nodiscard]] static Duration children_time(const Snapshot& s, StreamId parent) noexcept {
    Duration most{};
    for (std::size_t t = 0; t < s.streams.size(); ++t) {
      const StreamView& child = s.streams[t];
      if (child.spec == nullptr || child.first >= child.last || child.spec->parent != parent) continue;
      const Duration own = s.paced(child.routes[child.last - 1].togo_min[0]);
      most = std::max(most, own + (child.has_children ? children_time(s, StreamId{t}) : Duration{}));
    }
    return most;
  }

  std::size_t most_ = 0;
  std::vector<Passenger> all_;
  bool left_out_ = false;
};

}  // namespace takt
