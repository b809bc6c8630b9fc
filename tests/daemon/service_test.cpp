// The whole chain with the null driver: client library, taktd, takt-exec and back.
#include <gtest/gtest.h>

#include <set>

#include "support/live_client.hpp"
#include "support/live_service.hpp"

namespace takt::testing {
namespace {

TEST(Service, AnswersEveryFrameOnceWithItsOwnResult) {
  LiveService service;
  service.start();
  LiveClient app(service.socket());
  takt_stream* s = app.open(LiveClient::config());
  std::size_t accepted = 0;
  for (std::uint64_t tag = 1; tag <= 200; ++tag) {
    while (app.submit(s, tag) == TAKT_E_NO_CREDIT) app.take(10);
    ++accepted;
  }
  ASSERT_TRUE(app.await(accepted));
  EXPECT_TRUE(app.each_once());
  EXPECT_EQ(app.count(TAKT_DONE), 200u);
  for (const auto& [key, seen] : app.answers) {
    std::uint64_t echo = 0;
    ASSERT_EQ(seen.echo.size(), sizeof echo);
    std::memcpy(&echo, seen.echo.data(), sizeof echo);
    EXPECT_EQ(echo, key.second);
  }
}

TEST(Service, LetsFramesOfTwoClientsShareABatch) {
  NullModel slow;
  slow.cost_us = "200000";  // long against the trace's delay
  LiveService service({slow}, 1);
  service.start();
  LiveClient first(service.socket()), second(service.socket());
  takt_stream* a = first.open(LiveClient::config(5000));
  takt_stream* b = second.open(LiveClient::config(5000));
  // While the first frame occupies the accelerator, one of each client comes to wait for the same segment.
  ASSERT_EQ(first.submit(a, 1), 0);
  ASSERT_TRUE(eventually([&] {
    for (const std::string& line : service.trace())
      if (line.find(",start,") != std::string::npos) return true;
    return false;
  }));
  ASSERT_EQ(first.submit(a, 2), 0);
  ASSERT_EQ(second.submit(b, 3), 0);
  ASSERT_TRUE(first.await(2));
  ASSERT_TRUE(second.await(1));
  EXPECT_GE((first.answers[{a, 2}].largest_batch), 2u);
  EXPECT_GE((second.answers[{b, 3}].largest_batch), 2u);
}

TEST(Service, AdmitsAHardStreamAndRefusesOneTooManyWithWhatWouldFit) {
  NullModel model;
  model.cost_us = "2000";
  LiveService service({model}, 1);
  service.start();
  LiveClient app(service.socket());
  takt_stream_config c = LiveClient::config(20);
  c.criticality = TAKT_HARD;
  c.period_ns = 20'000'000;
  takt_admission admission;
  takt_stream* s = app.open(c, &admission);
  ASSERT_NE(s, nullptr);
  EXPECT_EQ(admission.outcome, takt_admission::TAKT_ACCEPTED);
  EXPECT_STREQ(admission.accelerator, "a0");
  EXPECT_GT(admission.bound_ns, 0);
  c.period_ns = 5'000'000;
  c.relative_deadline_ns = 18'000'000;
  takt_stream* too_much = nullptr;
  EXPECT_EQ(takt_stream_open(app.get(), &c, &too_much, &admission), TAKT_E_NOT_ADMITTED);
  EXPECT_EQ(admission.outcome, takt_admission::TAKT_REFUSED);
  ASSERT_GT(admission.feasible_period_ns, c.period_ns);
  c.period_ns = admission.feasible_period_ns;
  EXPECT_EQ(takt_stream_open(app.get(), &c, &too_much, &admission), 0) << takt_last_error(app.get());
}

TEST(Service, KeepsAHardStreamAsItWasWhenAnUpdateIsRefused) {
  NullModel model;
  model.cost_us = "2000";
  LiveService service({model}, 1);
  service.start();
  LiveClient app(service.socket());
  takt_stream_config c = LiveClient::config(20);
  c.criticality = TAKT_HARD;
  c.period_ns = 20'000'000;
  takt_stream* s = app.open(c);
  takt_admission admission;
  c.period_ns = 1'000'000;
  EXPECT_EQ(takt_stream_update(s, &c, &admission), TAKT_E_NOT_ADMITTED);
  c.period_ns = 15'000'000;
  EXPECT_EQ(takt_stream_update(s, &c, &admission), 0) << takt_last_error(app.get());
  ASSERT_EQ(app.submit(s, 1), 0);
  ASSERT_TRUE(app.await(1));
  EXPECT_EQ(app.count(TAKT_DONE), 1u);
}

TEST(Service, SupersedesWaitingFramesOfANewestWinsStream) {
  NullModel slow;
  slow.cost_us = "50000";
  LiveService service({slow}, 1);
  service.start();
  LiveClient app(service.socket());
  takt_stream_config c = LiveClient::config(5000);
  c.queue = TAKT_QUEUE_NEWEST_WINS;
  takt_stream* s = app.open(c);
  for (std::uint64_t tag = 1; tag <= 6; ++tag) ASSERT_EQ(app.submit(s, tag), 0);
  ASSERT_TRUE(app.await(6));
  EXPECT_TRUE(app.each_once());
  EXPECT_GE(app.count(TAKT_SUPERSEDED), 4u);
  EXPECT_EQ((app.answers[{s, 6}].verdicts[0]), TAKT_DONE);
}

TEST(Service, ReleasesACascadeChildOnlyWhenItsPredicateHolds) {
  LiveService service;
  service.start();
  LiveClient app(service.socket());
  takt_stream* parent = app.open(LiveClient::config());
  takt_stream_config c = LiveClient::config();
  c.parent = parent;
  c.trigger_metric = "first";
  c.trigger_less = 1;
  c.trigger_threshold = 0.5F;
  takt_stream* child = app.open(c);
  // The null driver's metric is the first byte over 255.
  ASSERT_EQ(app.submit(parent, 0x01), 0);
  ASSERT_EQ(app.submit(parent, 0xfe), 0);
  ASSERT_TRUE(app.await(3));
  EXPECT_EQ((app.answers.count({child, 0x01})), 1u);
  EXPECT_EQ((app.answers.count({child, 0xfe})), 0u);
  EXPECT_EQ((app.answers[{child, 0x01}].echo[0]), 0x01);
  EXPECT_TRUE(app.each_once());
}

TEST(Service, OpensAStreamByThePresetOfTheConfiguration) {
  LiveService service({NullModel{}}, 1, R"(<stream name="camera" model="plain" period="33ms" deadline="100ms"/>)");
  service.start();
  LiveClient app(service.socket());
  takt_stream_config c;
  takt_stream_config_init(&c);
  c.preset = "camera";
  c.model = "plain";
  takt_stream* s = app.open(c);
  ASSERT_EQ(app.submit(s, 7), 0);
  ASSERT_TRUE(app.await(1));
  EXPECT_EQ(app.count(TAKT_DONE), 1u);
}

TEST(Service, RefusesAClassThatTheListenerDoesNotAllow) {
  LiveService service({NullModel{}}, 1, "", R"(class="soft" memory="64MiB")");
  service.start();
  LiveClient app(service.socket());
  takt_stream_config c = LiveClient::config(20);
  c.criticality = TAKT_HARD;
  c.period_ns = 20'000'000;
  takt_stream* s = nullptr;
  EXPECT_EQ(takt_stream_open(app.get(), &c, &s, nullptr), TAKT_E_DENIED);
}

TEST(Service, CountsStreamsOfOneUserOverAllItsSessions) {
  LiveService service({NullModel{}}, 1, "", R"(class="soft" memory="64MiB" sessions="3" streams="2")");
  service.start();
  LiveClient first(service.socket()), second(service.socket());
  first.open(LiveClient::config());
  second.open(LiveClient::config());
  const takt_stream_config c = LiveClient::config();
  takt_stream* s = nullptr;
  EXPECT_EQ(takt_stream_open(first.get(), &c, &s, nullptr), TAKT_E_LIMIT);
  EXPECT_NE(std::string(takt_last_error(first.get())).find("limit"), std::string::npos);
}

TEST(Service, EndsOnSigtermWithStatusZeroAndTakesItsExecutorsAlong) {
  LiveService service;
  service.start();
  EXPECT_EQ(service.executors().size(), 2u);
  EXPECT_EQ(service.stop(SIGTERM), 0);
  EXPECT_TRUE(eventually([&] { return service.executors().empty(); }));
}

}  // namespace
}  // namespace takt::testing
