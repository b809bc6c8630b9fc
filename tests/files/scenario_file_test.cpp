// Scenario files: read as written, with the defaults of the format, and refused with line and key.
#include "files/scenario_file.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <tuple>

#include "files/texts.hpp"

namespace takt::files {
namespace {

using namespace std::chrono_literals;
using test::expect_refused;
using test::line_of;
using test::sample;
using test::with;

Parsed<Scenario> parse(const std::string& xml) {
  return parse_scenario(xml, "s.xml");
}

Scenario parse_good(const std::string& xml) {
  const auto scenario = parse(xml);
  EXPECT_TRUE(scenario) << scenario.error().to_string();
  return scenario ? *scenario : Scenario{};
}

// A scenario of these tasks on one accelerator.
std::string of_tasks(const std::string& tasks) {
  return "<scenario name=\"x\"><platform><accelerator name=\"a\" type=\"any\"/></platform>\n" + tasks + "\n</scenario>";
}

TEST(Scenario, IsReadAsWritten) {
  const Scenario scenario = parse_good(sample("scenario.xml"));
  EXPECT_EQ(scenario.name, "every attribute");
  EXPECT_EQ(scenario.duration, Duration{2s});
  EXPECT_EQ(scenario.late, LateRule::finish);
  EXPECT_EQ(scenario.granularity, Granularity::block);
  EXPECT_TRUE(scenario.admission);
  EXPECT_EQ(scenario.seed, 9u);
  EXPECT_EQ(scenario.memory_bandwidth, 6e9);
  ASSERT_EQ(scenario.accelerators.size(), 2u);
  EXPECT_EQ(scenario.accelerators[0].type, "ws_2048");
  EXPECT_EQ(scenario.accelerators[0].clock_ghz, 0.7);
  EXPECT_EQ(scenario.accelerators[0].bandwidth, 24);
  EXPECT_EQ(scenario.accelerators[1].line, 5);
  ASSERT_EQ(scenario.tasks.size(), 10u);
  EXPECT_FALSE(scenario.requests);

  const ScenarioTask& gaze = scenario.tasks[0];
  EXPECT_EQ(gaze.period, Duration{16'666'667ns});
  EXPECT_EQ(gaze.relative_deadline, gaze.period);
  EXPECT_EQ(gaze.jitter, Duration{1ms});
  EXPECT_EQ(gaze.noise.spread, 0.05);
  ASSERT_EQ(gaze.subnets.size(), 1u);
  EXPECT_EQ(gaze.subnets[0].name, "fbnet_c_gaze");
  EXPECT_EQ(gaze.subnets[0].accuracy, 71.5);
  const ScenarioTask& hand = scenario.tasks[1];
  EXPECT_EQ(hand.relative_deadline, Duration{30ms});
  EXPECT_EQ(hand.offset, Duration{2ms});
  EXPECT_EQ(hand.criticality, Criticality::hard);
  EXPECT_EQ(hand.weight, 2.5);
  EXPECT_EQ(scenario.tasks[5].skip, 0.5);
  EXPECT_EQ(scenario.tasks[9].costs, CostSource::measured);
  EXPECT_TRUE(scenario.tasks[9].noise.measured);
}

TEST(Scenario, HasTheDefaultsOfTheFormat) {
  const Scenario scenario = parse_good(of_tasks("<task name=\"t\" model=\"m\" fps=\"30\"/>"));
  EXPECT_EQ(scenario.duration, Duration{10s});
  EXPECT_EQ(scenario.late, LateRule::abort);
  EXPECT_EQ(scenario.granularity, Granularity::layer);
  EXPECT_FALSE(scenario.admission);
  EXPECT_EQ(scenario.seed, 1u);
  EXPECT_EQ(scenario.memory_bandwidth, 0);
  EXPECT_EQ(scenario.accelerators[0].clock_ghz, 1);
  EXPECT_EQ(scenario.accelerators[0].bandwidth, 64);
  const ScenarioTask& task = scenario.tasks[0];
  EXPECT_EQ(task.parent, -1);
  EXPECT_EQ(task.probability, 1);
  EXPECT_EQ(task.period, Duration{33'333'333ns});
  EXPECT_EQ(task.offset + task.jitter + task.segment, Duration{0});
  EXPECT_EQ(task.noise.spread + task.skip + task.subnets[0].accuracy, 0);
  EXPECT_FALSE(task.noise.measured);
  EXPECT_EQ(task.criticality, Criticality::soft);
  EXPECT_EQ(task.weight, 1);
  EXPECT_EQ(task.costs, CostSource::tables);
}

TEST(Scenario, ChildrenTakePeriodAndDeadlineFromTheRootTask) {
  const Scenario scenario = parse_good(sample("scenario.xml"));
  const ScenarioTask& pose = scenario.tasks[2];
  EXPECT_EQ(pose.parent, 1);
  EXPECT_EQ(pose.probability, 0.5);
  EXPECT_EQ(pose.relative_deadline, Duration{33'333'333ns});  // the period of hand, not its deadline of 30 ms
  const ScenarioTask& grip = scenario.tasks[3];
  EXPECT_EQ(grip.parent, 2);
  EXPECT_EQ(grip.period, Duration{33'333'333ns});
  EXPECT_EQ(grip.relative_deadline, Duration{50ms});
}

TEST(Scenario, ChildrenOfPoissonTasksInheritTheDeadline) {
  const Scenario scenario = parse_good(sample("scenario.xml"));
  EXPECT_EQ(scenario.tasks[6].arrivals, Arrivals::poisson);
  EXPECT_EQ(scenario.tasks[6].rate, 12);
  EXPECT_EQ(scenario.tasks[6].period, Duration{0});
  EXPECT_EQ(scenario.tasks[7].relative_deadline, Duration{80ms});
}

TEST(Scenario, FpsWinsOverPeriodAndIsRoundedToNanoseconds) {
  const Scenario scenario = parse_good(sample("scenario.xml"));
  EXPECT_EQ(scenario.tasks[8].period, Duration{11'111'111ns});
  EXPECT_EQ(scenario.tasks[4].period, Duration{40ms});
}

TEST(Scenario, SyntheticSubnetsAreNamedByTheTextOfTheirCost) {
  const Scenario scenario = parse_good(sample("scenario.xml"));
  const ScenarioSubnet& light = scenario.tasks[4].subnets[1];
  EXPECT_EQ(light.name, "3500us");
  EXPECT_EQ(light.cost, Duration{3500us});
  EXPECT_EQ(light.accuracy, 0);
  EXPECT_EQ(scenario.tasks[8].segment, Duration{1ms});
  EXPECT_EQ(scenario.tasks[7].subnets[0].name, "0.5ms");
}

TEST(Scenario, AnAccuracyOfTheTaskHoldsForSubnetsWithoutTheirOwn) {
  const Scenario scenario = parse_good(of_tasks(
      "<task name=\"t\" fps=\"1\" accuracy=\"7\"><subnet model=\"a\"/><subnet model=\"b\" accuracy=\"6\"/></task>"));
  EXPECT_EQ(scenario.tasks[0].subnets[0].accuracy, 7);
  EXPECT_EQ(scenario.tasks[0].subnets[1].accuracy, 6);
}

TEST(Scenario, OfRequestsNamesATraceAndAQuality) {
  const Scenario scenario = parse_good(sample("requests.xml"));
  EXPECT_TRUE(scenario.tasks.empty());
  ASSERT_TRUE(scenario.requests);
  EXPECT_EQ(scenario.requests->trace, "trace_b.csv");
  EXPECT_EQ(scenario.requests->quality, 0.8);
  EXPECT_TRUE(scenario.requests->noise.measured);
  const std::string bare = with(sample("requests.xml"), " costs=\"moca\" qos=\"H\" noise=\"measured\"", "");
  EXPECT_EQ(parse_good(bare).requests->quality, 1.0);
  EXPECT_EQ(parse_good(with(bare, "trace_b.csv\"", "trace_b.csv\" qos=\"L\"")).requests->quality, 1.2);
}

TEST(Scenario, PoissonArrivalsHaveNoJitterButItMayBeWritten) {
  const Scenario scenario = parse_good(
      of_tasks("<task name=\"t\" model=\"m\" arrivals=\"poisson\" rate=\"3\" deadline=\"1s\" jitter=\"1ms\"/>"));
  EXPECT_EQ(scenario.tasks[0].arrivals, Arrivals::poisson);
}

TEST(Scenario, IsRefusedWithLineAndKey) {
  using Case = std::tuple<const char*, const char*, const char*, const char*>;  // from, to, key, text
  const Case cases[] = {
      {"late=\"finish\"", "late=\"drop\"", "scenario late", "abort, finish"},
      {"granularity=\"block\"", "granularity=\"row\"", "granularity", "layer, block, model"},
      {"admission=\"on\"", "admission=\"yes\"", "admission", "off, on"},
      {"seed=\"9\"", "seeds=\"9\"", "seeds", "unknown"},
      {"duration=\"2s\"", "duration=\"2\"", "duration", "no duration"},
      {"memory_bandwidth=\"6e9\"", "memory_bandwidth=\"6GB\"", "platform memory_bandwidth", "no number"},
      {"clock_ghz=\"0.7\"", "clock_ghz=\"0\"", "accelerator clock_ghz", "no number"},
      {"type=\"os_1024\"", "kind=\"os_1024\"", "accelerator type", "missing"},
      {"name=\"os0\"", "name=\"ws0\"", "accelerator name", "twice"},
      {"fps=\"60\" accuracy", "fps=\"0\" accuracy", "task fps", "no number"},
      {"fps=\"60\" accuracy", "accuracy", "task fps", "missing"},
      {"fps=\"60\" accuracy", "rate=\"60\" accuracy", "task rate", "poisson"},
      {"noise=\"0.05\"", "noise=\"loud\"", "task noise", "number from 0 to 10"},
      {"noise=\"0.05\"", "noise=\"measured\"", "task noise", "moca"},
      {"noise=\"0.05\"", "probability=\"0.5\"", "task probability", "after"},
      {"class=\"hard\"", "class=\"harder\"", "task class", "hard, firm, soft"},
      {"weight=\"2.5\"", "wieght=\"2.5\"", "wieght", "unknown"},
      {"offset=\"2ms\"", "offset=\"-2ms\"", "task offset", "no duration"},
      {"probability=\"0.5\"", "probability=\"1.5\"", "task probability", "from 0 to 1"},
      {"after=\"hand\"", "after=\"scene\"", "task after", "above this one"},
      {"after=\"hand\"", "after=\"hand\" offset=\"1ms\"", "task offset", "left out"},
      {"after=\"hand\"", "after=\"hand\" fps=\"29\"", "task fps", "root's"},
      {"after=\"pose\"", "after=\"pose\" arrivals=\"poisson\"", "task arrivals", "left out"},
      {"period=\"40ms\"", "period=\"40ms\" model=\"m\"", "task model", "has subnets"},
      {"<subnet cost=\"3500us\"/>", "<subnet/>", "subnet model", "missing"},
      {"<subnet cost=\"3500us\"/>", "<subnet cost=\"0\"/>", "subnet cost", "no duration"},
      {"<subnet cost=\"3500us\"/>", "<subnet cost=\"1ms\" model=\"m\"/>", "subnet model", "left out"},
      {"<subnet cost=\"3500us\"/>", "<subnet cost=\"1ms\" segment=\"1us\"/>", "subnet segment", "unknown"},
      {"<subnet cost=\"3500us\"/>", "<net cost=\"1ms\"/>", "task", "<net> is unknown"},
      {"skip=\"0.5\"", "skip=\"half\"", "task skip", "no number"},
      {"skip=\"0.5\"", "segment=\"1ms\"", "task segment", "needs a cost"},
      {"name=\"scene\"", "name=\"gaze\"", "task name", "twice"},
      {"name=\"scene\"", "name=\"a,b\"", "task name", "no name"},
      {"arrivals=\"poisson\"", "arrivals=\"random\"", "task arrivals", "none of poisson"},
      {"rate=\"12\"", "", "task rate", "missing"},
      {"rate=\"12\"", "rate=\"12\" fps=\"3\"", "task fps", "left out"},
      {"rate=\"12\" deadline=\"80ms\"", "rate=\"12\"", "task deadline", "missing"},
      {"segment=\"1ms\"", "segment=\"7ns\"", "task segment", "pieces"},
      {"segment=\"1ms\"", "costs=\"moca\"", "task costs", "needs a model"},
      {"costs=\"moca\"", "costs=\"mocha\"", "task costs", "moca"},
      {"model=\"resnet\"", "model=\"../resnet\"", "task model", "no name"},
  };
  for (const auto& [from, to, key, text] : cases) {
    SCOPED_TRACE(std::string(from) + " -> " + to);
    expect_refused(parse(with(sample("scenario.xml"), from, to)), line_of(sample("scenario.xml"), from), key, text);
  }
}

TEST(Scenario, OfRequestsIsRefusedWithLineAndKey) {
  const std::string good = sample("requests.xml");
  expect_refused(parse(with(good, "qos=\"H\"", "qos=\"X\"")), 6, "requests qos", "H, M, L");
  expect_refused(parse(with(good, "trace=\"trace_b.csv\"", "")), 6, "requests trace", "missing");
  expect_refused(parse(with(good, "costs=\"moca\"", "costs=\"dream\"")), 6, "requests costs", "moca");
  expect_refused(parse(with(good, "</scenario>", "<requests trace=\"b\"/></scenario>")), 7, "requests", "1 of it");
  expect_refused(parse(with(good, "</scenario>", "<task name=\"t\" model=\"m\" fps=\"1\"/></scenario>")), 6, "requests",
                 "instead of tasks");
}

TEST(Scenario, NeedsAPlatformAndSomethingToRun) {
  expect_refused(parse("<scenario name=\"x\"/>"), 1, "scenario", "<platform>");
  expect_refused(parse("<scenario name=\"x\"><platform/></scenario>"), 1, "platform", "<accelerator>");
  expect_refused(parse(of_tasks("")), 1, "scenario", "at least one <task>");
  expect_refused(parse(of_tasks("<task name=\"t\" fps=\"1\"/>")), 2, "task model", "missing");
  expect_refused(parse("<service/>"), 1, "", "one <scenario>");
}

TEST(Scenario, EveryFileThatIsShippedIsAccepted) {
  const std::filesystem::path root = TAKT_SOURCE_DIR;
  std::size_t files = 0;
  for (const char* folder : {"configs/scenarios", "tests/golden/scenarios"})
    for (const auto& entry : std::filesystem::directory_iterator(root / folder)) {
      if (entry.path().extension() != ".xml") continue;
      ++files;
      const auto scenario = read_scenario(entry.path());
      EXPECT_TRUE(scenario) << scenario.error().to_string();
    }
  EXPECT_GE(files, 20u);
}

}  // namespace
}  // namespace takt::files
