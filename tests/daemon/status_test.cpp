// The status as an operator sees it: taktctl asks a taktd with null executors.
#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "support/live_client.hpp"
#include "support/live_service.hpp"
#include "support/program.hpp"

namespace takt::testing {
namespace {

nlohmann::json status(const LiveService& service) {
  const Said said = run_program("taktctl status --socket " + (service.folder() / "run/status.sock").string());
  EXPECT_EQ(said.status, 0) << said.text;
  return nlohmann::json::parse(said.text, nullptr, false);
}

TEST(Status, ShowsTheWeightsOfSdrm3AndTheStepsOfItsTuner) {
  LiveService service;
  service.start({"--policy", "sdrm3:full", "--set", "window_ms=20", "--set", "beta=0.5"});
  const nlohmann::json before = status(service);
  EXPECT_EQ(before["policy"]["name"], "sdrm3:full");
  EXPECT_EQ(before["policy"]["settings"], (nlohmann::json{"window_ms=20", "beta=0.5"}));
  EXPECT_EQ(before["policy"]["values"]["alpha"], 1);
  EXPECT_EQ(before["policy"]["values"]["beta"], 0.5);
  EXPECT_EQ(before["policy"]["values"]["steps"], 0);
  LiveClient app(service.socket());
  takt_stream* s = app.open(LiveClient::config());
  std::uint64_t tag = 0;
  nlohmann::json now;
  // Frames until the tuner has seen enough windows to halve its radius or to accept a move.
  ASSERT_TRUE(eventually([&] {
    if (app.submit(s, ++tag) == TAKT_E_NO_CREDIT) app.take(5);
    if (tag % 50 != 0) return false;
    now = status(service);
    return now["policy"]["values"]["steps"] >= 1;
  }));
  const nlohmann::json& values = now["policy"]["values"];
  EXPECT_GE(values["windows"], 2);
  EXPECT_GT(values["last_window_cost"], 0) << "without measured energy it is the time at a nominal power";
  EXPECT_TRUE(values["radius"] < 0.5 || values["best_alpha"] != 1 || values["best_beta"] != 0.5);
  EXPECT_GE(now["frames"]["done"], 1);
  EXPECT_EQ(now["streams"], 1);
}

TEST(Status, ShowsFramesAndAcceleratorsOfAPolicyThatTellsNothing) {
  LiveService service;
  service.start();
  LiveClient app(service.socket());
  takt_stream* s = app.open(LiveClient::config());
  ASSERT_EQ(app.submit(s, 1), 0);
  ASSERT_TRUE(app.await(1));
  const nlohmann::json now = status(service);
  EXPECT_EQ(now["policy"]["values"], nlohmann::json::object());
  EXPECT_EQ(now["frames"]["released"], 1);
  EXPECT_EQ(now["frames"]["done"], 1);
  ASSERT_EQ(now["accelerators"].size(), 2u);
  EXPECT_EQ(now["accelerators"][1]["name"], "a1");
  EXPECT_EQ(now["accelerators"][1]["up"], true);
  EXPECT_GT(now["accelerators"][1]["pace"], 0);
}

TEST(Status, IsToldToManyAtOnce) {
  LiveService service;
  service.start();
  const std::string ask = "taktctl status --socket " + (service.folder() / "run/status.sock").string();
  std::vector<std::thread> asking;
  std::atomic<int> told = 0;
  for (int i = 0; i < 8; ++i)
    asking.emplace_back([&] {
      for (int n = 0; n < 5; ++n) told += run_program(ask).status == 0;
    });
  for (std::thread& t : asking) t.join();
  EXPECT_EQ(told, 40);
}

TEST(Status, RefusesAPolicyOrSettingThatDoesNotExist) {
  LiveService service;
  const std::string taktd = "taktd --check-config --config " + (service.folder() / "takt.xml").string();
  EXPECT_EQ(run_program(taktd + " --policy sdrm3:full --set window_ms=250").status, 0);
  const Said variant = run_program(taktd + " --policy sdrm3:wings"),
             setting = run_program(taktd + " --policy sdrm3 --set gamma=1");
  EXPECT_EQ(variant.status, 64);
  EXPECT_NE(variant.text.find("wings"), std::string::npos);
  EXPECT_EQ(setting.status, 64);
  EXPECT_NE(setting.text.find("gamma"), std::string::npos);
}

TEST(Status, TakesSettingsFromTheConfiguration) {
  LiveService service({NullModel{}}, 1, "", R"(class="soft" memory="64MiB")",
                      {.service = R"(policy="sdrm3:full" policy_settings="window_ms=250 alpha=0.5" max_jobs="256")"});
  service.start();
  EXPECT_EQ(status(service)["policy"]["values"]["alpha"], 0.5);
  EXPECT_EQ(run_program("taktctl status --socket " + (service.folder() / "run/nobody.sock").string()).status, 1);
}

}  // namespace
}  // namespace takt::testing
