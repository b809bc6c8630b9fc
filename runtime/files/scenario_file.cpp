// Scenario files: one reader an element, then what must hold between tasks.
#include "files/scenario_file.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "files/xml.hpp"

namespace takt::files {
namespace {

using namespace std::chrono_literals;

template <class E, std::size_t N>
using Words = std::array<std::pair<std::string_view, E>, N>;

constexpr Words<Criticality, 3> kClasses{
    {{"hard", Criticality::hard}, {"firm", Criticality::firm}, {"soft", Criticality::soft}}};
constexpr Words<LateRule, 2> kLateRules{{{"abort", LateRule::abort}, {"finish", LateRule::finish}}};
constexpr Words<Granularity, 3> kGranularities{
    {{"layer", Granularity::layer}, {"block", Granularity::block}, {"model", Granularity::model}}};
constexpr Words<bool, 2> kSwitch{{{"off", false}, {"on", true}}};
constexpr Words<Arrivals, 1> kArrivals{{{"poisson", Arrivals::poisson}}};
constexpr Words<CostSource, 1> kCosts{{{"moca", CostSource::measured}}};
constexpr Words<double, 3> kQualities{{{"H", 0.8}, {"M", 1.0}, {"L", 1.2}}};

constexpr std::size_t kMaxAccelerators = 1024;
constexpr std::size_t kMaxTasks = 4096;
constexpr std::size_t kMaxSubnets = 64;
constexpr std::int64_t kMaxPieces = 100'000;  // segments of a synthetic subnet
constexpr Duration kShortest = 1ns;
constexpr Duration kLongest = 24h;
constexpr double kMostPerSecond = 1e9;
constexpr double kLeastPerSecond = 1e-4;

void refuse_if(Element& e, const char* key, bool wrong, const char* text) {
  if (wrong && e.has(key)) e.refuse(key, text);
}

ScenarioAccelerator read_accelerator(Element& e, std::set<std::string>& names) {
  ScenarioAccelerator accelerator;
  accelerator.line = e.line();
  accelerator.name = e.name("name");
  e.unique(names, "name", accelerator.name);
  accelerator.type = e.name("type");
  accelerator.clock_ghz = e.real("clock_ghz", 1e-6, 1e6, accelerator.clock_ghz);
  accelerator.bandwidth = e.real("bandwidth", 1e-6, 1e9, accelerator.bandwidth);
  return accelerator;
}

void read_platform(Element& e, Scenario& scenario) {
  std::set<std::string> names;
  scenario.memory_bandwidth = e.real("memory_bandwidth", 0, 1e18, 0.0);
  e.each("accelerator", 1, kMaxAccelerators,
         [&](Element& a) { scenario.accelerators.push_back(read_accelerator(a, names)); });
}

ScenarioNoise read_noise(Element& e, CostSource costs) {
  if (!e.has("noise")) return {};
  const std::string text = e.text("noise");
  if (text == "measured") {
    if (costs != CostSource::measured) e.refuse("noise", "measured needs costs=\"moca\"");
    return {0, true};
  }
  const auto spread = parse_number<double>(text);
  if (spread && *spread >= 0 && *spread <= 10) return {*spread, false};
  e.refuse("noise", "must be a number from 0 to 10, or measured");
  return {};
}

// The element of a subnet, or of a task that has only one: what is run is `model` or `cost`.
ScenarioSubnet read_subnet(Element& e, double accuracy) {
  ScenarioSubnet subnet;
  subnet.line = e.line();
  subnet.accuracy = e.real("accuracy", 0, 1e6, accuracy);
  if (e.has("cost")) {
    refuse_if(e, "model", true, "must be left out where there is a cost");
    subnet.name = e.text("cost");
    subnet.cost = e.duration("cost", kShortest, kLongest);
  } else {
    subnet.name = e.name("model");
  }
  return subnet;
}

void read_subnets(Element& e, ScenarioTask& task) {
  const bool alone = e.has("model") || e.has("cost");
  if (alone) task.subnets.push_back(read_subnet(e, 0));
  const double accuracy = alone ? 0 : e.real("accuracy", 0, 1e6, 0.0);
  const std::size_t listed =
      e.each("subnet", 0, kMaxSubnets, [&](Element& subnet) { task.subnets.push_back(read_subnet(subnet, accuracy)); });
  for (const char* key : {"model", "cost"}) refuse_if(e, key, listed > 0, "must be left out: the task has subnets");
  if (!alone && listed == 0) e.refuse("model", "is missing: a task needs a model, a cost or <subnet> children");
}

// How synthetic subnets are cut.
void read_segment(Element& e, ScenarioTask& task) {
  Duration longest{};
  for (const ScenarioSubnet& subnet : task.subnets) longest = std::max(longest, subnet.cost);
  refuse_if(e, "segment", longest == Duration{0}, "needs a cost: a model has its own layers");
  if (!e.has("segment")) return;
  task.segment = e.duration("segment", kShortest, kLongest);
  if (longest / task.segment >= kMaxPieces) e.refuse("segment", "cuts a cost in more than 100000 pieces");
}

void read_costs(Element& e, ScenarioTask& task) {
  task.costs = e.choice<CostSource>("costs", kCosts, CostSource::tables);
  const bool any_model = std::any_of(task.subnets.begin(), task.subnets.end(),
                                     [](const ScenarioSubnet& s) { return s.cost == Duration{0}; });
  refuse_if(e, "costs", !any_model, "needs a model");
  task.noise = read_noise(e, task.costs);
}

// `fps` wins over `period`; both must be good.
Duration read_period(Element& e, std::optional<Duration> fallback) {
  const Duration period = e.duration("period", kShortest, kLongest, e.has("fps") ? Duration{1} : fallback);
  if (!e.has("fps")) return period;
  return Duration{std::llround(1e9 / e.real("fps", kLeastPerSecond, kMostPerSecond))};
}

void read_poisson(Element& e, ScenarioTask& task) {
  for (const char* key : {"fps", "period"}) refuse_if(e, key, true, "must be left out: Poisson arrivals have a rate");
  task.rate = e.real("rate", kLeastPerSecond, kMostPerSecond);
  task.relative_deadline = e.duration("deadline", kShortest, kLongest);
}

// The release of a root. Poisson arrivals have no jitter: it may be written and changes nothing.
void read_root(Element& e, ScenarioTask& task) {
  refuse_if(e, "probability", true, "needs a parent: after");
  task.offset = e.duration("offset", Duration{0}, kLongest, Duration{0});
  task.jitter = e.duration("jitter", Duration{0}, kLongest, Duration{0});
  if (e.has("arrivals")) task.arrivals = e.choice<Arrivals>("arrivals", kArrivals);
  if (task.arrivals == Arrivals::poisson) return read_poisson(e, task);
  refuse_if(e, "rate", true, "needs arrivals=\"poisson\"");
  if (!e.has("fps") && !e.has("period")) e.refuse("fps", "is missing: a task needs fps, period, rate or after");
  task.period = read_period(e, Duration{1});
  task.relative_deadline = e.duration("deadline", kShortest, kLongest, task.period);
}

const ScenarioTask& root_of(const Scenario& scenario, const ScenarioTask& task) {
  const ScenarioTask* root = &task;
  while (root->parent >= 0) root = &scenario.tasks[static_cast<std::size_t>(root->parent)];
  return *root;
}

// A child comes as often as its root, when its parent is done.
void read_child(Element& e, const Scenario& scenario, ScenarioTask& task) {
  for (const char* key : {"arrivals", "rate", "offset", "jitter"})
    refuse_if(e, key, true, "must be left out: a task with a parent is released by it");
  const std::string name = e.name("after");
  const auto& tasks = scenario.tasks;
  const auto parent = std::find_if(tasks.begin(), tasks.end(), [&](const ScenarioTask& t) { return t.name == name; });
  if (parent == tasks.end()) return e.refuse("after", "'" + name + "' is no <task> above this one");
  task.parent = static_cast<std::int32_t>(parent - tasks.begin());
  const ScenarioTask& root = root_of(scenario, *parent);
  task.probability = e.real("probability", 0, 1, 1.0);
  task.arrivals = root.arrivals;
  task.rate = root.rate;
  task.period = read_period(e, root.period);
  if (task.period != root.period)
    e.refuse(e.has("fps") ? "fps" : "period", "must be the root's or be left out: a child comes as often");
  const bool poisson = root.arrivals == Arrivals::poisson;
  task.relative_deadline = e.duration("deadline", kShortest, kLongest, poisson ? root.relative_deadline : root.period);
}

void read_task(Element& e, Scenario& scenario, std::set<std::string>& names) {
  ScenarioTask task;
  task.line = e.line();
  task.name = e.name("name");
  e.unique(names, "name", task.name);
  if (e.has("after"))
    read_child(e, scenario, task);
  else
    read_root(e, task);
  task.skip = e.real("skip", 0, 1, 0.0);
  task.criticality = e.choice<Criticality>("class", kClasses, Criticality::soft);
  task.weight = e.real("weight", 0, 1e9, 1.0);
  read_subnets(e, task);
  read_segment(e, task);
  read_costs(e, task);
  scenario.tasks.push_back(std::move(task));
}

ScenarioRequests read_requests(Element& e) {
  ScenarioRequests requests;
  requests.line = e.line();
  requests.trace = e.text("trace");
  (void)e.choice<CostSource>("costs", kCosts, CostSource::measured);
  requests.quality = e.choice<double>("qos", kQualities, 1.0);
  requests.noise = read_noise(e, CostSource::measured);
  return requests;
}

void read_scenario_element(Element& e, Scenario& scenario) {
  scenario.name = e.text("name");
  scenario.duration = e.duration("duration", kShortest, kLongest, Duration{10s});
  scenario.late = e.choice<LateRule>("late", kLateRules, LateRule::abort);
  scenario.granularity = e.choice<Granularity>("granularity", kGranularities, Granularity::layer);
  scenario.admission = e.choice<bool>("admission", kSwitch, false);
  scenario.seed = static_cast<std::uint64_t>(e.integer("seed", 0, std::numeric_limits<std::int64_t>::max(), 1));
  std::set<std::string> names;
  e.one("platform", [&](Element& platform) { read_platform(platform, scenario); });
  e.each("task", 0, kMaxTasks, [&](Element& task) { read_task(task, scenario, names); });
  e.at_most_one("requests", [&](Element& requests) {
    if (!scenario.tasks.empty()) requests.refuse("", "stands instead of tasks, not beside them");
    scenario.requests = read_requests(requests);
  });
  if (scenario.tasks.empty() && !scenario.requests) e.refuse("", "needs at least one <task>, or <requests>");
}

}  // namespace

Parsed<Scenario> parse_scenario(std::string_view xml, const std::filesystem::path& path) {
  Scenario scenario;
  scenario.file = path;
  const auto read =
      read_document(xml, path.string(), "scenario", [&](Element& e) { read_scenario_element(e, scenario); });
  if (!read) return tl::unexpected<InputError>(read.error());
  return scenario;
}

Parsed<Scenario> read_scenario(const std::filesystem::path& path) {
  const auto xml = read_text(path);
  if (!xml) return tl::unexpected<InputError>(xml.error());
  return parse_scenario(*xml, path);
}

}  // namespace takt::files
