// One core, one truth: does the simulator give the hit rate that the live engine reaches with the same costs and
// arrivals?
//
// Four streams as those of P9 (90, 60, 30 and 10 frames a second over `slower`, each a quarter of the load, deadline =
// period, jitter 5 %) on one pretended accelerator, segments of `slower` ms or a little more. The same releases go to
// taktd with the null driver, in open loop on absolute timers, and to the simulator. The trace of each live run is
// replayed, too: that tells what measured times and arrivals explain of a difference.
#include <sys/poll.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <thread>

#include "files/scenario_file.hpp"
#include "live/realtime.hpp"
#include "policies/support/compose.hpp"
#include "sim/cost_tables.hpp"
#include "sim/engine.hpp"
#include "sim/replay.hpp"
#include "support/client.hpp"
#include "support/placement.hpp"
#include "support/service.hpp"
#include "support/statistics.hpp"

namespace takt::bench {
namespace {

using namespace std::chrono_literals;

struct Options {
  std::vector<std::string> policies;
  std::vector<double> loads{0.75, 1.25};
  int seconds = 20, repeats = 5, slower = 8, ahead = 1, broker_core = 0;
  int executor_core = std::thread::hardware_concurrency() > 1 ? 1 : 0;
  double within = 0;
  std::string json;
};

struct Kind {
  const char* name;
  std::int64_t period_ns = 0;
  int segments = 0;
  std::int64_t segment_ns = 0;
};

std::vector<Kind> kinds(const Options& o, double load) {
  std::vector<Kind> all;
  for (const auto& [name, fps] : {std::pair{"a", 90}, {"b", 60}, {"c", 30}, {"d", 10}}) {
    Kind k{.name = name, .period_ns = std::llround(1e9 * o.slower / fps)};
    const double cost_ns = load / 4 * static_cast<double>(k.period_ns);
    k.segments = std::max(1, static_cast<int>(cost_ns / 1e6 / o.slower));
    k.segment_ns = std::llround(cost_ns / k.segments);
    all.push_back(k);
  }
  return all;
}

sim::Case make_case(const Options& o, double load) {
  std::string xml = "<scenario name=\"four streams\" duration=\"" + std::to_string(o.seconds) +
                    "s\" late=\"abort\"><platform><accelerator name=\"null0\" type=\"any\"/></platform>";
  int place = 0;
  for (const Kind& k : kinds(o, load)) {
    const auto ns = [](const char* key, std::int64_t value) {
      return std::string(" ") + key + "=\"" + std::to_string(value) + "ns\"";
    };
    xml += std::string("<task name=\"") + k.name + '"' + ns("period", k.period_ns) +
           ns("offset", k.period_ns * (2 * ++place - 1) / 8) + ns("jitter", k.period_ns / 20) +
           ns("cost", k.segment_ns * k.segments) + ns("segment", k.segment_ns) + "/>";
  }
  const auto scenario = files::parse_scenario(xml + "</scenario>", "four-streams.xml");
  if (!scenario) give_up(scenario.error().to_string());
  sim::CostTables tables;
  auto made = sim::build_case(*scenario, {}, tables);
  if (!made) give_up(made.error().to_string());
  return std::move(*made);
}

std::unique_ptr<Policy> policy_of(const std::string& name) {
  auto policy = compose_policy(name);
  if (!policy) give_up(policy.error());
  return std::move(*policy);
}

// One stream on its own connection and thread.
class Source {
 public:
  Source(const std::string& socket, const sim::Case& c, std::uint32_t task)
      : case_(c), task_(task), client_(socket, config(c.tasks[task])) {}

  void run(std::int64_t begin) {
    live::set_timer_slack();
    for (const sim::Release& r : case_.releases) {
      if (r.task != task_) continue;
      const std::int64_t due = begin + to_ns(r.at);
      while (now_ns() < due) take(due);
      ++released;
      if (takt_frame* const frame = client_.try_begin(); frame != nullptr) {
        client_.submit(frame, released, begin + to_ns(r.deadline));
        ++in_flight_;
      }
    }
    const std::int64_t give_up_at = now_ns() + 5'000'000'000;
    while (in_flight_ > 0 && now_ns() < give_up_at) take(now_ns() + 10'000'000);
  }
  int released = 0, on_time = 0;

 private:
  static takt_stream_config config(const sim::Task& task) {
    takt_stream_config c = Client::config(task.name.c_str());
    c.period_ns = to_ns(task.period);
    c.relative_deadline_ns = to_ns(task.relative_deadline);
    c.slots = 16;
    return c;
  }
  void take(std::int64_t until) {
    const std::int64_t left = std::max<std::int64_t>(until - now_ns(), 0);
    const timespec timeout{.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
    pollfd entry{.fd = client_.fd(), .events = POLLIN, .revents = 0};
    if (::ppoll(&entry, 1, &timeout, nullptr) <= 0) return;
    client_.take([&](takt_answer& a) {
      if (a.is_notice != 0) return;
      --in_flight_;
      on_time += a.verdict == TAKT_DONE;
    });
  }

  const sim::Case& case_;
  std::uint32_t task_;
  Client client_;
  int in_flight_ = 0;
};

struct Figures {
  double live = 0, replayed = 0, measured = 0;  // hit rates; mean time of segments over the expected one
};

Figures run_live(const Options& o, const sim::Case& c, double load, const std::string& policy) {
  ServiceOptions options{.programs = {},
                         .models = {},
                         .policy = policy,
                         .broker_core = o.broker_core,
                         .executor_core = o.executor_core,
                         .ahead = o.ahead,
                         .max_batch = 1,  // as in the simulator; takt has its timetable only then
                         .trace = true,
                         .environment = {}};
  for (const Kind& k : kinds(o, load))
    options.models.push_back({.name = k.name, .cost = std::to_string(k.segment_ns) + "ns", .segments = k.segments});
  Service service(options);
  double released = 0, on_time = 0;
  {
    std::vector<std::unique_ptr<Source>> sources;
    for (std::uint32_t t = 0; t < c.tasks.size(); ++t)
      sources.push_back(std::make_unique<Source>(service.socket(), c, t));
    const std::int64_t begin = now_ns() + 50'000'000;
    std::vector<std::thread> threads;
    for (const auto& s : sources) threads.emplace_back([&s, begin] { s->run(begin); });
    for (std::thread& t : threads) t.join();
    for (const auto& s : sources) released += s->released, on_time += s->on_time;
  }
  service.stop();
  Figures f{.live = on_time / released};
  const auto configuration = files::load_service(service.folder() / "takt.xml");
  const auto recording = sim::read_recording(service.folder() / "trace.csv");
  if (!configuration || !recording)
    give_up(configuration ? recording.error().to_string() : configuration.error().to_string());
  const auto replay = sim::make_replay(*recording, *configuration);
  if (!replay) give_up(replay.error().to_string());
  const auto again = policy_of(policy);
  f.replayed =
      sim::simulate(replay->scenario, *again, policy, {.ahead = replay->ahead, .playback = &replay->playback}).sla;
  f.measured = replay->playback.ratio(0);
  return f;
}

struct Row {
  std::string policy;
  double load = 0, simulated = 0;
  std::vector<Figures> runs;
  [[nodiscard]] double median(double Figures::*member) const {
    std::vector<double> values;
    for (const Figures& f : runs) values.push_back(f.*member);
    return bench::median(std::move(values));
  }
  [[nodiscard]] double spread() const {
    const auto [least, most] = std::minmax_element(runs.begin(), runs.end(),
                                                   [](const Figures& a, const Figures& b) { return a.live < b.live; });
    return most->live - least->live;
  }
  [[nodiscard]] double difference() const { return median(&Figures::live) - simulated; }
};

nlohmann::json json_of(const Row& r) {
  nlohmann::json runs = nlohmann::json::array();
  for (const Figures& f : r.runs)
    runs.push_back({{"live", f.live}, {"replayed", f.replayed}, {"measured_over_expected", f.measured}});
  return {{"policy", r.policy},           {"load", r.load},
          {"simulated", r.simulated},     {"live", r.median(&Figures::live)},
          {"difference", r.difference()}, {"runs", runs}};
}

int run(const Options& o) {
  print_machine(describe_machine());
  std::printf("%-12s %5s %10s %7s %11s %7s %9s %9s\n", "policy", "load", "simulated", "live", "difference", "spread",
              "replayed", "measured");
  nlohmann::json all = nlohmann::json::array();
  bool good = true;
  for (const std::string& policy : o.policies) {
    for (const double load : o.loads) {
      const sim::Case c = make_case(o, load);
      Row row{.policy = policy, .load = load, .runs = {}};
      row.simulated = sim::simulate(c, *policy_of(policy), policy, {.ahead = static_cast<std::uint8_t>(o.ahead)}).sla;
      for (int i = 0; i < o.repeats; ++i) row.runs.push_back(run_live(o, c, load, policy));
      std::printf("%-12s %5.2f %9.2f%% %6.2f%% %+10.2f%% %6.2f%% %8.2f%% %9.3f\n", policy.c_str(), load,
                  100 * row.simulated, 100 * row.median(&Figures::live), 100 * row.difference(), 100 * row.spread(),
                  100 * row.median(&Figures::replayed), row.median(&Figures::measured));
      std::fflush(stdout);
      good = good && (o.within <= 0 || std::abs(row.difference()) <= o.within);
      all.push_back(json_of(row));
    }
  }
  save(o.json, {{"program", "live-against-simulated"},
                {"machine", describe_machine()},
                {"seconds", o.seconds},
                {"slower", o.slower},
                {"ahead", o.ahead},
                {"rows", all}});
  return good ? 0 : 1;
}

}  // namespace
}  // namespace takt::bench

int main(int argc, char** argv) {
  takt::bench::Options o{.policies = {"edf+drop", "sdrm3"}};
  for (const takt::PolicyEntry* e : takt::policy_table())
    if (e->name == "takt") o.policies.emplace_back(e->name);
  CLI::App app("Hit rates of the live engine and of the simulator with the same costs and arrivals, side by side.");
  app.add_option("--policy", o.policies, "policies")->capture_default_str();
  app.add_option("--load", o.loads, "loads")->check(CLI::Range(0.2, 2.5))->capture_default_str();
  app.add_option("--seconds", o.seconds, "of each live run")->check(CLI::Range(1, 600))->capture_default_str();
  app.add_option("--repeats", o.repeats, "live runs of each; the median counts")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--slower", o.slower, "divides the rates and is the segments' length in ms")
      ->check(CLI::Range(1, 20))
      ->capture_default_str();
  app.add_option("--ahead", o.ahead, "segments posted ahead of the running one, on both sides")
      ->check(CLI::Range(0, 3))
      ->capture_default_str();
  app.add_option("--broker-core", o.broker_core, "core of the scheduler thread")->capture_default_str();
  app.add_option("--executor-core", o.executor_core, "core of the executor")->capture_default_str();
  app.add_option("--within", o.within, "end with status 1 if a difference is larger, such as 0.02");
  app.add_option("--json", o.json, "write the result to this file");
  CLI11_PARSE(app, argc, argv);
  return takt::bench::run(o);
}
