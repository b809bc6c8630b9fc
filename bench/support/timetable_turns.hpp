// The scheduler under takt with a given number of jobs on four accelerators, in virtual time: each decision timed,
// those that draw up a timetable apart from those that follow it.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "core/scheduler.hpp"
#include "policies/support/compose.hpp"
#include "support/allocation_counter.hpp"
#include "support/catalog.hpp"
#include "support/machine.hpp"
#include "support/random.hpp"
#include "support/statistics.hpp"

namespace takt::bench {

// Forwards to takt and keeps the time of its decisions.
class TimedTakt final : public Policy {
 public:
  explicit TimedTakt(std::int64_t (*clock)() noexcept) : clock_(clock) {
    auto made = compose_policy("takt");
    if (!made) give_up(made.error());
    takt_ = std::move(*made);
  }
  void prepare(const PolicyLimits& limits) override { takt_->prepare(limits); }
  void decide(const Snapshot& s, Plan& plan) noexcept override {
    std::int64_t took;
    {
      const test::WatchAllocations watch;
      const std::int64_t before = clock_();
      takt_->decide(s, plan);
      took = clock_() - before;
    }
    const double now = drawn_so_far();
    Samples& kind = now > drawn_ ? drawn : followed;
    drawn_ = now;
    if (kind.size() < kind.capacity()) kind.push_back(took);
  }
  void observe(const Ended& ended) noexcept override { takt_->observe(ended); }
  Samples drawn, followed;  // as far as there is room

 private:
  [[nodiscard]] double drawn_so_far() const noexcept {
    PolicyReport report;
    takt_->describe(report);
    for (const PolicyReport::Item& item : report.items())
      if (std::string_view(item.name) == "timetables") return item.value;
    return 0;
  }
  std::int64_t (*clock_)() noexcept;
  std::unique_ptr<Policy> takt_;
  double drawn_ = 0;
};

// Jobs of streams that each have about `segments` segments of 1 ms, on unlike accelerators; what ends or is given up is
// replaced at once. `window`: deadlines, as a multiple of what all jobs take on all accelerators; under 1 some are
// lost.
class TimetableTurns final : public Port {
 public:
  static constexpr std::size_t kAccelerators = 4, kStreams = 8;

  TimetableTurns(std::int64_t (*clock)() noexcept, std::size_t jobs, std::size_t segments, double window)
      : policy_(clock), catalog_(kAccelerators), jobs_(jobs) {
    std::vector<ModelId> models;
    for (std::size_t s = 0; s < kStreams; ++s) {
      std::vector<Duration> chain;
      for (std::size_t k = 0; k < segments * (4 + s % 3) / 5; ++k)
        chain.push_back(random_.between(test::us(500), test::us(1500)));
      models.push_back(catalog_.chain(chain));
      for (std::size_t a = 0; a < kAccelerators; ++a)
        catalog_.set_factor(models.back(), a, (a % 2 == 0 ? 1 : 2) * (0.8 + 0.4 * random_.unit()));
    }
    const double all = static_cast<double>(jobs * segments) * 1e6 / 2.7;  // accelerators: 1 + 1 + 1/2 + 1/2, uneven
    window_ = Duration{static_cast<std::int64_t>(window * all)};
    costs_ = catalog_.costs();
    CoreConfig config;
    config.max_jobs = jobs + 8;
    config.max_streams = kStreams;
    config.max_batch = 1;
    config.accelerators.assign(kAccelerators, {.pool = SlotPoolId{0u}, .exchange = {64, 1, 0}});
    config.slot_pools = {static_cast<std::uint32_t>(jobs + 8)};
    core_ = std::make_unique<Scheduler>(config, catalog_.models(), costs_, policy_, *this, nullptr);
    for (std::size_t a = 0; a < kAccelerators; ++a) core_->accelerator_up(AcceleratorId{a}, now_);
    for (const ModelId m : models) streams_.push_back(core_->open_stream(test::soft(m, test::ms(1)), now_).stream);
  }

  // Until so many timetables have been drawn up; all decisions in between are kept too.
  void run(std::size_t timetables) {
    policy_.drawn.clear(), policy_.followed.clear();
    policy_.drawn.reserve(timetables), policy_.followed.reserve(64 * timetables);
    while (policy_.drawn.size() < timetables) turn();
  }
  [[nodiscard]] const Samples& drawn() const noexcept { return policy_.drawn; }
  [[nodiscard]] const Samples& followed() const noexcept { return policy_.followed; }
  [[nodiscard]] double lost() const noexcept { return static_cast<double>(lost_) / static_cast<double>(ended_); }

  void post(const LaunchOrder& order) noexcept override {
    running_[order.accelerator.value] = {order.sequence, now_, now_ + order.expected};
  }
  bool recall(AcceleratorId, Lane, std::uint64_t) noexcept override { return false; }
  void answer(JobId, const Answer& answer) noexcept override {
    --in_flight_, ++ended_;
    lost_ += answer.verdict != Verdict::done;
  }
  void notice(JobId) noexcept override {}
  bool child_released(JobId, JobId) noexcept override { return true; }
  void stream_moved(StreamId, AcceleratorId, RouteId) noexcept override {}
  void stream_ended(StreamId) noexcept override {}

 private:
  struct Running {
    std::uint64_t sequence = 0;
    Instant started{}, ends = kNever;
  };
  // The next segment ends; there are as many jobs as before.
  void turn() {
    const auto next = std::min_element(running_.begin(), running_.end(),
                                       [](const auto& x, const auto& y) { return x.ends < y.ends; });
    if (next->ends < kNever) {
      const Running ended = *next;
      now_ = std::max(now_, ended.ends);
      next->ends = kNever;
      core_->completed(AcceleratorId{static_cast<std::size_t>(next - running_.begin())}, Lane::normal,
                       {.sequence = ended.sequence, .started = ended.started, .ended = now_, .metrics = {}}, now_);
    } else {
      now_ += test::us(1);
    }
    for (; in_flight_ < jobs_; ++in_flight_)
      if (!core_->release(streams_[random_.below(kStreams)], now_,
                          now_ + random_.between(window_ / 2, window_ * 3 / 2)))
        give_up("the scheduler refuses a frame");
    core_->decide(now_);
  }

  TimedTakt policy_;
  test::Random random_{1};
  test::Catalog catalog_;
  CostTable costs_;
  std::size_t jobs_, in_flight_ = 0;
  std::uint64_t ended_ = 0, lost_ = 0;
  Duration window_{};
  std::unique_ptr<Scheduler> core_;
  std::vector<StreamId> streams_;
  std::array<Running, kAccelerators> running_{};
  Instant now_{Duration{1'000'000}};
};

}  // namespace takt::bench
