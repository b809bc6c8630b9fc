// What is known of jobs that run: a policy sees the waiting ones only, so it remembers them as they were.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "policies/support/changes.hpp"
#include "policies/support/skips.hpp"
#include "takt/policy.hpp"

namespace takt {

// Learns on the way which segments are skipped. Only prepare() allocates.
class JobWatch {
 public:
  // A job as it was when it last waited.
  struct Known {
    Rank rank;
    const Route* route = nullptr;  // null: never seen
    std::uint16_t segment = 0;
    bool started = false;  // that segment
  };

  void prepare(const PolicyLimits& limits) {
    known_.assign(limits.jobs, {});
    skips_.prepare(limits);
  }
  // Once an instant; whether a job waits that was not there before. O(changes).
  [[nodiscard]] bool look(const Snapshot& s) noexcept {
    for (const AcceleratorView& a : s.accelerators) posts_ahead_ |= a.continues;
    bool fresh = false;
    const auto take = [&](JobId job) {
      const std::uint32_t i = s.waiting.place[job.value];
      if (i != WaitingJobs::kAbsent) fresh |= take_in(s, i);
    };
    if (changes_.follow(s.waiting, take)) return fresh;
    for (std::size_t i = 0; i < s.waiting.size; ++i) take_in(s, i);
    return true;
  }
  // Waiting job i starts now.
  void start(const Snapshot& s, std::size_t i) noexcept {
    Known& k = known_[s.waiting.job[i].value];
    k.started = true;
    k.route = &s.route(i);  // it may have another subnet since look()
  }

  [[nodiscard]] const Known& of(JobId job) const noexcept { return known_[job.value]; }
  // See Skips::parts().
  [[nodiscard]] std::span<const float> parts(StreamId stream) const noexcept { return skips_.parts(stream); }

 private:
  // Whether waiting job i is new.
  bool take_in(const Snapshot& s, std::size_t i) noexcept {
    Known& k = known_[s.waiting.job[i].value];
    const Rank& r = s.waiting.rank[i];
    const bool same =
        k.route != nullptr && k.rank.stream == r.stream && k.rank.frame == r.frame && k.rank.release == r.release;
    if (same) learn(k, s.waiting.segment[i]);
    if (!same) skips_.serve(r.stream, s.streams[r.stream.value].spec->model);
    if (!same || k.segment != s.waiting.segment[i]) k.started = false;
    k.rank = r, k.route = &s.route(i), k.segment = s.waiting.segment[i];
    return !same;
  }
  // Which of the segments gone by ran. What is posted ahead runs unseen.
  void learn(const Known& k, std::size_t now_at) noexcept {
    if (posts_ahead_) return;
    for (std::size_t n = k.segment; n < now_at; ++n) skips_.reached(k.rank.stream, n, n == k.segment && k.started);
  }

  Changes changes_;
  Skips skips_;
  std::vector<Known> known_;  // by job
  bool posts_ahead_ = false;
};

}  // namespace takt
