// The order of waiting jobs that is kept from one question to the next.
#include "policies/support/job_order.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "support/allocation_counter.hpp"
#include "support/decision_world.hpp"
#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

std::vector<JobId> walked(const JobOrder& order) {
  std::vector<JobId> jobs;
  order.walk([&](const JobOrder::Entry& e) {
    jobs.push_back(e.job);
    return false;
  });
  return jobs;
}
std::vector<JobId> sorted(const Snapshot& s) {
  std::vector<JobOrder::Entry> entries;
  for (std::size_t i = 0; i < s.waiting.size; ++i)
    entries.push_back({order_of(s.waiting.rank[i], to_ns(s.waiting.rank[i].deadline)), s.waiting.job[i]});
  std::sort(entries.begin(), entries.end());
  std::vector<JobId> jobs;
  for (const auto& e : entries) jobs.push_back(e.job);
  return jobs;
}
void follow(JobOrder& order, const Snapshot& s) {
  order.follow(s, [&](std::size_t i) { return to_ns(s.waiting.rank[i].deadline); });
}

TEST(JobOrder, IsSortedAfterAnyChanges) {
  for (const std::size_t jobs : {std::size_t{1}, std::size_t{40}, std::size_t{700}}) {
    DecisionWorld w(jobs, 2, 1, jobs);
    JobOrder order;
    order.prepare(w.capacity());
    for (int n = 0; n < 2000; ++n) {
      w.advance();
      for (std::uint64_t k = w.random().below(4); k > 0; --k) w.replace(w.any());
      follow(order, w.snapshot());
      if (n % 50 > 0) continue;
      ASSERT_EQ(walked(order), sorted(w.snapshot())) << jobs << " jobs, change " << n;
    }
  }
}

// Blocks that are thinned out again and again must not run out.
TEST(JobOrder, HasRoomHoweverJobsAreSpread) {
  constexpr std::size_t kJobs = 500, kKept = 16;
  std::set<JobId> kept;
  WaitingSet set(kJobs);
  JobOrder order;
  order.prepare(kJobs);
  Snapshot s;
  const auto see = [&] {
    s.waiting = set.view();
    follow(order, s);
  };
  std::int64_t time = 0;
  for (int round = 0; round < 60; ++round) {
    for (std::size_t j = 0; j < kJobs; ++j) {
      if (set.contains(JobId{j})) continue;
      set.add({.job = JobId{j}, .rank = {.deadline = instant_ns(++time)}});
      see();
    }
    ASSERT_EQ(walked(order), sorted(s));
    const std::vector<JobId> line = walked(order);
    for (std::size_t k = 0; k < kJobs; ++k) {
      if (k % kKept == 0) kept.insert(line[k]);
      if (kept.contains(line[k])) continue;
      set.remove(line[k]);
      see();
    }
    ASSERT_EQ(walked(order), sorted(s));
  }
}

TEST(JobOrder, BeginsAnewWhereItHasNotSeenEveryChange) {
  DecisionWorld w(30, 2, 1);
  JobOrder order;
  order.prepare(w.capacity());
  follow(order, w.snapshot());
  for (int n = 0; n < 1000; ++n) w.replace(w.any());  // more than the log holds
  follow(order, w.snapshot());
  EXPECT_EQ(walked(order), sorted(w.snapshot()));
}

// Keeps a copy of what waits by the log alone and compares it with what the snapshot shows.
class Following final : public Policy {
 public:
  void decide(const Snapshot& s, Plan& plan) noexcept override {
    const IgnoreAllocations ours;
    const auto note = [&](JobId job) {
      const std::uint32_t i = s.waiting.place[job.value];
      if (i == WaitingJobs::kAbsent)
        seen_.erase(job);
      else
        seen_[job] = s.waiting.rank[i].togo_min;
    };
    if (!changes_.follow(s.waiting, note)) {
      seen_.clear();
      for (std::size_t i = 0; i < s.waiting.size; ++i) note(s.waiting.job[i]);
      ++rebuilt;
    }
    EXPECT_EQ(seen_.size(), s.waiting.size);
    for (std::size_t i = 0; i < s.waiting.size; ++i) EXPECT_EQ(seen_[s.waiting.job[i]], s.waiting.rank[i].togo_min);
    for (std::size_t i = 0; i < s.waiting.size; ++i)
      for (std::size_t a = 0; a < s.accelerators.size(); ++a)
        if (s.can_start(i, a)) {
          plan.starts.push({s.waiting.job[i], AcceleratorId{a}, 1});
          return;
        }
  }
  int rebuilt = 0;

 private:
  Changes changes_;
  std::map<JobId, Duration> seen_;
};

TEST(ChangeLog, TellsOfEveryJobThatCameWentOrDiffers) {
  Catalog catalog(2);
  const ModelId chain = catalog.chain({ms(2), ms(1), ms(3)}), single = catalog.chain({ms(1)});
  Following policy;
  VirtualWorld w(catalog, {.core = serial_core(2), .custom = &policy});
  const std::vector<StreamId> streams{w.open(soft(chain, ms(20))), w.open(soft(single, ms(9)))};
  Random random(1);
  for (int n = 0; n < 300; ++n) {
    for (std::uint64_t k = random.below(4); k > 0; --k) w.release(streams[random.below(2)]);
    w.decide();
    w.run_until(w.now() + ms(static_cast<std::int64_t>(random.below(5))));
  }
  w.run();
  EXPECT_EQ(policy.rebuilt, 1) << "only at the first question";
}

}  // namespace
}  // namespace takt::test
