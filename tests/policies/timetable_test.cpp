// The timetable: gaps, switches, prices and due times of whole chains, by hand; then properties of random ones.
#include "policies/support/timetable.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "policies/support/skips.hpp"
#include "support/allocation_counter.hpp"
#include "support/catalog.hpp"
#include "support/random.hpp"

namespace takt::test {
namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;  // bytes that take one to read or write

// Accelerators that are idle at 0 and chains for them.
class Board {
 public:
  explicit Board(std::size_t accelerators) : costs_(accelerators, kVariants), bytes_(kVariants), views_(accelerators) {
    for (AcceleratorView& v : views_) v = {.up = true, .idle = true, .pool = SlotPoolId{0u}, .exchange = {1, 1, 0}};
    table.prepare({.jobs = kVariants, .streams = 1, .accelerators = accelerators, .segments = kSegments}, kVariants);
    s_.accelerators = views_;
    s_.costs = &costs_;
    s_.live_bytes = bytes_.data();
  }
  // Times of each segment by accelerator, kForever where it cannot run; it leaves `bytes` after each but the last.
  Chain chain(const std::vector<std::vector<Duration>>& times, std::uint64_t bytes = 0) {
    Route& route = routes_.emplace_back();
    for (const auto& segment : times) {
      const VariantId v{variants_++};
      route.path.push_back(v);
      bytes_[v.value] = bytes;
      for (std::size_t a = 0; a < segment.size(); ++a) costs_.set(AcceleratorId{a}, v, 1, {segment[a], segment[a]});
    }
    route.togo_min.assign(times.size() + 1, {});
    for (std::size_t k = times.size(); k-- > 0;)
      route.togo_min[k] = saturating_add(route.togo_min[k + 1], *std::min_element(times[k].begin(), times[k].end()));
    return {.job = JobId{jobs_++}, .route = &route};
  }
  void open(std::vector<double> prices = {}) {
    prices.resize(views_.size());
    table.open(s_, prices);
  }
  [[nodiscard]] bool book(const Chain& c, Instant due = kNever, double thrift = 0) {
    return table.book(s_, c, due, thrift);
  }
  AcceleratorView& view(std::size_t a) { return views_[a]; }

  // "job.segment[start,end) ..." of an accelerator's line, in milliseconds.
  [[nodiscard]] std::string line(std::size_t a) const {
    std::string text;
    for (const Timetable::Booking& b : table.line(a)) {
      const auto in_ms = [](Instant t) {
        std::string digits = std::to_string(static_cast<double>(to_ns(t)) / 1e6);
        digits.erase(digits.find_last_not_of('0') + 1);
        if (digits.back() == '.') digits.pop_back();
        return digits;
      };
      text += (text.empty() ? "" : " ") + std::to_string(b.job.value) + "." + std::to_string(b.segment) + "[" +
              in_ms(b.start) + "," + in_ms(b.end) + ")";
    }
    return text;
  }
  Timetable table;
  static constexpr std::size_t kVariants = 256, kSegments = 6;

 private:
  CostTable costs_;
  std::vector<std::uint64_t> bytes_;
  std::vector<AcceleratorView> views_;
  std::deque<Route> routes_;
  std::size_t variants_ = 0, jobs_ = 0;
  Snapshot s_;
};

// 2 ms on the first accelerator at a price of 3 a time, 4 ms on the second, which is free.
std::string cheaper(Instant due, double thrift) {
  Board b(2);
  b.open({3, 0});
  EXPECT_TRUE(b.book(b.chain({{ms(2), ms(4)}}), due, thrift));
  return b.line(0) + "|" + b.line(1);
}

TEST(Timetable, TakesTheEarliestEndWithoutThrift) {
  EXPECT_EQ(cheaper(kNever, 0), "0.0[0,2)|");
}

TEST(Timetable, TakesTheCheaperAcceleratorAsLongAsItIsInTime) {
  EXPECT_EQ(cheaper(kNever, 0.3), "0.0[0,2)|") << "2 + 0.9 * 2 is less than 4";
  EXPECT_EQ(cheaper(kNever, 0.4), "|0.0[0,4)") << "2 + 1.2 * 2 is more";
  EXPECT_EQ(cheaper(at(ms(4)), 0.4), "|0.0[0,4)");
  EXPECT_EQ(cheaper(at(ms(4)) - Duration{1}, 0.4), "0.0[0,2)|");
}

// The second segment is as fast on both, but a change costs 1 ms.
TEST(Timetable, FollowsAChainOverAccelerators) {
  Board b(2);
  b.open();
  ASSERT_TRUE(b.book(b.chain({{ms(2), ms(5)}, {ms(3), ms(2)}, {ms(5), ms(1)}}, kMillisecond)));
  EXPECT_EQ(b.line(0), "0.0[0,2)");
  EXPECT_EQ(b.line(1), "0.1[2,5) 0.2[5,6)") << "3, switch included; then it stays";
}

// The first accelerator is taken from 5 to 7.
TEST(Timetable, UsesAGapOnlyIfTheSegmentFitsWithItsSwitch) {
  for (const auto& [time, bytes, fits] : {std::tuple{ms(5), std::uint64_t{0}, true},
                                          {ms(5) + Duration{1000}, std::uint64_t{0}, false},
                                          {ms(4), kMillisecond, true},
                                          {ms(4), kMillisecond + 1000, false}}) {
    Board b(1);
    b.open();
    Chain later = b.chain({{ms(2)}}), sooner = b.chain({{time}});
    later.ready = at(ms(5));
    sooner.live_bytes = bytes;
    ASSERT_TRUE(b.book(later));
    ASSERT_TRUE(b.book(sooner));
    EXPECT_EQ(b.table.line(0)[fits ? 0 : 1].job, sooner.job);
    EXPECT_EQ(b.table.line(0)[fits ? 0 : 1].start, at(ms(fits ? 0 : 7)));
  }
}

TEST(Timetable, PutsAShortChainIntoTheFirstOfSeveralGapsThatTakesIt) {
  Board b(1);
  b.open();
  for (const auto& [ready, time] : {std::pair{1, 2}, {5, 2}, {10, 2}}) {  // 1..3, 5..7, 10..12
    Chain c = b.chain({{ms(time)}});
    c.ready = at(ms(ready));
    ASSERT_TRUE(b.book(c));
  }
  Chain c = b.chain({{ms(3)}});
  ASSERT_TRUE(b.book(c));
  EXPECT_EQ(b.line(0), "0.0[1,3) 1.0[5,7) 3.0[7,10) 2.0[10,12)");
}

// The accelerator's latest work left 2 ms of activation, the chain has 1 ms of its own.
TEST(Timetable, CountsItsOwnActivationAndThatOfTheJobBefore) {
  Board b(1);
  b.view(0).latest = JobId{77u};
  b.view(0).latest_bytes = 2 * kMillisecond;
  b.open();
  Chain c = b.chain({{ms(4)}});
  c.live_bytes = kMillisecond;
  ASSERT_TRUE(b.book(c));
  EXPECT_EQ(b.line(0), "0.0[0,7)");
}

TEST(Timetable, CountsTheActivationOfTheBookingBefore) {
  Board b(2);
  b.open();
  // Segment 0 on the first accelerator; segment 1 only on the second. Its activation stays until then.
  ASSERT_TRUE(b.book(b.chain({{ms(2), kForever}, {kForever, ms(2)}}, kMillisecond)));
  ASSERT_TRUE(b.book(b.chain({{ms(3), kForever}})));
  EXPECT_EQ(b.line(0), "0.0[0,2) 1.0[2,6)") << "writes what the first job left";
  EXPECT_EQ(b.line(1), "0.1[2,5)") << "reads what it brought";
}

TEST(Timetable, StayingOnAnAcceleratorCostsNothing) {
  for (const bool still_there : {true, false}) {
    Board b(1);
    Chain c = b.chain({{ms(1)}, {ms(1)}, {ms(1)}}, kMillisecond);
    c.first = 1;
    c.at = AcceleratorId{0u};
    c.live_bytes = kMillisecond;
    b.view(0).latest = still_there ? c.job : JobId{77u};
    b.view(0).latest_bytes = kMillisecond;
    b.open();
    ASSERT_TRUE(b.book(c));
    EXPECT_EQ(b.line(0), still_there ? "0.1[0,1) 0.2[1,2)" : "0.1[0,3) 0.2[3,4)")
        << "another job has been there since: both are read and written";
  }
}

// It runs on the second accelerator until 3; the first one is as fast and free since 0.
TEST(Timetable, StaysWhereAChangeGainsNothing) {
  Board b(2);
  Chain running = b.chain({{ms(3), ms(3)}, {ms(2), ms(2)}, {ms(2), ms(2)}});
  running.first = 1;
  running.at = AcceleratorId{1u};
  running.ready = at(ms(3));
  AcceleratorView& v = b.view(1);
  v.idle = false, v.running_until = at(ms(3)), v.running = running.job;
  b.open();
  ASSERT_TRUE(b.book(running));
  EXPECT_EQ(b.line(0), "");
  EXPECT_EQ(b.line(1), "0.1[3,5) 0.2[5,7)");
}

// The job that runs there until 3 goes on; another one has to write its activation.
TEST(Timetable, PlansFromTheEndOfWhatRuns) {
  Board b(1);
  Chain running = b.chain({{ms(3)}, {ms(2)}}, kMillisecond);
  running.first = 1;
  running.at = AcceleratorId{0u};
  running.live_bytes = kMillisecond;
  running.ready = at(ms(3));
  AcceleratorView& v = b.view(0);
  v.idle = false, v.running_until = at(ms(3)), v.running = running.job, v.running_bytes = kMillisecond;
  v.latest = running.job, v.latest_bytes = 0;
  b.open();
  const Chain other = b.chain({{ms(2)}});
  ASSERT_TRUE(b.book(other));
  ASSERT_TRUE(b.book(running));
  EXPECT_EQ(b.line(0), "1.0[3,6) 0.1[6,9)");
  b.open();
  ASSERT_TRUE(b.book(running));
  ASSERT_TRUE(b.book(other));
  EXPECT_EQ(b.line(0), "0.1[3,5) 1.0[5,7)");
}

TEST(Timetable, BooksNothingThatCannotEndByDue) {
  Board b(2);
  b.open();
  const Chain c = b.chain({{ms(2), ms(2)}, {ms(3), ms(9)}});
  EXPECT_FALSE(b.book(c, at(ms(5)) - Duration{1}));
  EXPECT_EQ(b.line(0) + b.line(1), "");
  EXPECT_TRUE(b.book(c, at(ms(5))));
  const Chain next = b.chain({{ms(4), kForever}});
  EXPECT_FALSE(b.book(next, at(ms(9)) - Duration{1}));
  EXPECT_EQ(b.line(0), "0.0[0,2) 0.1[2,5)");
}

TEST(Timetable, StaysInAPool) {
  Board b(2);
  b.view(1).pool = SlotPoolId{1u};
  b.open();
  Chain begun = b.chain({{ms(4), ms(1)}});
  begun.holds = SlotPoolId{0u};
  ASSERT_TRUE(b.book(begun));
  EXPECT_EQ(b.line(0), "0.0[0,4)");
  ASSERT_TRUE(b.book(b.chain({{ms(9), ms(1)}, {ms(1), ms(5)}})));
  EXPECT_EQ(b.line(1), "1.0[0,1) 1.1[1,6)") << "not back to the first, though that is faster";
  EXPECT_FALSE(b.book(b.chain({{ms(1), kForever}, {kForever, ms(1)}})));
}

TEST(Timetable, LeavesOutWhatIsDownAndWhatHardStreamsDoNotAllow) {
  Board b(3);
  b.view(0).up = false;
  b.view(1).soft_limit = ms(2) - Duration{1};
  b.open();
  ASSERT_TRUE(b.book(b.chain({{ms(1), ms(2), ms(8)}})));
  EXPECT_EQ(b.line(2), "0.0[0,8)");
}

TEST(Timetable, BooksThePartOfASegmentThatIsUsuallyTaken) {
  Board b(1);
  b.open();
  Chain c = b.chain({{ms(2)}, {ms(4)}, {ms(4)}});
  const std::vector<float> parts = {1, 0.25F};
  c.parts = parts;
  ASSERT_TRUE(b.book(c, at(ms(7))));
  EXPECT_EQ(b.line(0), "0.0[0,2) 0.1[2,3) 0.2[3,7)");
}

TEST(Timetable, PutsBackWhatItCancelledWhereItWas) {
  Board b(2);
  b.open();
  for (int n = 0; n < 3; ++n) ASSERT_TRUE(b.book(b.chain({{ms(2), ms(7)}, {ms(9), ms(1)}}, 1000)));
  const std::string first = b.line(0), second = b.line(1);
  b.table.cancel(JobId{1u});
  EXPECT_EQ(b.line(0).find("1."), std::string::npos);
  EXPECT_EQ(b.line(1).find("1."), std::string::npos);
  b.table.put_back();
  EXPECT_EQ(b.line(0), first);
  EXPECT_EQ(b.line(1), second);
}

TEST(Timetable, FillsThePlaceOfWhatItCancelled) {
  Board b(1);
  b.open();
  const Chain heavy = b.chain({{ms(4)}}), last = b.chain({{ms(2)}}), light = b.chain({{ms(3)}});
  ASSERT_TRUE(b.book(heavy));
  ASSERT_TRUE(b.book(last));
  b.table.cancel(heavy.job);
  ASSERT_TRUE(b.book(light));
  EXPECT_EQ(b.line(0), "2.0[0,3) 1.0[4,6)");
}

TEST(Timetable, CopiesWhatWasBooked) {
  Board b(1);
  b.open();
  ASSERT_TRUE(b.book(b.chain({{ms(4)}})));
  Timetable copy;
  copy.prepare({.jobs = 1, .streams = 1, .accelerators = 1, .segments = 1}, 1);
  b.table.copy_to(copy);
  b.table.take_out(0, 0);
  EXPECT_TRUE(b.table.line(0).empty());
  ASSERT_EQ(copy.line(0).size(), 1u);
  EXPECT_EQ(copy.line(0)[0].end, at(ms(4)));
}

// What was booked, read back from the lines.
void expect_sound(const Board& b, const std::vector<Chain>& booked, std::size_t accelerators) {
  std::vector<std::vector<Timetable::Booking>> of_job(Board::kVariants);
  for (std::size_t a = 0; a < accelerators; ++a) {
    const auto line = b.table.line(a);
    for (std::size_t n = 0; n < line.size(); ++n) {
      EXPECT_LT(line[n].start, line[n].end);
      if (n > 0) {
        EXPECT_LE(line[n - 1].end, line[n].start) << "two segments at once";
      }
      of_job[line[n].job.value].push_back(line[n]);
    }
  }
  std::size_t all = 0;
  for (const Chain& c : booked) {
    auto& mine = of_job[c.job.value];
    std::sort(mine.begin(), mine.end(), [](const auto& x, const auto& y) { return x.segment < y.segment; });
    ASSERT_EQ(mine.size(), c.route->length() - c.first);
    EXPECT_GE(mine[0].start, c.ready);
    for (std::size_t k = 1; k < mine.size(); ++k) {
      EXPECT_EQ(mine[k].segment, mine[k - 1].segment + 1);
      EXPECT_GE(mine[k].start, mine[k - 1].end) << "a segment before the one it needs";
    }
    all += mine.size();
  }
  std::size_t seen = 0;
  for (const auto& bookings : of_job) seen += bookings.size();
  EXPECT_EQ(seen, all) << "bookings of what was not booked";
}

TEST(Timetable, NeverBooksTwoAtOnceNorASegmentBeforeItsTurn) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Random random(seed);
    const std::size_t accelerators = 1 + random.below(4);
    Board b(accelerators);
    for (std::size_t a = 0; a < accelerators; ++a) {
      b.view(a).pool = SlotPoolId{random.below(2)};
      if (random.chance(0.3)) b.view(a).idle = false, b.view(a).running_until = at(us(random.between(0, 5000)));
    }
    std::vector<Chain> booked, all;
    for (int n = 0; n < 40; ++n) {
      std::vector<std::vector<Duration>> times(1 + random.below(Board::kSegments));
      for (auto& t : times)
        for (std::size_t a = 0; a < accelerators; ++a)
          t.push_back(random.chance(0.2) ? kForever : us(random.between(10, 3000)));
      Chain c = b.chain(times, random.below(300'000));
      c.first = random.below(times.size());
      c.ready = at(us(random.between(0, 9000)));
      all.push_back(c);
    }
    b.open(std::vector<double>(accelerators, 1));
    const std::uint64_t before = allocations_seen();
    const WatchAllocations watch;
    for (const Chain& c : all) {
      bool done = false;
      done = b.book(c, random.chance(0.5) ? kNever : c.ready + us(random.between(0, 30000)), random.unit());
      const IgnoreAllocations ours;
      if (done) booked.push_back(c);
      if (booked.empty() || !random.chance(0.3)) continue;
      const std::size_t out = random.below(booked.size());
      b.table.cancel(booked[out].job);
      if (random.chance(0.5))
        b.table.put_back();
      else
        booked.erase(booked.begin() + static_cast<std::ptrdiff_t>(out));
    }
    EXPECT_EQ(allocations_seen(), before);
    const IgnoreAllocations ours;
    expect_sound(b, booked, accelerators);
    ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
  }
}

TEST(Skips, KnowNothingUntilASegmentIsSkipped) {
  Skips skips;
  skips.prepare({.jobs = 1, .streams = 2, .accelerators = 1, .segments = 3});
  skips.reached(StreamId{1u}, 1, true);
  EXPECT_TRUE(skips.parts(StreamId{1u}).empty());
  skips.reached(StreamId{1u}, 1, false);
  ASSERT_EQ(skips.parts(StreamId{1u}).size(), 3u);
  EXPECT_FLOAT_EQ(skips.parts(StreamId{1u})[1], 11.0F / 12);
  EXPECT_FLOAT_EQ(skips.parts(StreamId{1u})[2], 1);
  EXPECT_TRUE(skips.parts(StreamId{0u}).empty());
}

TEST(Skips, ComeToThePartThatRuns) {
  Skips skips;
  skips.prepare({.jobs = 1, .streams = 1, .accelerators = 1, .segments = 1});
  for (int n = 0; n < 400; ++n) skips.reached(StreamId{0u}, 0, n % 4 == 0);
  EXPECT_NEAR(skips.parts(StreamId{0u})[0], 0.25, 0.05);
}

TEST(Skips, ForgetAnotherModelsSegments) {
  Skips skips;
  skips.prepare({.jobs = 1, .streams = 1, .accelerators = 1, .segments = 1});
  skips.serve(StreamId{0u}, ModelId{0u});
  skips.reached(StreamId{0u}, 0, false);
  skips.serve(StreamId{0u}, ModelId{0u});
  EXPECT_FALSE(skips.parts(StreamId{0u}).empty());
  skips.serve(StreamId{0u}, ModelId{1u});
  EXPECT_TRUE(skips.parts(StreamId{0u}).empty());
}

}  // namespace
}  // namespace takt::test
