// sdrm3: what it tells of its weights and its tuner as windows close.
#include <gtest/gtest.h>

#include <chrono>
#include <map>

#include "policies/support/compose.hpp"

namespace takt {
namespace {

using namespace std::chrono_literals;

// A policy that nothing ever waits for: only its windows pass.
class Windows {
 public:
  explicit Windows(const std::string& name, const std::vector<std::string>& settings = {"window_ms=100"}) {
    auto policy = compose_policy(name, settings);
    EXPECT_TRUE(policy) << policy.error();
    policy_ = std::move(*policy);
    policy_->prepare({.jobs = 4, .streams = 2, .accelerators = 1});
    views_[0].spec = &spec_;
    look(Duration{0});
  }
  // A window in which ten jobs end, some of them late; each takes half of the worst energy. So the cost is violated /
  // 20, or 1 / 40 if none is.
  void window(int violated) {
    for (int i = 0; i < 10; ++i)
      policy_->observe({.stream = StreamId{0u},
                        .verdict = i < violated ? Verdict::missed : Verdict::done,
                        .energy_nj = 1,
                        .worst_energy_nj = 2});
    look(100ms);
  }
  void empty_window() { look(100ms); }
  void open_another_stream() { views_[1].spec = &spec_; }
  [[nodiscard]] std::map<std::string, double> report() const {
    PolicyReport report;
    policy_->describe(report);
    std::map<std::string, double> values;
    for (const PolicyReport::Item& item : report.items()) values[item.name] = item.value;
    return values;
  }

 private:
  void look(Duration later) {
    now_ += later;
    Snapshot s;
    s.now = now_;
    s.streams = views_;
    Plan plan(4, 1);
    policy_->decide(s, plan);
  }
  std::unique_ptr<Policy> policy_;
  StreamSpec spec_;
  std::array<StreamView, 2> views_{};
  Instant now_{5s + 1ms};
};

TEST(Sdrm3Report, TellsItsWeightsWithoutATuner) {
  const std::map<std::string, double> expected{{"alpha", 0.25}, {"beta", 2}};
  EXPECT_EQ(Windows("sdrm3:drop", {"alpha=0.25", "beta=2"}).report(), expected);
}

TEST(Sdrm3Report, ShowsTheProbeAndTheBestPointAsWindowsClose) {
  Windows w("sdrm3:full");
  auto values = w.report();
  EXPECT_EQ(values["alpha"], 1);
  EXPECT_EQ(values["windows"], 0);
  EXPECT_EQ(values["radius"], 0.5);
  w.window(4);
  values = w.report();
  EXPECT_EQ(values["windows"], 1);
  EXPECT_DOUBLE_EQ(values["last_window_cost"], 4.0 / 20);
  EXPECT_EQ(values["alpha"], 1.5);
  EXPECT_EQ(values["best_alpha"], 1);
  EXPECT_EQ(values["steps"], 0);
  w.window(2);
  values = w.report();
  EXPECT_EQ(values["best_alpha"], 1.5);
  EXPECT_DOUBLE_EQ(values["best_cost"], 2.0 / 20);
  EXPECT_EQ(values["steps"], 1);
}

TEST(Sdrm3Report, HalvesTheRadiusUntilItSettlesWhereNothingIsBetter) {
  Windows w("sdrm3:full");
  for (int i = 0; i < 1 + 4; ++i) w.window(3);
  EXPECT_EQ(w.report()["radius"], 0.25);
  EXPECT_EQ(w.report()["steps"], 1);
  for (int i = 0; i < 3 * 4; ++i) w.window(3);
  const auto values = w.report();
  EXPECT_EQ(values.at("settled"), 1);
  EXPECT_EQ(values.at("alpha"), 1);
  EXPECT_EQ(values.at("steps"), 4);
}

TEST(Sdrm3Report, CountsNoWindowInWhichNothingEnded) {
  Windows w("sdrm3:full");
  w.window(3);
  w.empty_window();
  EXPECT_EQ(w.report()["windows"], 1);
}

TEST(Sdrm3Report, SearchesAgainFromItsBestPointWhenTheStreamsChange) {
  Windows w("sdrm3:full");
  w.window(4);
  w.window(2);
  for (int i = 0; i < 4 * 4 + 1; ++i) w.window(3);
  ASSERT_EQ(w.report()["settled"], 1);
  w.open_another_stream();
  w.window(5);
  auto values = w.report();
  EXPECT_EQ(values["restarts"], 1);
  EXPECT_EQ(values["settled"], 0);
  EXPECT_EQ(values["radius"], 0.5);
  EXPECT_EQ(values["alpha"], 1.5) << "the best point is measured first";
  EXPECT_DOUBLE_EQ(values["last_window_cost"], 5.0 / 20);
  w.window(5);
  EXPECT_EQ(w.report()["alpha"], 2);
}

}  // namespace
}  // namespace takt
