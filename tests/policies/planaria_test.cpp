// planaria: how many units a job needs, what that does to its score, and when it waits for one.
#include <gtest/gtest.h>

#include "policies/support/compose.hpp"
#include "policies/support/unit_sets.hpp"
#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

// Two idle accelerators that are good at different segments; each job is of a stream of its own.
class Board {
 public:
  struct Segment {
    Duration first, second;  // time on each accelerator
  };
  // A waiting job; returns its place.
  std::size_t add(const std::vector<Segment>& chain, Duration deadline) {
    Route route;
    route.togo_min.assign(chain.size() + 1, {});
    for (const Segment& s : chain) {
      route.path.push_back(VariantId{times_.size()});
      times_.push_back(s);
    }
    for (std::size_t k = chain.size(); k-- > 0;)
      route.togo_min[k] = route.togo_min[k + 1] + std::min(chain[k].first, chain[k].second);
    const std::size_t i = routes_.size();
    ranks_.push_back({.deadline = at(deadline), .togo_min = route.togo_min[0], .stream = StreamId{i}});
    routes_.push_back({std::move(route)});
    jobs_.push_back(JobId{i});
    next_.push_back(routes_.back()[0].path[0]);
    return i;
  }
  const Snapshot& snapshot() {
    costs_ = CostTable(2, times_.size());
    for (std::size_t v = 0; v < times_.size(); ++v) {
      costs_.set(AcceleratorId{0u}, VariantId{v}, 1, {times_[v].first, times_[v].first});
      costs_.set(AcceleratorId{1u}, VariantId{v}, 1, {times_[v].second, times_[v].second});
    }
    const std::size_t n = routes_.size();
    for (std::size_t i = 0; i < n; ++i)
      streams_.push_back({.spec = &spec_, .routes = routes_[i], .first = 0, .last = 1});
    for (AcceleratorView& a : accelerators_) a = {.up = true, .idle = true, .pool = SlotPoolId{0u}, .free_slots = 8};
    route_.assign(n, RouteId{0u});
    segment_.assign(n, 0);
    trail_.assign(n, {});
    holds_.assign(n, {});
    s_.waiting = {
        n, jobs_.data(), ranks_.data(), next_.data(), route_.data(), segment_.data(), trail_.data(), holds_.data()};
    s_.accelerators = accelerators_;
    s_.streams = streams_;
    s_.costs = &costs_;
    return s_;
  }
  // One segment further.
  void advance(std::size_t i) {
    ++segment_[i];
    next_[i] = routes_[i][0].path[segment_[i]];
    ranks_[i].togo_min = routes_[i][0].togo_min[segment_[i]];
  }

 private:
  std::vector<Segment> times_;
  std::vector<std::vector<Route>> routes_;
  std::vector<Rank> ranks_;
  std::vector<JobId> jobs_;
  std::vector<VariantId> next_;
  std::vector<RouteId> route_;
  std::vector<std::uint16_t> segment_;
  std::vector<Trail> trail_;
  std::vector<SlotPoolId> holds_;
  std::vector<StreamView> streams_;
  std::array<AcceleratorView, 2> accelerators_;
  StreamSpec spec_;
  CostTable costs_;
  Snapshot s_;
};

TEST(UnitSets, AddUpTheChainOnOneAcceleratorAndOnBoth) {
  Board board;
  const std::size_t i = board.add({{ms(1), ms(4)}, {ms(5), ms(1)}, {ms(2), ms(2)}}, ms(20));
  const Snapshot& s = board.snapshot();
  UnitSets sets;
  sets.prepare({.jobs = 4, .streams = 4, .accelerators = 2});
  sets.take(s);
  sets.look(s, i);
  EXPECT_EQ(sets.unit(s, i, 0), 1u) << "7 there, 8 on the first";
  EXPECT_EQ(sets.time(s, i, 1), ms(7));
  EXPECT_EQ(sets.time(s, i, 2), ms(4));
  EXPECT_EQ(sets.after(s, i, 2), ms(3));
  board.advance(i);
  sets.look(s, i);
  EXPECT_EQ(sets.time(s, i, 1), ms(3));
  EXPECT_EQ(sets.time(s, i, 2), ms(3));
}

// What planaria starts first.
Start first_start(Board& board) {
  const auto policy = compose_policy("planaria");
  (*policy)->prepare({.jobs = 4, .streams = 4, .accelerators = 2});
  Plan plan(4, 2);
  (*policy)->decide(board.snapshot(), plan);
  return plan.starts.size() == 1 ? plan.starts.items()[0] : Start{};
}

// The first is due at 4, but needs two units for it: 8; the other is due at 6 and needs one.
TEST(Planaria, StartsTheHighestScoreOfSlackTimesUnits) {
  Board board;
  board.add({{ms(1), ms(4)}, {ms(4), ms(1)}}, ms(4));
  const std::size_t one = board.add({{ms(3), ms(3)}}, ms(6));
  EXPECT_EQ(first_start(board).job, JobId{one});
}

TEST(Planaria, StartsWhatCannotMeetItsSlackLast) {
  Catalog catalog;
  const ModelId model = catalog.chain({ms(4)});
  VirtualWorld w(catalog, {.policy = "planaria"});
  StreamSpec spec = soft(model, ms(3));
  spec.late = LateRule::finish;
  const StreamId lost = w.open(spec), s = w.open(soft(model, ms(9)));
  w.release(lost);
  w.release(s);
  w.run();
  EXPECT_EQ(w.ran_of(s, 0)[0].start, at(ms(0)));
  EXPECT_EQ(w.verdict_of(lost, 0), Verdict::late);
}

// Its chain is shortest on the second accelerator alone, though the first segment is faster on the first.
TEST(Planaria, GivesASpareUnitOnlyWhereNobodyNeedsIt) {
  for (const bool others : {false, true}) {
    Board board;
    const std::size_t i = board.add({{ms(1), ms(4)}, {ms(9), ms(1)}}, ms(20));
    if (others) board.add({{ms(3), ms(3)}}, ms(40));
    const Start start = first_start(board);
    EXPECT_EQ(start.job, JobId{i});
    EXPECT_EQ(start.accelerator, AcceleratorId{others ? 1u : 0u});
  }
}

// 2 ms on the first accelerator, which is busy until 3; on the idle one `factor` times as long.
Instant start_of(double factor, Duration deadline) {
  Catalog catalog(2);
  const ModelId blocker = catalog.chain({ms(3)}), model = catalog.chain({ms(2)});
  catalog.set_factor(blocker, 1, 0);
  catalog.set_factor(model, 1, factor);
  VirtualWorld w(catalog, {.core = serial_core(2), .policy = "planaria"});
  StreamSpec spec = soft(model, deadline);
  spec.late = LateRule::finish;
  const StreamId b = w.open(soft(blocker, ms(50))), s = w.open(spec);
  w.release(b);
  w.decide();
  w.release(s);
  w.run();
  return w.ran_of(s, 0)[0].start;
}

TEST(Planaria, WaitsForABusyAcceleratorThatEndsSoonerInTime) {
  EXPECT_EQ(start_of(2, ms(20)), at(ms(0))) << "4 before 5";
  EXPECT_EQ(start_of(3, ms(20)), at(ms(3))) << "5 before 6";
  EXPECT_EQ(start_of(3, ms(4)), at(ms(0))) << "neither is in time";
}

}  // namespace
}  // namespace takt::test
