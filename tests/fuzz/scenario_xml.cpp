// Scenario files: accepted ones hold together, refused ones say where.
#include "files/scenario_file.hpp"
#include "target.hpp"

namespace takt::fuzz {
namespace {

void check_task(const files::Scenario& scenario, std::size_t index) {
  const files::ScenarioTask& task = scenario.tasks[index];
  TAKT_CHECK(task.parent < static_cast<std::int32_t>(index));
  TAKT_CHECK((task.arrivals == files::Arrivals::poisson) == (task.period == Duration{0}));
  TAKT_CHECK((task.arrivals == files::Arrivals::poisson) == (task.rate > 0));
  TAKT_CHECK(task.relative_deadline > Duration{0} && task.offset >= Duration{0} && task.jitter >= Duration{0});
  TAKT_CHECK(task.probability >= 0 && task.probability <= 1 && task.skip >= 0 && task.skip <= 1);
  TAKT_CHECK(!task.noise.measured || task.costs == files::CostSource::measured);
  TAKT_CHECK(!task.subnets.empty());
  for (const files::ScenarioSubnet& subnet : task.subnets)
    TAKT_CHECK(!subnet.name.empty() && (task.segment == Duration{0} || subnet.cost / task.segment <= 100'000));
}

void check_whole(const files::Scenario& scenario) {
  TAKT_CHECK(!scenario.accelerators.empty() && scenario.duration > Duration{0});
  TAKT_CHECK(scenario.tasks.empty() == scenario.requests.has_value());
  for (const files::ScenarioAccelerator& a : scenario.accelerators) TAKT_CHECK(a.clock_ghz > 0 && a.bandwidth > 0);
  for (std::size_t i = 0; i < scenario.tasks.size(); ++i) check_task(scenario, i);
}

}  // namespace

std::vector<std::string> seeds() {
  return {source_file("tests/files/samples/scenario.xml"), source_file("tests/files/samples/requests.xml"),
          source_file("tests/golden/scenarios/tiny.xml"), source_file("tests/golden/scenarios/synthetic.xml")};
}
std::vector<std::string> words() {
  std::vector<std::string> all = xml_words();
  for (const char* word : {" after=\"hand\"", " arrivals=\"poisson\"", " rate=\"3\"", " cost=\"3ms\"",
                           " segment=\"1ns\"", " noise=\"measured\"", " costs=\"moca\"", " fps=\"1e-300\"",
                           "<subnet model=\"m\"/>", "<requests trace=\"t\"/>"})
    all.emplace_back(word);
  return all;
}

}  // namespace takt::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto scenario = takt::files::parse_scenario(takt::fuzz::as_text(data, size), "scenario.xml");
  if (scenario)
    takt::fuzz::check_whole(*scenario);
  else
    takt::fuzz::check_refusal(scenario);
  return 0;
}
