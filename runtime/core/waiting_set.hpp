// The waiting firm and soft jobs as parallel arrays, so that a policy scans them without chasing pointers.
#pragma once

#include <bit>
#include <vector>

#include "takt/policy.hpp"

namespace takt {

// Order is arbitrary: removing moves the last job into the gap. Never allocates after construction.
class WaitingSet {
 public:
  struct Item {
    JobId job;
    Rank rank;
    VariantId next;
    RouteId route;
    std::uint16_t segment = 0;
    Trail trail;
    SlotPoolId holds;
  };

  explicit WaitingSet(std::size_t capacity) : place_(capacity, kAbsent), changes_(std::bit_ceil(2 * capacity + 2)) {
    job_.reserve(capacity), rank_.reserve(capacity), next_.reserve(capacity);
    route_.reserve(capacity), segment_.reserve(capacity), trail_.reserve(capacity), holds_.reserve(capacity);
  }

  [[nodiscard]] std::size_t size() const noexcept { return job_.size(); }
  [[nodiscard]] bool contains(JobId job) const noexcept { return place_[job.value] != kAbsent; }
  [[nodiscard]] std::size_t place(JobId job) const noexcept { return place_[job.value]; }
  [[nodiscard]] JobId job(std::size_t i) const noexcept { return job_[i]; }
  [[nodiscard]] VariantId next(std::size_t i) const noexcept { return next_[i]; }
  [[nodiscard]] SlotPoolId holds(std::size_t i) const noexcept { return holds_[i]; }
  [[nodiscard]] const Rank& rank(std::size_t i) const noexcept { return rank_[i]; }

  void add(const Item& item) noexcept {
    place_[item.job.value] = static_cast<std::uint32_t>(job_.size());
    note(item.job);
    job_.push_back(item.job), rank_.push_back(item.rank), next_.push_back(item.next);
    route_.push_back(item.route), segment_.push_back(item.segment), trail_.push_back(item.trail), holds_.push_back(item.holds);
  }
  void replace(const Item& item) noexcept {
    const std::size_t i = place_[item.job.value];
    note(item.job);
    rank_[i] = item.rank, next_[i] = item.next, route_[i] = item.route;
    segment_[i] = item.segment, trail_[i] = item.trail, holds_[i] = item.holds;
  }
  void remove(JobId job) noexcept {
    const std::uint32_t i = place_[job.value];
    note(job);
    place_[job_.back().value] = i;
    place_[job.value] = kAbsent;
    fill(job_, i), fill(rank_, i), fill(next_, i), fill(route_, i), fill(segment_, i), fill(trail_, i), fill(holds_, i);
  }
  [[nodiscard]] WaitingJobs view() const noexcept {
    return {job_.size(), job_.data(), rank_.data(), next_.data(), route_.data(), segment_.data(), trail_.data(), holds_.data(),
            place_.data(), {changes_, changed_}};
  }

 private:
  static constexpr std::uint32_t kAbsent = WaitingJobs::kAbsent;
  void note(JobId job) noexcept { changes_[changed_++ & (changes_.size() - 1)] = job; }
  template <class T>
  static void fill(std::vector<T>& v, std::size_t i) noexcept {
    v[i] = v.back();
    v.pop_back();
  }

  std::vector<std::uint32_t> place_;
  std::vector<JobId> changes_;  // a ring
  std::uint64_t changed_ = 0;
  std::vector<JobId> job_;
  std::vector<Rank> rank_;
  std::vector<VariantId> next_;
  std::vector<RouteId> route_;
  std::vector<std::uint16_t> segment_;
  std::vector<Trail> trail_;
  std::vector<SlotPoolId> holds_;
};

}  // namespace takt
