// Admission: the density test on paper, what a refusal says, and that what is admitted never misses.
#include "core/admission.hpp"

#include <gtest/gtest.h>

#include "support/random.hpp"
#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

HardLoad load(Duration period, Duration deadline, Duration cost, Duration longest, Duration jitter = {}) {
  return {period, jitter, deadline, cost, longest};
}

TEST(SoftLimitFormula, IsForeverForNoStreams) {
  EXPECT_EQ(soft_limit({}), kForever);
}

TEST(SoftLimitFormula, IsTheDeadlineLessTheDemandForOneStream) {
  const HardLoad one[] = {load(ms(10), ms(10), ms(4), ms(2))};
  EXPECT_NEAR(static_cast<double>(to_ns(soft_limit(one))), 6e6, 1);
}

TEST(SoftLimitFormula, TakesTheShorterOfDeadlineAndPeriodLessJitter) {
  const HardLoad by_deadline[] = {load(ms(100), ms(8), ms(4), ms(4))};
  EXPECT_EQ(soft_limit(by_deadline), ms(4));
  const HardLoad by_jitter[] = {load(ms(10), ms(10), ms(4), ms(4), ms(2))};  // density 1/2
  EXPECT_EQ(soft_limit(by_jitter), ms(5));
  const HardLoad beyond_period[] = {load(ms(8), ms(20), ms(4), ms(4))};  // density 1/2 over a deadline of 20
  EXPECT_EQ(soft_limit(beyond_period), ms(10));
}

TEST(SoftLimitFormula, IsTheLeastRoomOverAllDeadlines) {
  // Up to 10: 1 - 0.25 leaves 7.5. Up to 40: 1 - 0.25 - 0.625 leaves 5.
  const HardLoad set[] = {load(ms(10), ms(10), us(2500), ms(1)), load(ms(40), ms(40), ms(25), ms(3))};
  EXPECT_EQ(soft_limit(set), ms(5));
}

TEST(SoftLimitFormula, IsZeroForAFullSetAndNegativeBeyondIt) {
  const HardLoad full[] = {load(ms(10), ms(10), ms(5), ms(5)), load(ms(10), ms(10), ms(5), ms(5))};
  EXPECT_EQ(soft_limit(full), Duration{});
  const HardLoad over[] = {load(ms(10), ms(10), ms(5), ms(5)), load(ms(10), ms(10), ms(5) + Duration{10}, ms(5))};
  EXPECT_LT(soft_limit(over), Duration{});
}

TEST(SoftLimitFormula, RefusesWhatALowerStreamsSegmentWouldBlock) {
  const HardLoad tight = load(ms(10), ms(8), ms(4), ms(4));
  const HardLoad fits[] = {tight, load(ms(100), ms(100), ms(8), ms(4))};
  EXPECT_GE(soft_limit(fits), Duration{});
  const HardLoad blocks[] = {tight, load(ms(100), ms(100), ms(8), ms(4) + Duration{1})};
  EXPECT_LT(soft_limit(blocks), Duration{});
  const HardLoad equal[] = {tight, load(ms(100), ms(8), us(3900), ms(4))};
  EXPECT_GE(soft_limit(equal), Duration{}) << "equal deadlines are demand, not blocking";
}

TEST(SoftLimitFormula, RefusesJitterAsLongAsThePeriod) {
  const HardLoad set[] = {load(ms(10), ms(10), us(1), us(1), ms(10))};
  EXPECT_LT(soft_limit(set), Duration{});
}

// Three camera streams in segments, and as whole models: the second must be refused, its segments block the first for
// too long.
TEST(SoftLimitFormula, AdmitsInSegmentsWhatItRefusesAsWholeModels) {
  const auto set = [](bool cut) {
    return std::array{load(us(16667), us(12000), us(4200), cut ? us(1500) : us(4200)),
                      load(us(33333), us(30000), us(10000), cut ? us(2500) : us(10000)),
                      load(us(100000), us(80000), us(18000), cut ? us(3000) : us(18000))};
  };
  EXPECT_NEAR(static_cast<double>(to_ns(soft_limit(set(true)))), 7'333'333.3, 1) << "(1 - .35 - 1/3 - .225) * 80 ms";
  EXPECT_LT(soft_limit(set(false)), Duration{});
}

TEST(HardStream, IsAdmittedWithItsBoundAndPlace) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(2), ms(3)});
  VirtualWorld w(catalog);
  const Admission a = w.ask(hard(model, ms(20), ms(15)));
  EXPECT_EQ(a.outcome, Admission::Outcome::accepted);
  EXPECT_EQ(a.accelerator, AcceleratorId{0u});
  EXPECT_EQ(a.route, RouteId{0u});
  EXPECT_EQ(a.bound, ms(15));
}

TEST(HardStream, IsBudgetedNotExpected) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  catalog.set_budget_factor(2);
  VirtualWorld w(catalog);
  EXPECT_EQ(w.ask(hard(model, ms(20), ms(7))).outcome, Admission::Outcome::refused);
  EXPECT_EQ(w.ask(hard(model, ms(20), ms(8))).outcome, Admission::Outcome::accepted);
}

TEST(HardStream, IsOfferedALighterSubnetIfTheBestDoesNotFit) {
  Catalog catalog;
  const ModelId nets =
      catalog.add({{"full", 0.9F, {{"a", ms(9)}}}, {"half", 0.7F, {{"b", ms(4)}}}, {"small", 0.5F, {{"c", ms(1)}}}});
  VirtualWorld w(catalog);
  const Admission a = w.ask(hard(nets, ms(10), ms(6)));
  EXPECT_EQ(a.outcome, Admission::Outcome::lighter);
  EXPECT_EQ(a.route, RouteId{1u});
  w.release(a.stream);
  w.run();
  EXPECT_EQ(w.answer_of(a.stream, 0).route, RouteId{1u});
  EXPECT_EQ(w.verdict_of(a.stream, 0), Verdict::done);
}

TEST(HardStream, GoesToTheAcceleratorThatHasRoom) {
  Catalog catalog(2);
  const ModelId model = catalog.chain({ms(6)});
  VirtualWorld w(catalog, {.core = serial_core(2)});
  EXPECT_EQ(w.ask(hard(model, ms(10), ms(10))).accelerator, AcceleratorId{0u});
  EXPECT_EQ(w.ask(hard(model, ms(10), ms(10))).accelerator, AcceleratorId{1u});
  EXPECT_EQ(w.ask(hard(model, ms(10), ms(10))).outcome, Admission::Outcome::refused);
}

TEST(Refusal, NamesAPeriodThatIsThenAcceptedAndIsCloseToTheShortest) {
  for (const Duration other : {ms(1), ms(3), ms(5), ms(6)}) {
    Catalog catalog;
    const ModelId taken = catalog.chain({other}), model = catalog.chain({ms(4)});
    VirtualWorld w(catalog);
    w.open(hard(taken, ms(10), ms(10)));
    const Admission refused = w.ask(hard(model, ms(5), ms(40)));
    if (refused.outcome != Admission::Outcome::refused) continue;
    EXPECT_EQ(refused.reason, Admission::Reason::utilisation);
    EXPECT_GT(refused.feasible_period, ms(5));
    const Admission shorter = w.ask(hard(model, refused.feasible_period - refused.feasible_period / 50, ms(40)));
    EXPECT_EQ(shorter.outcome, Admission::Outcome::refused) << "2 % less must not fit, or it was not the shortest";
    EXPECT_EQ(w.ask(hard(model, refused.feasible_period, ms(40))).outcome, Admission::Outcome::accepted);
  }
}

TEST(Refusal, UsesTheLightestAllowedSubnetForThePeriod) {
  Catalog catalog;
  const ModelId nets =
      catalog.add({{"full", 0.9F, {{"a", ms(20)}}}, {"half", 0.7F, {{"b", ms(8)}}}, {"small", 0.5F, {{"c", ms(1)}}}});
  VirtualWorld w(catalog);
  StreamSpec spec = hard(nets, ms(5), ms(30));
  spec.accuracy_floor = 0.6F;
  const Admission refused = w.ask(spec);
  EXPECT_EQ(refused.outcome, Admission::Outcome::refused);
  EXPECT_NEAR(static_cast<double>(to_ns(refused.feasible_period)), 8e6, 8e4);
  spec.period = refused.feasible_period;
  EXPECT_EQ(w.ask(spec).outcome, Admission::Outcome::lighter);
}

TEST(Refusal, SaysWhenNoPeriodWouldHelp) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  VirtualWorld w(catalog);
  const Admission refused = w.ask(hard(model, ms(5), ms(3)));
  EXPECT_EQ(refused.outcome, Admission::Outcome::refused);
  EXPECT_EQ(refused.reason, Admission::Reason::deadline_too_short);
  EXPECT_EQ(refused.feasible_period, Duration{});
}

TEST(Refusal, SurvivesAbsurdTimes) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  VirtualWorld w(catalog);
  const Duration absurd[] = {Duration{0}, Duration{1},     ms(5),        std::chrono::hours(24 * 365),
                             kForever,    Duration::max(), Duration{-1}, Duration::min()};
  for (const Duration period : absurd)
    for (const Duration deadline : absurd)
      for (const Duration jitter : absurd) {
        StreamSpec spec = hard(model, period, deadline);
        spec.jitter = jitter;
        const Admission a = w.ask(spec);
        if (a.outcome == Admission::Outcome::refused) continue;
        EXPECT_GE(jitter, Duration{});
        EXPECT_GE(deadline, ms(4));
        EXPECT_GE(period - jitter, ms(4));
        w.close(a.stream);
      }
}

TEST(Stream, IsRefusedWithTheReason) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)}), nowhere = catalog.chain({ms(4)});
  catalog.set_factor(nowhere, 0, 0);
  CoreConfig core = serial_core();
  core.max_streams = 2;
  VirtualWorld w(catalog, {.core = core});
  StreamSpec no_form = soft(model, ms(5)), accurate = soft(model, ms(5));
  no_form.form = 0;
  accurate.accuracy_floor = 0.71F;
  EXPECT_EQ(w.ask(soft(ModelId{9u}, ms(5))).reason, Admission::Reason::no_accelerator);
  EXPECT_EQ(w.ask(soft(nowhere, ms(5))).reason, Admission::Reason::no_accelerator);
  EXPECT_EQ(w.ask(no_form).reason, Admission::Reason::no_accelerator);
  EXPECT_EQ(w.ask(accurate).reason, Admission::Reason::accuracy_floor);
  w.open(soft(model, ms(5)));
  w.open(soft(model, ms(5)));
  EXPECT_EQ(w.ask(soft(model, ms(5))).reason, Admission::Reason::no_capacity);
}

// A random set near its limit, with soft work that is as long as the limit allows and always there.
struct RandomSet {
  Catalog catalog;
  std::vector<StreamSpec> streams;
  Duration limit{};
  ModelId soft_model, soft_chain, over;

  explicit RandomSet(Random& r) {
    std::vector<HardLoad> loads;
    const std::uint64_t count = 1 + r.below(5);
    for (std::uint64_t i = 0; i < count; ++i) {
      std::vector<Duration> segments;
      HardLoad l;
      for (std::uint64_t k = 0, n = 1 + r.below(4); k < n; ++k) {
        segments.push_back(us(r.between(100, 1500)));
        l.cost += segments.back();
        l.longest_segment = std::max(l.longest_segment, segments.back());
      }
      // Shares that add up to between 0.5 and 1.1, so that many sets come close to the limit.
      const double share = (0.5 + 0.6 * r.unit()) / static_cast<double>(count);
      const auto window = static_cast<std::int64_t>(static_cast<double>(to_ns(l.cost)) / share);
      l.relative_deadline = Duration{r.chance(0.5) ? window : r.between(window, 2 * window)};
      l.jitter = r.chance(0.4) ? Duration{r.between(1, window / 2)} : Duration{};
      l.period = Duration{r.chance(0.5) ? window : r.between(window, 2 * window)} + l.jitter;
      StreamSpec spec = hard(catalog.chain(segments), l.period, l.relative_deadline);
      spec.jitter = l.jitter;
      streams.push_back(spec);
      loads.push_back(l);
    }
    limit = soft_limit(loads);
    const Duration most = std::clamp(limit, us(1), ms(50));
    soft_model = catalog.chain({most});
    soft_chain = catalog.chain({most / 2, most / 2, most / 4, most});
    over = catalog.chain({limit < Duration{} ? us(1) : limit + Duration{1}});
  }
};

// Releases as early and as dense as the contract allows: arrivals at the least distance, releases anywhere in the
// jitter.
void release_densely(VirtualWorld& w, Random& r, StreamId s, const StreamSpec& spec, Instant until) {
  Instant arrival = w.now() + Duration{r.between(0, to_ns(spec.period))};
  while (arrival < until) {
    const Duration jitter =
        r.chance(0.5) ? (r.chance(0.5) ? spec.jitter : Duration{}) : r.between(Duration{}, spec.jitter);
    w.release_at(arrival + jitter, s);
    arrival += spec.period + (r.chance(0.8) ? Duration{} : r.between(Duration{}, spec.period));
  }
}

// A client that keeps to nothing: most frames come too early, so the core must put them where they belong.
void release_too_often(VirtualWorld& w, Random& r, StreamId s, const StreamSpec& spec, Instant until) {
  for (Instant t = w.now(); t < until; t += r.between(spec.period / 4, spec.period * 5 / 4)) w.release_at(t, s);
}

void expect_no_hard_miss(VirtualWorld& w, std::uint64_t seed) {
  for (const Frame& f : w.frames()) {
    if (w.core().spec(f.stream).criticality != Criticality::hard) continue;
    ASSERT_EQ(f.answer.verdict, Verdict::done)
        << "seed " << seed << " stream " << f.stream.value << " frame " << f.number;
  }
  w.expect_settled();
}

// Runs one random set beside as much soft work as it allows. Whether it was admitted.
bool run_set(std::uint64_t seed, bool too_often) {
  Random r(seed);
  const RandomSet set(r);
  const char* policies[] = {"fcfs", "edf", "llf"};
  const CoreConfig core = serial_core(1, static_cast<unsigned>(r.below(4)));
  VirtualWorld w(set.catalog, {.core = core, .policy = policies[r.below(3)], .history = false});
  if (r.chance(0.5))
    w.executors().set_time_of([&r](AcceleratorId, const Entry& e) { return r.between(e.expected / 4, e.expected); });
  std::vector<StreamId> streams;
  for (const StreamSpec& spec : set.streams) {
    const Admission a = w.ask(spec);
    if (a.outcome == Admission::Outcome::accepted) streams.push_back(a.stream);
  }
  const bool all = streams.size() == set.streams.size();
  EXPECT_EQ(all, set.limit >= Duration{}) << "seed " << seed;
  if (!all) return false;
  const StreamId load[] = {w.open(soft(set.soft_model, ms(500))), w.open(soft(set.soft_chain, ms(500))),
                           w.open(soft(set.over, ms(500)))};
  const Instant end = at(ms(400));
  for (std::size_t i = 0; i < streams.size(); ++i)
    (too_often ? release_too_often : release_densely)(w, r, streams[i], set.streams[i], end);
  for (Instant t{}; t < end; t += us(r.between(50, 3000))) w.release_at(t, load[r.below(3)]);
  w.run();
  expect_no_hard_miss(w, seed);
  return true;
}

TEST(AdmittedSets, NeverMissWhateverSoftWorkDoesWithinTheLimit) {
  int admitted = 0;
  for (std::uint64_t seed = 1; seed <= 300 && !::testing::Test::HasFailure(); ++seed) admitted += run_set(seed, false);
  EXPECT_GT(admitted, 100);
  EXPECT_LT(admitted, 290) << "the sets must reach the limit";
}

TEST(AdmittedSets, NeverMissThoughClientsReleaseTooOften) {
  int admitted = 0;
  for (std::uint64_t seed = 1; seed <= 200 && !::testing::Test::HasFailure(); ++seed) admitted += run_set(seed, true);
  EXPECT_GT(admitted, 60);
}

}  // namespace
}  // namespace takt::test
