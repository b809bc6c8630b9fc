// Devices that keep activations of jobs to themselves and take a second launch before the first has ended: null
// executors in that mode.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "support/live_client.hpp"
#include "support/live_service.hpp"
#include "support/program.hpp"

namespace takt::testing {
namespace {

// A variable of the environment of what is started in its scope.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~Environment() { set(before_ ? before_->c_str() : nullptr); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  void set(const char* value) { value != nullptr ? ::setenv(name_, value, 1) : ::unsetenv(name_); }
  const char* name_;
  std::optional<std::string> before_;
};

nlohmann::json status(const LiveService& service) {
  const Said said = run_program("taktctl status --socket " + (service.folder() / "run/status.sock").string());
  EXPECT_EQ(said.status, 0) << said.text;
  return nlohmann::json::parse(said.text, nullptr, false);
}

std::size_t events(const LiveService& service, const std::string& kind) {
  std::size_t n = 0;
  for (const std::string& line : service.trace()) n += line.find("," + kind + ",") != std::string::npos;
  return n;
}

// The first bytes of every result that came are those of its frame.
void expect_own_results(const LiveClient& app) {
  for (const auto& [key, seen] : app.answers) {
    if (seen.verdicts[0] != TAKT_DONE && seen.verdicts[0] != TAKT_LATE) continue;
    std::uint64_t echo = 0;
    ASSERT_EQ(seen.echo.size(), sizeof echo);
    std::memcpy(&echo, seen.echo.data(), sizeof echo);
    ASSERT_EQ(echo, key.second);
  }
}

NullModel model_of_five() {
  return {.segments = {"one", "two", "three", "four", "five"}, .cost_us = "400"};
}

TEST(OwnActivations, EveryFrameIsAnsweredOnceWithItsResultWhenAnExecutorIsKilledWithJobsMidWay) {
  const Environment device("TAKT_NULL_DEVICE", "1");
  LiveService service({model_of_five()});
  service.start();
  LiveClient app(service.socket());
  // Urgent frames come between the segments of patient ones: these wait mid-way, with what they have in slots.
  takt_stream* patient = app.open(LiveClient::config(9'000, 32));
  takt_stream* urgent = app.open(LiveClient::config(4'000, 4));
  constexpr std::uint64_t kFrames = 600;
  for (std::uint64_t tag = 1; tag <= kFrames; ++tag) {
    if (tag == 200 || tag == 400) {
      ASSERT_TRUE(eventually([&] { return service.executors_up() == 2; }));
      ::kill(service.executors().at(0), SIGKILL);
    }
    while (app.submit(tag % 2 == 0 ? urgent : patient, tag) == TAKT_E_NO_CREDIT) app.take(1);
  }
  ASSERT_TRUE(app.await(kFrames));
  EXPECT_TRUE(app.each_once());
  // A job that is lost a second time is an error; everything else begins again and is done.
  EXPECT_EQ(app.count(TAKT_DONE) + app.count(TAKT_ERROR), kFrames);
  EXPECT_LE(app.count(TAKT_ERROR), 8U);
  expect_own_results(app);
  EXPECT_EQ(events(service, "down"), 2U);
  EXPECT_TRUE(eventually([&] { return service.executors_up() == 2; }));
  ASSERT_EQ(app.submit(patient, 1000), 0);
  ASSERT_TRUE(app.await(kFrames + 1));
  EXPECT_EQ((app.answers[{patient, 1000}].verdicts[0]), TAKT_DONE);
}

// As the demo does it: a hard stream beside soft load that asks for more than there is, and an executor killed on the
// way.
TEST(OwnActivations, HardFramesBesideSaturatingLoadAreAnsweredThroughTheLossOfAnExecutor) {
  const Environment device("TAKT_NULL_DEVICE", "1");
  LiveService service({model_of_five()});
  service.start();
  LiveClient camera(service.socket()), load(service.socket());
  takt_stream_config c = LiveClient::config(60);
  c.criticality = TAKT_HARD;
  c.period_ns = 20'000'000;
  takt_admission admission;
  takt_stream* hard = camera.open(c, &admission);
  ASSERT_EQ(admission.outcome, takt_admission::TAKT_ACCEPTED);
  takt_stream* soft = load.open(LiveClient::config(300));
  std::size_t hard_frames = 0, soft_frames = 0;
  std::int64_t next = takt_now_ns();
  for (std::uint64_t tag = 1; tag <= 100; ++tag) {
    if (tag == 40) ::kill(service.executors().at(0), SIGKILL);
    if (camera.submit(hard, tag) == 0) ++hard_frames;
    next += 20'000'000;
    while (takt_now_ns() < next) {
      while (load.submit(soft, 1000 + soft_frames) == 0) ++soft_frames;
      load.take(1);
      camera.take(1);
    }
  }
  ASSERT_TRUE(camera.await(hard_frames));
  ASSERT_TRUE(load.await(soft_frames));
  EXPECT_TRUE(camera.each_once());
  EXPECT_TRUE(load.each_once());
  expect_own_results(camera);
  expect_own_results(load);
  EXPECT_GE(camera.count(TAKT_DONE), hard_frames / 2);
  EXPECT_GT(load.count(TAKT_DONE), 100U);
  EXPECT_GE(events(service, "down"), 1U);
}

TEST(OwnActivations, AnExecutorThatIsNotAsConfiguredIsRefusedWithWhatToWrite) {
  for (const bool own : {false, true}) {
    const Environment device("TAKT_NULL_DEVICE", own ? "1" : "0");
    LiveService service({NullModel{}}, 1, "", R"(class="soft" memory="64MiB")",
                        {.device = own ? "" : R"(activations="own")"});
    service.keep_log();
    service.start({}, 0);
    const std::string wanted = own ? R"(activations="own">)" : R"(activations="shared">)";
    EXPECT_TRUE(eventually([&] { return service.log().find(wanted) != std::string::npos; })) << service.log();
    EXPECT_TRUE(eventually([&] { return service.executors().empty(); }));
    EXPECT_TRUE(service.running());
    EXPECT_EQ(events(service, "up"), 0U);
  }
}

TEST(OwnActivations, StatusShowsWhatWasGrantedAndHowTheDeviceIs) {
  const Environment device("TAKT_NULL_DEVICE", "1"), others("TAKT_NULL_OTHERS", "2");
  LiveService service({NullModel{}}, 2, "", R"(class="soft" memory="64MiB")", {.accelerator = R"(sms="1000")"});
  service.keep_log();
  service.start();
  nlohmann::json now;
  ASSERT_TRUE(eventually([&] {
    now = status(service);
    return now["accelerators"][0].contains("device") && now["accelerators"][1].contains("device");
  })) << now;
  const nlohmann::json& first = now["accelerators"][0];
  EXPECT_EQ(first["sms"], 128);
  EXPECT_EQ(first["note"], "it has 128 multiprocessors, 1000 were asked for");
  EXPECT_EQ(first["device"]["power_w"], 100);
  EXPECT_EQ(first["device"]["temperature_c"], 40);
  EXPECT_EQ(first["device"]["others"], 2);
  EXPECT_EQ(first["device"]["disturbed"], false) << "nothing ran yet";
  EXPECT_EQ(first["device"]["throttled"], false);
  EXPECT_FALSE(first["device"].contains("busy")) << "what is not known is left out";
  LiveClient app(service.socket());
  takt_stream* s = app.open(LiveClient::config());
  std::uint64_t tag = 0;
  ASSERT_TRUE(eventually([&] {
    if (app.submit(s, ++tag) != 0) app.take(5);
    if (tag % 50 != 0) return false;
    now = status(service)["accelerators"];
    return now[0]["device"]["disturbed"] == true || now[1]["device"]["disturbed"] == true;
  }));
  // What was not in time was dropped, so it may be that only one of the two ran.
  EXPECT_GT(std::max(now[0]["device"].value("pace", 0.0), now[1]["device"].value("pace", 0.0)), 2.5);
  EXPECT_NE(service.log().find("2 other processes use its device"), std::string::npos);
  EXPECT_NE(service.log().find("times their profile while 2 others"), std::string::npos);
  EXPECT_NE(service.log().find("128 multiprocessors granted"), std::string::npos);
}

TEST(OwnActivations, StatusSaysNothingOfDevicesThatMeasureNothing) {
  const Environment device("TAKT_NULL_DEVICE", "0");
  LiveService service({NullModel{}}, 1, "", R"(class="soft" memory="64MiB")", {.device = ""});
  service.start();
  const nlohmann::json now = status(service)["accelerators"][0];
  EXPECT_EQ(now["sms"], 0);
  EXPECT_EQ(now["note"], "");
  EXPECT_FALSE(now.contains("device"));
}

}  // namespace
}  // namespace takt::testing
