// What a policy sees.
#include <gtest/gtest.h>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

// Starts what it can in any order and keeps a copy of the accelerators as they were at each first question.
class Watching final : public Policy {
 public:
  struct Seen {
    Instant now{};
    std::size_t waiting = 0;
    std::array<AcceleratorView, 2> accelerators;
  };
  explicit Watching(bool starts = true) : starts_(starts) { seen_.reserve(1000); }
  void decide(const Snapshot& s, Plan& plan) noexcept override {
    if (s.first) {
      Seen seen{.now = s.now, .waiting = s.waiting.size};
      std::copy(s.accelerators.begin(), s.accelerators.end(), seen.accelerators.begin());
      seen_.push_back(seen);
    }
    for (std::size_t i = 0; i < s.waiting.size && starts_; ++i)
      for (std::size_t a = 0; a < s.accelerators.size(); ++a)
        if (s.can_start(i, a)) {
          plan.starts.push({s.waiting.job[i], AcceleratorId{a}, 1});
          return;
        }
  }
  [[nodiscard]] const Seen& last() const { return seen_.back(); }

 private:
  bool starts_;
  std::vector<Seen> seen_;
};

TEST(Snapshot, TellsWhenWhatIsCommittedWillEnd) {
  Catalog catalog(2);
  const ModelId chain = catalog.chain({ms(4), ms(3), ms(2)}), other = catalog.chain({ms(1)});
  catalog.set_factor(other, 1, 0);
  Watching policy;
  VirtualWorld w(catalog, {.core = serial_core(2, 1), .custom = &policy});
  const StreamId s = w.open(soft(chain, ms(50))), o = w.open(soft(other, ms(50)));
  w.release(s);
  w.run_until(at(ms(1)));
  w.release(o);
  w.decide();
  EXPECT_EQ(policy.last().accelerators[0].busy_until, at(ms(7))) << "the running segment and the one posted ahead";
  EXPECT_EQ(policy.last().accelerators[0].running_until, at(ms(4))) << "the running segment alone";
  EXPECT_FALSE(policy.last().accelerators[0].idle);
  EXPECT_EQ(policy.last().accelerators[1].busy_until, at(ms(1)));
  EXPECT_TRUE(policy.last().accelerators[1].idle);
  EXPECT_TRUE(policy.last().accelerators[0].continues);
  EXPECT_EQ(policy.last().accelerators[0].continuing.togo_min, ms(5));
  EXPECT_EQ(policy.last().accelerators[0].free_slots, 15u);
}

TEST(Snapshot, CountsHardSegmentsAsCommitted) {
  Catalog catalog(2);
  const ModelId tiny = catalog.chain({ms(5)}), other = catalog.chain({ms(1)});
  catalog.set_factor(other, 1, 0);
  Watching policy;
  VirtualWorld w(catalog, {.core = serial_core(2), .custom = &policy});
  const StreamId h = w.open(hard(tiny, ms(50), ms(50))), o = w.open(soft(other, ms(50)));
  w.release(h);
  w.run_until(at(ms(1)));
  w.release(o);
  w.decide();
  EXPECT_EQ(policy.last().accelerators[0].busy_until, at(ms(5)));
  EXPECT_EQ(policy.last().accelerators[0].running_until, at(ms(5)));
  EXPECT_FALSE(policy.last().accelerators[0].idle);
  EXPECT_FALSE(policy.last().accelerators[0].continues);
}

TEST(Snapshot, ShowsNoHardJobs) {
  Catalog catalog(2);
  const ModelId tiny = catalog.chain({ms(5)}), other = catalog.chain({ms(1)});
  Watching policy(false);
  VirtualWorld w(catalog, {.core = serial_core(2), .custom = &policy});
  const StreamId first = w.open(hard(tiny, ms(50), ms(50))), second = w.open(hard(tiny, ms(50), ms(40)));
  const StreamId o = w.open(soft(other, ms(50)));
  w.release(first);
  w.release(second);
  w.release(o);
  w.decide();
  EXPECT_EQ(policy.last().waiting, 1u);
}

TEST(Snapshot, LeavesOutSlotsThatAreKeptForHardStreams) {
  Catalog catalog(2);
  const ModelId chain = catalog.chain({ms(1), ms(1)});
  Watching policy(false);
  VirtualWorld w(catalog, {.core = serial_core(2, 0, 4), .custom = &policy});
  const StreamId h = w.open(hard(chain, ms(50), ms(50))), o = w.open(soft(chain, ms(50)));
  w.release(o);
  w.decide();
  EXPECT_EQ(policy.last().accelerators[0].free_slots, 3u);
  w.release(h);
  w.decide();
  EXPECT_EQ(policy.last().accelerators[0].free_slots, 3u) << "the hard job uses the one that was kept";
}

}  // namespace
}  // namespace takt::test
