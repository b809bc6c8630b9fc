// A trace that taktd wrote with null executors, through takt-sim replay: with the policy it ran, and with another one.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/live_client.hpp"
#include "support/live_service.hpp"
#include "support/program.hpp"

namespace takt::testing {
namespace {

nlohmann::json replayed(const LiveService& service, const std::string& policy) {
  const Said said = run_program("takt-sim replay --recorded " + (service.folder() / "run/trace.csv").string() +
                                " --config " + (service.folder() / "takt.xml").string() + " --policy " + policy);
  EXPECT_EQ(said.status, 0) << said.text;
  return nlohmann::json::parse(said.text, nullptr, false);
}

double hit_rate(const nlohmann::json& task) {
  return task["on_time"].get<double>() / task["released"].get<double>();
}

struct Paced {
  takt_stream* stream = nullptr;
  std::int64_t period_ns = 0, next_ns = 0;
};

// Two streams in open loop for two seconds, their load together 1.1: jobs of 10 ms every 25 and every 14 ms. First come
// first served lets the queue of the second one grow until it is as long as its deadline, so that the first one always
// is late.
void overload(LiveService& service) {
  LiveClient app(service.socket());
  constexpr std::int64_t kMs = 1'000'000;
  takt_stream_config tight = LiveClient::config(25, 16), loose = LiveClient::config(300, 40);
  tight.name = "tight";
  loose.name = "loose";
  const std::int64_t begin = takt_now_ns();
  std::array<Paced, 2> streams{{{app.open(tight), 25 * kMs, begin}, {app.open(loose), 14 * kMs, begin}}};
  std::uint64_t tag = 0;
  std::size_t accepted = 0;
  while (takt_now_ns() < begin + 2000 * kMs) {
    for (Paced& s : streams)
      for (; s.next_ns <= takt_now_ns(); s.next_ns += s.period_ns) accepted += app.submit(s.stream, ++tag) == 0;
    app.take(1);
  }
  ASSERT_TRUE(app.await(accepted));
}

class RecordedService : public LiveService {
 public:
  RecordedService()
      : LiveService({NullModel{.cost_us = "5000", .batches = {1}}}, 1, "", R"(class="soft" memory="64MiB")",
                    {.service = R"(policy="edf+drop" max_jobs="256")"}) {
    start();
    overload(*this);
    stop(SIGTERM);
  }
};

TEST(Replay, GivesAboutTheSameHitRateWithThePolicyThatRanAndAnotherOneWithAnother) {
  const RecordedService service;
  const nlohmann::json same = replayed(service, "edf+drop"), other = replayed(service, "fcfs");
  ASSERT_EQ(same["recorded"]["tasks"].size(), 2u) << same;
  EXPECT_EQ(same["recorded"]["tasks"][0]["name"], "tight");
  EXPECT_GE(same["recorded"]["released"], 100);
  EXPECT_EQ(same["recorded"], other["recorded"]);
  EXPECT_NEAR(same["sla"].get<double>(), same["recorded"]["hit_rate"].get<double>(), 0.1);
  EXPECT_NEAR(hit_rate(same["tasks"][0]), hit_rate(same["recorded"]["tasks"][0]), 0.15);
  EXPECT_LT(hit_rate(other["tasks"][0]), hit_rate(same["tasks"][0]) - 0.3);
}

TEST(Replay, TellsStreamsOfTheSameNameApart) {
  LiveService service({NullModel{}}, 1);
  service.start();
  {
    LiveClient first(service.socket()), second(service.socket());
    takt_stream_config c = LiveClient::config();
    c.name = "camera";
    takt_stream *a = first.open(c), *b = second.open(c);
    ASSERT_EQ(first.submit(a, 1), 0);
    ASSERT_EQ(second.submit(b, 1), 0);
    ASSERT_TRUE(first.await(1));
    ASSERT_TRUE(second.await(1));
  }
  service.stop(SIGTERM);
  const nlohmann::json tasks = replayed(service, "edf")["recorded"]["tasks"];
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_NE(tasks[0]["name"], tasks[1]["name"]);
  EXPECT_EQ(tasks[0]["on_time"], 1);
  EXPECT_EQ(tasks[1]["on_time"], 1);
}

}  // namespace
}  // namespace takt::testing
