// Whole scenarios made ready to run: against the golden results of an independent implementation, and refused.
#include "sim/case.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>

#include "files/texts.hpp"
#include "sim/cost_tables.hpp"
#include "sim/csv.hpp"

namespace takt::sim {
namespace {

using namespace std::chrono_literals;
using test::expect_refused;
using test::read_whole;
using test::with;

const std::filesystem::path kRoot = TAKT_SOURCE_DIR;
const std::filesystem::path kGolden = kRoot / "tests/golden/scenarios";

CaseOptions options(std::optional<std::uint64_t> seed = {}, Duration duration = {}) {
  return {seed, duration, kRoot / "configs/costs", kRoot / "configs/moca"};
}

Case load(const std::filesystem::path& scenario, const CaseOptions& with_options) {
  const auto loaded = load_case(scenario, with_options);
  EXPECT_TRUE(loaded) << loaded.error().to_string();
  return loaded ? *loaded : Case{};
}

// Releases of root tasks as the golden trace tells them: time,task,frame.
std::string traced_releases(const Case& c, const std::string& trace) {
  std::ostringstream all;
  for (const CsvLine& line : csv_lines(trace)) {
    if (line.cells.at(1) != "release") continue;
    const auto task =
        std::find_if(c.tasks.begin(), c.tasks.end(), [&](const Task& t) { return t.name == line.cells[2]; });
    if (task != c.tasks.end() && task->parent < 0)
      all << line.cells[0] << ' ' << line.cells[2] << ' ' << line.cells[3] << '\n';
  }
  return all.str();
}

std::string releases(const Case& c) {
  std::ostringstream all;
  for (const Release& r : c.releases) all << to_ns(r.at) << ' ' << c.tasks[r.task].name << ' ' << r.frame << '\n';
  return all.str();
}

class Golden : public testing::TestWithParam<const char*> {};

TEST_P(Golden, ReleasesOfRootTasksAreThoseOfTheTrace) {
  const std::string name = GetParam();
  const Case c = load(kGolden / (name + ".xml"), options(7));
  EXPECT_EQ(releases(c), traced_releases(c, read_whole(kGolden / (name + ".edf.trace"))));
  EXPECT_GT(c.releases.size(), 15u);
}

TEST_P(Golden, LoadAndWorstEnergyAreThoseOfTheResult) {
  const std::string name = GetParam();
  const Case c = load(kGolden / (name + ".xml"), options(7));
  const nlohmann::json result = nlohmann::json::parse(read_whole(kGolden / (name + ".edf.json")));
  EXPECT_EQ(c.name, name);
  EXPECT_EQ(to_ns(c.duration), result["duration_ns"]);
  EXPECT_NEAR(c.load, result["load"], 1e-12 * c.load);
  ASSERT_EQ(c.tasks.size(), result["tasks"].size());
  for (std::size_t t = 0; t < c.tasks.size(); ++t) {
    const auto& task = result["tasks"][t];
    const double expected = task["released"].get<double>() * c.tasks[t].subnets[0].worst_energy_nj;
    EXPECT_EQ(expected, task["worst_energy_nj"]) << c.tasks[t].name;
  }
}

INSTANTIATE_TEST_SUITE_P(Scenarios, Golden, testing::Values("tiny", "synthetic"));

TEST(Case, HasTheSettingsOfTheFileUnlessTheOptionsSayOthers) {
  const std::string only_synthetic = with(with(with(read_whole(kRoot / "tests/golden/scenarios/synthetic.xml"),
                                                    "late=\"finish\"", "late=\"finish\" seed=\"3\" admission=\"on\""),
                                               "<platform>", "<platform memory_bandwidth=\"5e9\">"),
                                          "name=\"x1\"", "name=\"x1\" clock_ghz=\"2\" bandwidth=\"8\"");
  const test::Folder folder;
  const auto file = folder.put("s.xml", only_synthetic);
  const Case c = load(file, options());
  EXPECT_EQ(c.seed, 3u);
  EXPECT_EQ(c.duration, Duration{200ms});
  EXPECT_EQ(c.late, LateRule::finish);
  EXPECT_TRUE(c.admission);
  EXPECT_EQ(c.platform.memory_bandwidth, 5e9);
  EXPECT_EQ(c.platform.accelerators[1].clock_ghz, 2);
  EXPECT_EQ(c.platform.accelerators[1].bandwidth, 8);
  EXPECT_TRUE(c.platform.switch_costs);
  EXPECT_EQ(c.tasks[0].subnets[0].segments[0].on[1].time, Duration{1ms}) << "synthetic times know no clock";
  const Case other = load(file, options(4, 100ms));
  EXPECT_EQ(other.seed, 4u);
  EXPECT_EQ(other.duration, Duration{100ms});
  EXPECT_LT(other.releases.size(), c.releases.size());
}

TEST(Case, RatesOfChildrenAreTheRootsTimesAllProbabilities) {
  const test::Folder folder;
  const auto file = folder.put("s.xml",
                               "<scenario name=\"x\" duration=\"1s\"><platform><accelerator name=\"a\" type=\"any\"/>"
                               "</platform><task name=\"a\" cost=\"10ms\" period=\"40ms\" deadline=\"30ms\"/>"
                               "<task name=\"b\" cost=\"20ms\" after=\"a\" probability=\"0.5\"/>"
                               "<task name=\"c\" cost=\"40ms\" after=\"b\" probability=\"0.25\"/></scenario>");
  const Case c = load(file, options());
  EXPECT_EQ(c.tasks[0].rate, 25);
  EXPECT_EQ(c.tasks[1].rate, 12.5);
  EXPECT_EQ(c.tasks[2].rate, 3.125);
  EXPECT_EQ(c.tasks[2].relative_deadline, Duration{40ms});
  EXPECT_DOUBLE_EQ(c.load, 25 * 0.01 + 12.5 * 0.02 + 3.125 * 0.04);
  EXPECT_EQ(c.releases.size(), 25u) << "children are released by the run";
}

TEST(Case, OfMeasuredTilesHasNoSwitchCosts) {
  const test::Folder folder;
  const auto file = folder.put("s.xml",
                               "<scenario name=\"x\"><platform><accelerator name=\"a\" type=\"tiles_4\"/></platform>"
                               "<task name=\"a\" model=\"alexnet\" costs=\"moca\" noise=\"measured\" fps=\"10\">"
                               "</task></scenario>");
  const Case c = load(file, options());
  EXPECT_FALSE(c.platform.switch_costs);
  ASSERT_EQ(c.tasks[0].subnets[0].segments.size(), 8u);
  EXPECT_EQ(c.tasks[0].subnets[0].segments[1].on[0].time, Duration{233'769});
  EXPECT_EQ(c.tasks[0].subnets[0].segments[1].noise_factors[1], 859854.0 / 840125.0);
  EXPECT_EQ(c.tasks[0].noise, 0);
}

constexpr const char* kRequests =
    "<scenario name=\"r\" duration=\"10s\"><platform memory_bandwidth=\"16e9\"><accelerator name=\"a\" "
    "type=\"tiles_2\"/>"
    "<accelerator name=\"b\" type=\"tiles_4\"/></platform>\n<requests trace=\"trace_b.csv\" qos=\"H\"/></scenario>";

TEST(Requests, AreJobsOfTheirNetworksInTheOrderOfFirstAppearance) {
  const test::Folder folder;
  const Case c = load(folder.put("s.xml", kRequests), options());
  ASSERT_EQ(c.tasks.size(), 4u);
  EXPECT_EQ(c.tasks[0].name, "resnet");
  EXPECT_EQ(c.tasks[1].name, "alexnet");
  EXPECT_EQ(c.tasks[2].name, "yolonet");
  EXPECT_EQ(c.tasks[3].name, "googlenet");
  EXPECT_FALSE(c.platform.switch_costs);
  ASSERT_EQ(c.releases.size(), 250u);
  const Release& fifth = c.releases[4];  // 4,googlenet,0,6757491
  EXPECT_EQ(to_ns(fifth.at), 6'757'491);
  EXPECT_EQ(fifth.task, 3u);
  EXPECT_EQ(fifth.frame, 4u);
  EXPECT_EQ(fifth.weight, 1);
  EXPECT_EQ(to_ns(fifth.deadline - fifth.at), 26'640'000);  // 0.8 * 33.3 ms
  EXPECT_EQ(c.releases[0].weight, 9);
  EXPECT_EQ(c.tasks[2].relative_deadline, Duration{13'360us});
}

TEST(Requests, LoadIsTheirWorkOverTheSpanOfArrivals) {
  const test::Folder folder;
  const Case whole = load(folder.put("s.xml", kRequests), options());
  EXPECT_NEAR(whole.load, 0.78026432531323, 1e-12);
  EXPECT_NEAR(whole.tasks[0].rate, 73.27921223834258, 1e-9);
  const Case part = load(folder.path() / "s.xml", options({}, 50ms));
  EXPECT_EQ(part.releases.size(), 20u);
  EXPECT_NEAR(part.load, 0.8716189952750257, 1e-12);
  EXPECT_EQ(part.tasks.size(), 4u);
}

TEST(Requests, ATraceBesideTheScenarioWins) {
  const test::Folder folder;
  folder.put("trace_b.csv", "id,model,priority,arrival_cycles\n0,kwsnet,3,700\n1,kwsnet,11,500\n");
  const Case c = load(folder.put("s.xml", with(kRequests, "qos=\"H\"", "qos=\"L\"")), options());
  ASSERT_EQ(c.tasks.size(), 1u);
  EXPECT_EQ(releases(c), "500 kwsnet 1\n700 kwsnet 0\n");
  EXPECT_EQ(c.releases[0].weight, 12);
  EXPECT_EQ(c.tasks[0].relative_deadline, Duration{39'960us});
}

TEST(Requests, AreRefusedWithFileAndLine) {
  const test::Folder folder;
  const auto put = [&](const char* from, const char* to) { return folder.put("s.xml", with(kRequests, from, to)); };
  expect_refused(load_case(put("trace_b", "trace_d"), options()), 2, "requests trace", "does not exist");
  expect_refused(load_case(put("tiles_4", "ws_2048"), options()), 1, "accelerator type", "tile group");
  folder.put("trace_d.csv", "id,model,priority,arrival_cycles\n0,resnet,3,0\n1,vgg,3,700\n");
  const auto unknown = load_case(put("trace_b", "trace_d"), options());
  expect_refused(unknown, 3, "model", "'vgg' has no base latency target");
  EXPECT_EQ(unknown.error().file, (folder.path() / "trace_d.csv").string());
}

TEST(Case, IsRefusedWhereItsTablesAreWrong) {
  const test::Folder folder;
  const std::string good =
      "<scenario name=\"x\"><platform><accelerator name=\"a\"\n type=\"ws_2048\"/></platform>\n"
      "<task name=\"t\" model=\"resnet50\" fps=\"30\"/></scenario>";
  EXPECT_TRUE(load_case(folder.put("s.xml", good), options()));
  expect_refused(load_case(folder.put("s.xml", with(good, "resnet50", "resnet51")), options()), 3, "model",
                 "resnet51.csv does not exist");
  expect_refused(load_case(folder.put("s.xml", with(good, "ws_2048", "ws_204")), options()), 1, "accelerator type",
                 "'ws_204' has no columns");
  expect_refused(load_case(folder.put("s.xml", with(good, "fps=\"30\"", "period=\"1ns\"")), options()), 3, "task",
                 "too often");
  expect_refused(load_case(folder.path() / "none.xml", options()), 0, "", "does not exist");
}

TEST(Case, EveryShippedScenarioIsMadeReady) {
  CostTables tables;
  for (const auto& entry : std::filesystem::directory_iterator(kRoot / "configs/scenarios")) {
    if (entry.path().extension() != ".xml") continue;
    const auto c = load_case(entry.path(), options(), tables);
    ASSERT_TRUE(c) << c.error().to_string();
    EXPECT_FALSE(c->releases.empty()) << entry.path();
    EXPECT_GT(c->load, 0) << entry.path();
  }
}

TEST(Case, OfTheShippedLoadsHasTheLoadOfItsName) {
  // p9-2acc-1.5: costs are 1.5 * 2 / 0.826 of a load of 0.826 on one accelerator.
  EXPECT_NEAR(load(kRoot / "configs/scenarios/p9-2acc-1.5.xml", options()).load, 1.5, 1e-6);
  EXPECT_NEAR(load(kRoot / "configs/scenarios/p11-1acc-2.0.xml", options()).load, 2.0, 1e-6);
}

TEST(Case, ASweepReadsItsTablesOnce) {
  const test::Folder folder;
  std::filesystem::copy_file(kRoot / "configs/costs/resnet18.csv", folder.path() / "resnet18.csv");
  const auto file = folder.put("s.xml",
                               "<scenario name=\"x\"><platform><accelerator name=\"a\" type=\"ws_2048\"/></platform>"
                               "<task name=\"t\" model=\"resnet18\" fps=\"30\"/></scenario>");
  CaseOptions here = options();
  here.costs = folder.path();
  CostTables tables;
  ASSERT_TRUE(load_case(file, here, tables));
  std::filesystem::remove(folder.path() / "resnet18.csv");
  EXPECT_TRUE(load_case(file, here, tables));
}

}  // namespace
}  // namespace takt::sim
