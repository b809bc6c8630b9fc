// Hard streams: the core dispatches them itself, and no policy or soft load reaches them.
#include <gtest/gtest.h>

#include "support/random.hpp"
#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

using Starts = std::vector<Instant>;

TEST(HardJobs, GoBeforeAnySoftJobInOrderOfTheirDeadlines) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  VirtualWorld w(catalog);
  const StreamId s = w.open(soft(model, ms(3)));
  const StreamId late = w.open(hard(model, ms(100), ms(50))), early = w.open(hard(model, ms(100), ms(20)));
  w.release(s);
  w.decide();
  w.release(s, at(ms(2)));  // tighter than both
  w.release(late);
  w.release(early);
  w.run();
  EXPECT_EQ(w.starts_of(early, 0), Starts{at(ms(1))});
  EXPECT_EQ(w.starts_of(late, 0), Starts{at(ms(2))});
}

TEST(HardJobs, PassEachOtherAtBoundaries) {
  for (const unsigned ahead : {0u, 1u, 3u}) {
    for (const bool preempts : {false, true}) {
      Catalog catalog;
      const ModelId chain = catalog.chain({ms(4), ms(4), ms(4), ms(4)}), tiny = catalog.chain({ms(1)});
      CoreConfig core = serial_core(1, ahead);
      core.accelerators[0].preempts = preempts;
      VirtualWorld w(catalog, {.core = core});
      const StreamId slow = w.open(hard(chain, ms(200), ms(100))), quick = w.open(hard(tiny, ms(200), ms(20)));
      w.release(slow);
      w.release_at(at(ms(1)), quick);
      w.run();
      EXPECT_EQ(w.starts_of(quick, 0), Starts{at(ms(4))}) << "ahead " << ahead << " preempts " << preempts;
      w.expect_settled();
    }
  }
}

TEST(HardJobs, RunOnTheRealtimeLaneAndSoftOnesOnTheOther) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1), ms(1)});
  VirtualWorld w(catalog);
  StreamSpec firm_spec = soft(model, ms(50));
  firm_spec.criticality = Criticality::firm;
  const StreamId h = w.open(hard(model, ms(50), ms(50))), s = w.open(soft(model, ms(50))), f = w.open(firm_spec);
  for (const StreamId id : {h, s, f}) w.release(id);
  w.run();
  for (const Ran& ran : w.ran_of(h, 0)) EXPECT_EQ(ran.lane, Lane::realtime);
  for (const Ran& ran : w.ran_of(s, 0)) EXPECT_EQ(ran.lane, Lane::normal);
  for (const Ran& ran : w.ran_of(f, 0)) EXPECT_EQ(ran.lane, Lane::normal) << "firm is not admitted";
}

TEST(HardJobs, TakeTheCoreFromASoftSegmentWhereTheKernelAllows) {
  Catalog catalog;
  const ModelId chunk = catalog.chain({ms(10)}), tiny = catalog.chain({ms(1)});
  CoreConfig core = serial_core();
  core.accelerators[0].preempts = true;
  VirtualWorld w(catalog, {.core = core});
  const StreamId s = w.open(soft(chunk, ms(50))), h = w.open(hard(tiny, ms(4), ms(4)));
  w.release(s);
  w.release_at(at(ms(3)), h);
  w.run();
  EXPECT_EQ(w.starts_of(h, 0), Starts{at(ms(3))});
  EXPECT_EQ(w.answer_of(s, 0).end, at(ms(11)));
}

TEST(SoftLimit, KeepsLongSegmentsOffASerialAccelerator) {
  Catalog catalog;
  const ModelId tiny = catalog.chain({ms(1)}), fits = catalog.chain({ms(5)}),
                over = catalog.chain({ms(5) + Duration{1}});
  VirtualWorld w(catalog);
  const StreamId h = w.open(hard(tiny, ms(6), ms(6)));
  const StreamId good = w.open(soft(fits, ms(100))), bad = w.open(soft(over, ms(100)));
  w.release(bad);
  w.release(good);
  w.run_until(at(ms(50)));
  EXPECT_EQ(w.verdict_of(good, 0), Verdict::done);
  EXPECT_TRUE(w.ran_of(bad, 0).empty());
  w.close(h);
  w.run();
  EXPECT_EQ(w.verdict_of(bad, 0), Verdict::done) << "with the hard stream its limit goes";
}

TEST(EarlyFrames, OfAHardStreamWaitForTheirPeriod) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  VirtualWorld w(catalog);
  const StreamId h = w.open(hard(model, ms(10), ms(10)));
  for (int i = 0; i < 3; ++i) w.release(h);
  w.release_at(at(ms(35)), h);
  w.run();
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(w.answer_of(h, i).release, at(ms(10 * i)));
    EXPECT_EQ(w.answer_of(h, i).deadline, at(ms(10 * i + 10))) << "the deadline counts from the delayed release";
    EXPECT_EQ(w.starts_of(h, i), Starts{at(ms(10 * i))});
  }
  EXPECT_EQ(w.answer_of(h, 3).release, at(ms(35)));
  w.expect_settled();
}

TEST(EarlyFrames, WithinTheJitterAreNotDelayed) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  VirtualWorld w(catalog);
  StreamSpec spec = hard(model, ms(10), ms(5));
  spec.jitter = ms(2);
  const StreamId h = w.open(spec);
  const std::vector<Duration> releases{ms(2), ms(10), ms(22), ms(30)};  // arrivals at 0, 10, 20, 30
  for (const Duration r : releases) w.release_at(at(r), h);
  w.release_at(at(ms(36)), h);  // the next arrival is at 40, but all hard work has ended: a new busy period
  w.run();
  for (std::uint32_t i = 0; i < releases.size(); ++i) EXPECT_EQ(w.answer_of(h, i).release, at(releases[i])) << i;
  EXPECT_EQ(w.answer_of(h, 4).release, at(ms(36)));
}

TEST(EarlyFrames, CatchUpAfterOneThatWasLate) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  VirtualWorld w(catalog);
  const StreamId h = w.open(hard(model, ms(10), ms(10)));
  const std::vector<Duration> releases{ms(0), ms(17), ms(20), ms(30)};  // the second is 7 late
  for (const Duration r : releases) w.release_at(at(r), h);
  w.run();
  for (std::uint32_t i = 0; i < releases.size(); ++i) EXPECT_EQ(w.answer_of(h, i).release, at(releases[i])) << i;
}

TEST(EarlyFrames, ThatAreCancelledGiveTheirTurnBack) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  VirtualWorld w(catalog);
  const StreamId h = w.open(hard(model, ms(10), ms(10)));
  w.release(h);
  w.cancel(*w.release(h));
  w.release(h);
  w.run();
  EXPECT_EQ(w.verdict_of(h, 1), Verdict::cancelled);
  EXPECT_EQ(w.answer_of(h, 2).release, at(ms(10)));
  w.expect_settled();
}

TEST(EarlyFrames, KeepTheirDistanceWhenAnEarlierOneIsCancelled) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  VirtualWorld w(catalog);
  const StreamId h = w.open(hard(model, ms(10), ms(10)));
  w.release(h);
  const auto second = w.release(h);
  w.release(h);  // at 20
  w.cancel(*second);
  w.release(h);
  w.run();
  EXPECT_EQ(w.answer_of(h, 2).release, at(ms(20)));
  EXPECT_EQ(w.answer_of(h, 3).release, at(ms(30)));
  w.expect_settled();
}

TEST(EarlyFrames, KeepTheirDistanceWhileTheStreamGoesOnAsSoft) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  VirtualWorld w(catalog);
  const StreamId h = w.open(hard(model, ms(10), ms(10)));
  w.down(0);
  w.release(h);
  w.release(h);
  w.run_until(at(ms(1)));
  w.up(0);
  w.run();
  EXPECT_EQ(w.starts_of(h, 0), Starts{at(ms(1))});
  EXPECT_EQ(w.starts_of(h, 1), Starts{at(ms(10))}) << "when it is hard again it must not come in a bunch";
}

// Fills every plan with whatever it can think of: unknown ids, hard jobs, wrong accelerators, duplicates, more than
// fits.
class HostilePolicy final : public Policy {
 public:
  explicit HostilePolicy(std::uint64_t seed) : random_(seed) {}
  void decide(const Snapshot& s, Plan& plan) noexcept override {
    for (int i = 0; i < 40; ++i) {
      const JobId job = any_job(s);
      const AcceleratorId a{random_.below(10) == 0 ? 0xffffffffu : static_cast<std::uint32_t>(random_.below(6))};
      switch (random_.below(12)) {
        case 0: plan.drops.push(job); break;
        case 1:
        case 2:
          plan.reroutes.push(
              {job, RouteId{random_.below(20) == 0 ? 0xffffffffu : static_cast<std::uint32_t>(random_.below(4))}});
          break;
        case 3: plan.recalls.push(a); break;
        case 4: plan.wake_at = s.now + Duration{static_cast<std::int64_t>(random_.below(2'000'000))} - us(500); break;
        default: plan.starts.push({job, a, static_cast<std::uint32_t>(random_.next())}); break;
      }
    }
  }

 private:
  JobId any_job(const Snapshot& s) noexcept {
    const std::uint64_t kind = random_.below(8);
    if (kind == 0) return JobId{static_cast<std::uint32_t>(random_.next())};
    if (kind == 1 || s.waiting.size == 0) return JobId{static_cast<std::uint32_t>(random_.below(300))};
    return s.waiting.job[random_.below(s.waiting.size)];
  }
  Random random_;
};

TEST(HostilePolicy, BreaksNothingAndReachesNoHardJob) {
  std::uint64_t refused = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Catalog catalog(2);
    const ModelId tiny = catalog.chain({ms(1), ms(1)});
    const ModelId nets =
        catalog.add({{"full", 0.9F, {{"a", ms(1)}, {"b", ms(2)}}}, {"half", 0.6F, {{"a", ms(1)}, {"c", ms(1)}}}});
    catalog.set_batches(nets, 0.2);
    HostilePolicy policy(seed);
    VirtualWorld w(catalog, {.core = serial_core(2, 1, 6), .custom = &policy});
    const StreamId h[] = {w.open(hard(tiny, ms(10), ms(8))), w.open(hard(tiny, ms(15), ms(15)))};
    StreamSpec finishing = soft(nets, ms(20));
    finishing.late = LateRule::finish;
    const StreamId s[] = {w.open(soft(nets, ms(30))), w.open(finishing)};
    for (int i = 0; i < 60; ++i) {
      w.release_at(at(ms(10 * i)), h[0]);
      w.release_at(at(ms(15 * i)), h[1]);
      for (const StreamId id : s) w.release_at(at(us(4300 * i)), id);
    }
    w.run_until(at(ms(2000)));
    w.close(s[0]);
    w.close(s[1]);
    w.run();
    for (const StreamId id : h)
      for (std::uint32_t i = 0; i < 60; ++i) EXPECT_EQ(w.verdict_of(id, i), Verdict::done) << "seed " << seed;
    w.expect_settled();
    refused += w.core().counters().refused_plans;
  }
  EXPECT_GT(refused, 1000u) << "what cannot be honoured is counted";
}

// One plan with one bad item of each kind; each must be counted once.
class OneBadPlan final : public Policy {
 public:
  std::function<void(const Snapshot&, Plan&)> fill;
  void decide(const Snapshot& s, Plan& plan) noexcept override {
    if (fill) std::exchange(fill, nullptr)(s, plan);
  }
};

TEST(RefusedPlans, AreCountedItemByItem) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(1), ms(1)}), only_first = catalog.chain({ms(1)});
  catalog.set_factor(only_first, 1, 0);
  OneBadPlan policy;
  VirtualWorld w(catalog, {.core = serial_core(2), .custom = &policy});
  const StreamId s = w.open(soft(only_first, ms(50))), h = w.open(hard(model, ms(50), ms(50)));
  const auto soft_frame = w.release(s);
  w.run_until(at(ms(1)));
  const auto hard_frame = w.release(h);
  const JobId soft_job = w.frames()[*soft_frame].job, hard_job = w.frames()[*hard_frame].job;
  EXPECT_EQ(w.core().counters().refused_plans, 0u);
  const AcceleratorId first{0u}, second{1u}, none{};
  const std::vector<std::function<void(Plan&)>> items{
      [&](Plan& p) { p.drops.push(hard_job); },
      [&](Plan& p) { p.drops.push(JobId{}); },
      [&](Plan& p) { p.drops.push(JobId{100u}); },
      [&](Plan& p) {
        p.reroutes.push({hard_job, RouteId{0u}});
      },
      [&](Plan& p) {
        p.reroutes.push({soft_job, RouteId{1u}});
      },
      [&](Plan& p) {
        p.reroutes.push({soft_job, RouteId{}});
      },
      [&](Plan& p) { p.recalls.push(none); },
      [&](Plan& p) {
        p.starts.push({hard_job, second, 1});
      },
      [&](Plan& p) {
        p.starts.push({soft_job, second, 1});
      },  // cannot run there
      [&](Plan& p) {
        p.starts.push({soft_job, first, 1});
      },  // the hard job is on it
      [&](Plan& p) {
        p.starts.push({soft_job, none, 1});
      },
      [&](Plan& p) {
        p.starts.push({JobId{}, second, 1});
      },
  };
  std::uint64_t expected = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    policy.fill = [&, i](const Snapshot&, Plan& plan) { items[i](plan); };
    w.decide();
    EXPECT_EQ(w.core().counters().refused_plans, ++expected) << "item " << i;
  }
  w.run_until(at(ms(20)));
  policy.fill = [&](const Snapshot&, Plan& plan) {
    plan.starts.push({soft_job, first, 1});
    plan.starts.push({soft_job, first, 1});
  };
  w.decide();
  EXPECT_EQ(w.core().counters().refused_plans, ++expected) << "the second of two equal starts";
  w.run();
  EXPECT_EQ(w.verdict_of(s, 0), Verdict::done);
  EXPECT_EQ(w.verdict_of(h, 0), Verdict::done);
}

TEST(PlanWakeAt, AsksAgainThen) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(1)});
  struct Holding final : Policy {
    std::vector<Instant> asked;
    void decide(const Snapshot& s, Plan& plan) noexcept override {
      if (s.first) asked.push_back(s.now);
      if (s.now < test::at(ms(4)))
        plan.wake_at = s.now + ms(2);
      else if (!s.first)
        plan.starts.push({s.waiting.job[0], AcceleratorId{0u}, 1});
    }
  } policy;
  policy.asked.reserve(10);
  VirtualWorld w(catalog, {.custom = &policy});
  const StreamId s = w.open(soft(model, ms(50)));
  w.release(s);
  w.run();
  EXPECT_EQ(policy.asked, (Starts{at(ms(0)), at(ms(2)), at(ms(4))}));
  EXPECT_EQ(w.starts_of(s, 0), Starts{at(ms(4))});
}

}  // namespace
}  // namespace takt::test
