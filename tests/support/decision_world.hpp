// A waiting set of fixed size and what a snapshot needs around it, for tests and benchmarks of decisions alone.
#pragma once

#include <algorithm>
#include <vector>

#include "core/waiting_set.hpp"
#include "support/random.hpp"

namespace takt::test {

// Streams of four segments each on unlike accelerators, in overload: time goes on, what is not chosen becomes late.
// Jobs have begun or not, some hold an activation that the accelerator worked on last. Deterministic.
class DecisionWorld {
 public:
  DecisionWorld(std::size_t jobs, std::size_t accelerators, std::size_t idle, std::uint64_t seed = 1)
      : random_(seed),
        idle_(idle),
        costs_(accelerators, kStreams * kSegments),
        waiting_(jobs + 2),
        views_(accelerators),
        routes_(kStreams),
        specs_(kStreams),
        streams_(kStreams) {
    for (std::size_t s = 0; s < kStreams; ++s) make_stream(s);
    for (std::size_t j = jobs + 2; j-- > 0;) free_.push_back(JobId{j});
    for (std::size_t j = 0; j < jobs; ++j) add(make_item());
    for (AcceleratorView& v : views_)
      v = {.up = true, .pool = SlotPoolId{0u}, .free_slots = 8, .exchange = {64, 1, 0.046}};
    snapshot_.accelerators = views_;
    snapshot_.streams = streams_;
    snapshot_.costs = &costs_;
    snapshot_.first = false;
  }

  [[nodiscard]] std::size_t capacity() const noexcept { return waiting_.size() + free_.size(); }
  [[nodiscard]] static std::size_t streams() noexcept { return kStreams; }

  // The next instant: one accelerator has ended a segment and is left by some waiting job; others than before are idle.
  void advance() noexcept {
    now_ += Duration{100'000};
    AcceleratorView& ended = views_[index(views_.size())];
    ended.latest = draw() < 0.5 ? waiting_.job(index(waiting_.size())) : JobId{};
    ended.latest_bytes = ended.latest.valid() ? 50'000 + index(100'000) : 0;
    for (AcceleratorView& v : views_) v.idle = false, v.running_until = v.busy_until = now_ + between(1, 3'000'000);
    for (std::size_t left = idle_; left > 0;) {
      AcceleratorView& v = views_[index(views_.size())];
      if (v.idle) continue;
      v.idle = true, v.running_until = v.busy_until = now_;
      --left;
    }
  }
  [[nodiscard]] const Snapshot& snapshot() noexcept {
    snapshot_.now = now_;
    snapshot_.waiting = waiting_.view();
    return snapshot_;
  }

  [[nodiscard]] WaitingSet::Item make_item() noexcept {
    const std::size_t s = index(kStreams), done = index(kSegments);
    const Route& route = routes_[s];
    const Instant since = now_ - between(0, 2'000'000), release = done > 0 ? since - between(0, 10'000'000) : since;
    const Instant deadline = release + between(5'000'000, 100'000'000);
    const JobId job = free_.back();
    free_.pop_back();
    return {.job = job,
            .rank = {Criticality::soft, deadline, release, route.togo_min[done], route.togo_sum[done], StreamId{s},
                     frame_++},
            .next = route.path[done],
            .route = RouteId{0u},
            .segment = static_cast<std::uint16_t>(done),
            .trail = {done > 0 ? AcceleratorId{index(views_.size())} : AcceleratorId{}, since, done > 0 ? 50'000u : 0u},
            .holds = done > 0 ? SlotPoolId{0u} : SlotPoolId{}};
  }
  void add(const WaitingSet::Item& item) noexcept { waiting_.add(item); }
  void remove(JobId job) noexcept { waiting_.remove(job); }
  void forget(JobId job) noexcept { free_.push_back(job); }
  void replace(JobId job) noexcept {
    remove(job);
    add(make_item());
    forget(job);
  }
  [[nodiscard]] AcceleratorView& accelerator(std::size_t a) noexcept { return views_[a]; }
  [[nodiscard]] Random& random() noexcept { return random_; }
  [[nodiscard]] JobId any() noexcept { return waiting_.job(index(waiting_.size())); }

 private:
  static constexpr std::size_t kStreams = 32, kSegments = 4;

  void make_stream(std::size_t s) {
    Route& r = routes_[s];
    r.togo_min.assign(kSegments + 1, {}), r.togo_sum.assign(kSegments + 1, {});
    for (std::size_t k = kSegments; k-- > 0;) {
      const VariantId v{s * kSegments + k};
      Duration least = kForever, sum{};
      for (std::size_t a = 0; a < costs_.accelerators(); ++a) {
        const Duration time = between(100'000, 4'000'000);
        costs_.set(AcceleratorId{a}, v, 1, {time, time});
        costs_.set_effort(AcceleratorId{a}, v, {static_cast<double>(time.count()) * (0.2 + draw()), 0});
        least = std::min(least, time), sum += time;
      }
      r.togo_min[k] = r.togo_min[k + 1] + least, r.togo_sum[k] = r.togo_sum[k + 1] + sum;
    }
    for (std::size_t k = 0; k < kSegments; ++k) r.path.push_back(VariantId{s * kSegments + k});
    specs_[s].late = LateRule::finish;
    streams_[s] = {.spec = &specs_[s], .routes = {&r, 1}, .first = 0, .last = 1};
  }

  [[nodiscard]] double draw() noexcept { return random_.unit(); }
  [[nodiscard]] std::size_t index(std::size_t below) noexcept {
    return static_cast<std::size_t>(draw() * static_cast<double>(below));
  }
  [[nodiscard]] Duration between(std::int64_t least, std::int64_t most) noexcept {
    return Duration{least + static_cast<std::int64_t>(draw() * static_cast<double>(most - least))};
  }

  Random random_;
  std::size_t idle_;
  std::uint32_t frame_ = 0;
  Instant now_{Duration{1'000'000'000}};
  CostTable costs_;
  WaitingSet waiting_;
  std::vector<JobId> free_;
  std::vector<AcceleratorView> views_;
  std::vector<Route> routes_;
  std::vector<StreamSpec> specs_;
  std::vector<StreamView> streams_;
  Snapshot snapshot_;
};

}  // namespace takt::test
