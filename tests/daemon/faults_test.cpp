// What is promised when executors, the broker or clients die, with real processes.
#include <gtest/gtest.h>

#include <algorithm>

#include "support/live_client.hpp"
#include "support/live_service.hpp"

namespace takt::testing {
namespace {

TEST(Faults, AnswersEveryFrameOnceWhenAnExecutorIsKilledAndServesOnBothAgain) {
  LiveService service;
  service.start();
  LiveClient app(service.socket());
  takt_stream* s = app.open(LiveClient::config());
  std::size_t accepted = 0;
  for (std::uint64_t tag = 1; tag <= 300; ++tag) {
    if (tag == 100) ::kill(service.executors().at(0), SIGKILL);
    while (app.submit(s, tag) == TAKT_E_NO_CREDIT) app.take(10);
    ++accepted;
  }
  ASSERT_TRUE(app.await(accepted));
  EXPECT_TRUE(app.each_once());
  EXPECT_EQ(app.count(TAKT_DONE), 300u);
  EXPECT_TRUE(eventually([&] { return service.executors_up() == 2; }));
}

TEST(Faults, AnswersErrorForAFrameThatLosesItsExecutorTwice) {
  LiveService service({NullModel{.name = "plain", .segments = {"crash", "back"}, .cost_us = "500", .batches = {1}}}, 2);
  service.start();
  LiveClient app(service.socket());
  takt_stream* s = app.open(LiveClient::config(8000));
  ASSERT_EQ(app.submit(s, 1), 0);
  ASSERT_TRUE(app.await(1));
  EXPECT_EQ(app.count(TAKT_ERROR), 1u);
}

TEST(Faults, KeepsAnExecutorOffThatDiesOfEveryJob) {
  LiveService service({NullModel{.name = "plain", .segments = {"crash", "back"}, .cost_us = "500", .batches = {1}}}, 1);
  service.start();
  LiveClient app(service.socket());
  takt_stream* s = app.open(LiveClient::config(1000));
  std::uint64_t tag = 0;
  const auto deaths = [&] {
    const auto lines = service.trace();
    return std::count_if(lines.begin(), lines.end(), [](const std::string& l) { return l.find(",down,") != std::string::npos; });
  };
  ASSERT_TRUE(eventually([&] {
    if (app.submit(s, tag + 1) == 0) ++tag;
    app.take(20);
    return deaths() >= 3;
  }));
  ASSERT_TRUE(app.await(tag));
  EXPECT_TRUE(app.each_once());
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // it would have been started after 80
  EXPECT_EQ(deaths(), 3);
  EXPECT_TRUE(service.executors().empty());
  EXPECT_TRUE(service.running());
}

TEST(Faults, AnswersErrorForAFailingSegmentAndGoesOn) {
  LiveService service({NullModel{.name = "plain", .segments = {"fail", "back"}, .cost_us = "500", .batches = {1}},
                       NullModel{.name = "good"}}, 1);
  service.start();
  LiveClient app(service.socket());
  takt_stream* s = app.open(LiveClient::config());
  takt_stream_config c = LiveClient::config();
  c.model = "good";
  takt_stream* good = app.open(c);
  ASSERT_EQ(app.submit(s, 1), 0);
  ASSERT_EQ(app.submit(good, 2), 0);
  ASSERT_TRUE(app.await(2));
  EXPECT_EQ((app.answers[{s, 1}].verdicts[0]), TAKT_ERROR);
  EXPECT_EQ((app.answers[{good, 2}].verdicts[0]), TAKT_DONE);
}

TEST(Faults, KeepsExecutorsAndResumesSessionsWhenTheBrokerIsKilled) {
  NullModel slow;
  slow.cost_us = "50000";
  LiveService service({slow});
  service.start();
  const auto before = service.executors();
  LiveClient app(service.socket());
  takt_stream* s = app.open(LiveClient::config(9000));
  const std::uint64_t generation = takt_generation(app.get());
  for (std::uint64_t tag = 1; tag <= 6; ++tag) ASSERT_EQ(app.submit(s, tag), 0);
  EXPECT_EQ(service.stop(SIGKILL), 128 + SIGKILL);
  service.start();
  EXPECT_EQ(service.executors(), before);
  ASSERT_TRUE(app.await(6));
  EXPECT_TRUE(app.each_once());
  EXPECT_GE(app.count(TAKT_RESTARTED), 4u);  // all but what was done before the kill
  EXPECT_EQ(app.count(TAKT_RESTARTED) + app.count(TAKT_DONE), 6u);
  ASSERT_TRUE(eventually([&] {
    app.take(10);
    return takt_is_connected(app.get()) != 0 && app.submit(s, 100) == 0;
  }));
  EXPECT_NE(takt_generation(app.get()), generation);
  ASSERT_TRUE(app.await(7));
  EXPECT_EQ((app.answers[{s, 100}].verdicts[0]), TAKT_DONE);
}

TEST(Faults, ForgetsAClientThatDiesWithFramesInFlight) {
  NullModel slow;
  slow.cost_us = "20000";
  LiveService service({slow}, 1, "", R"(class="soft" memory="64MiB" sessions="2")");
  service.start();
  for (int round = 0; round < 5; ++round) {
    LiveClient app(service.socket());
    takt_stream* s = app.open(LiveClient::config(9000));
    for (std::uint64_t tag = 1; tag <= 4; ++tag) ASSERT_EQ(app.submit(s, tag), 0);
  }
  LiveClient app(service.socket());
  takt_stream* s = app.open(LiveClient::config(9000));
  ASSERT_EQ(app.submit(s, 1), 0);
  ASSERT_TRUE(app.await(1));
  EXPECT_EQ(app.count(TAKT_DONE), 1u);
}

TEST(Faults, SaysMissedWithoutAResultWhenTheDeadlinePasses) {
  NullModel slow;
  slow.cost_us = "30000";
  LiveService service({slow}, 1);
  service.start();
  LiveClient app(service.socket());
  takt_stream* s = app.open(LiveClient::config(9000));
  ASSERT_EQ(app.submit(s, 1, takt_now_ns() - 1), 0);
  ASSERT_TRUE(app.await(1));
  EXPECT_TRUE(app.count(TAKT_MISSED) == 1u || app.count(TAKT_DROPPED) == 1u);
  EXPECT_TRUE((app.answers[{s, 1}].echo.empty()));
}

}  // namespace
}  // namespace takt::testing
