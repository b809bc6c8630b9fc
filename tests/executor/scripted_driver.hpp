// A driver that has two launches under way at once and ends each when a test says so.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "takt/driver.hpp"

namespace takt::test {

// The worker calls it from its thread, the test from its own. Waits of the test end after half a minute with false.
class ScriptedDriver final : public Driver {
 public:
  [[nodiscard]] DriverCaps caps() const noexcept override { return {Preemption::queued, true, 2}; }
  [[nodiscard]] Result<Opened> open(std::uint32_t, const AcceleratorConfig&) override { return Opened{}; }
  [[nodiscard]] Result<void> load(const Model&) override { return {}; }
  [[nodiscard]] Result<void> enter(std::uint32_t, Criticality) override { return {}; }
  [[nodiscard]] Result<void> prepare(std::uint32_t, Criticality worker) override {
    const std::unique_lock lock(mutex_);
    prepared_as_ = worker;
    return prepare_result;
  }
  [[nodiscard]] Result<void> run(const Launch&) noexcept override { return fail(Code::internal, "it has a queue"); }
  [[nodiscard]] Result<void> launch(const Launch& launch) noexcept override {
    const std::unique_lock lock(mutex_);
    if (refuse_next_launch_) {
      refuse_next_launch_ = false;
      return fail(Code::no_memory, "no room");
    }
    under_way_.push_back(&launch);
    most_ = std::max(most_, under_way_.size());
    tags_.push_back(to_ns(launch.expected));
    changed_.notify_all();
    return {};
  }
  [[nodiscard]] Result<bool> await(Instant until) noexcept override {
    std::unique_lock lock(mutex_);
    ++awaits_;
    changed_.notify_all();
    const std::chrono::steady_clock::time_point at{std::chrono::nanoseconds(to_ns(until))};
    if (!changed_.wait_until(lock, at, [&] { return !ends_.empty(); })) return false;
    const bool ok = ends_.front();
    ends_.pop_front();
    under_way_.erase(under_way_.begin());
    if (!ok) return fail(Code::internal, "it went wrong");
    return true;
  }

  // The oldest launch under way, or the next one, ends.
  void end(bool ok = true) {
    const std::unique_lock lock(mutex_);
    ends_.push_back(ok);
    changed_.notify_all();
  }
  void refuse_next_launch() {
    const std::unique_lock lock(mutex_);
    refuse_next_launch_ = true;
  }
  // `n` launches have begun since the start, ended ones too.
  [[nodiscard]] bool wait_launched(std::size_t n) {
    return wait([&] { return tags_.size() >= n; });
  }
  // The worker has come to wait `more` times from now on: it has looked at the ring before each.
  [[nodiscard]] bool wait_awaits(int more) {
    std::unique_lock lock(mutex_);
    const int from = awaits_;
    return changed_.wait_for(lock, kLimit, [&] { return awaits_ >= from + more; });
  }
  // The worker has come to wait since its first launch.
  [[nodiscard]] bool wait_awaiting() {
    return wait([&] { return awaits_ > 0; });
  }
  [[nodiscard]] std::size_t launched() {
    const std::unique_lock lock(mutex_);
    return tags_.size();
  }
  [[nodiscard]] std::size_t most_under_way() {
    const std::unique_lock lock(mutex_);
    return most_;
  }
  [[nodiscard]] std::optional<Criticality> prepared_as() {
    const std::unique_lock lock(mutex_);
    return prepared_as_;
  }

  Result<void> prepare_result;  // set before the worker serves

 private:
  static constexpr std::chrono::seconds kLimit{30};
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLimit, condition);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<const Launch*> under_way_;
  std::vector<std::int64_t> tags_;  // expected_ns of each launch
  std::deque<bool> ends_;
  std::size_t most_ = 0;
  int awaits_ = 0;
  bool refuse_next_launch_ = false;
  std::optional<Criticality> prepared_as_;
};

}  // namespace takt::test
