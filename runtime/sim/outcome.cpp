// Metrics and their JSON form; see outcome.hpp.
#include "sim/outcome.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "files/json.hpp"

namespace takt::sim {
namespace {

using files::JsonObject;

std::string json_of(const Latencies& l) {
  return JsonObject().real("mean", l.mean).whole("p50", l.p50).whole("p95", l.p95).whole("p99", l.p99).whole("max", l.max).end();
}

std::string json_of(const TaskOutcome& t) {
  JsonObject subnets;
  for (const auto& [name, count] : t.subnets) subnets.whole(name, count);
  return JsonObject()
      .text("name", t.name)
      .whole("released", t.released)
      .whole("on_time", t.on_time)
      .whole("late", t.late)
      .whole("dropped", t.dropped)
      .whole("aborted", t.aborted)
      .real("energy_nj", t.energy_nj)
      .real("worst_energy_nj", t.worst_energy_nj)
      .raw("latency_ns", json_of(t.latency))
      .real("accuracy", t.accuracy)
      .raw("subnets", subnets.end())
      .end();
}

std::string json_of(const AcceleratorOutcome& a) {
  return JsonObject().text("name", a.name).whole("busy_ns", a.busy_ns).real("energy_nj", a.energy_nj).whole("switches", a.switches).end();
}

template <class T>
std::string list(const std::vector<T>& all) {
  return files::json_list(all, [](const T& each) { return json_of(each); }, ",\n  ");
}

}  // namespace

Latencies TaskMeter::latencies() {
  if (latencies_.empty()) return {};
  std::sort(latencies_.begin(), latencies_.end());
  const auto at = [&](double q) {
    return latencies_[static_cast<std::size_t>(std::ceil(q * static_cast<double>(latencies_.size()))) - 1];
  };
  double sum = 0;
  for (const std::int64_t l : latencies_) sum += static_cast<double>(l);
  return {sum / static_cast<double>(latencies_.size()), at(0.5), at(0.95), at(0.99), latencies_.back()};
}

void summarise(Outcome& o, std::vector<TaskMeter>& meters) {
  std::uint64_t released = 0, violated = 0, completed = 0;
  double rates = 0, energies = 0, slowdowns = 0;
  double slowest = std::numeric_limits<double>::infinity(), fastest = 0;
  o.energy_nj = o.stp = 0;
  for (std::size_t t = 0; t < o.tasks.size(); ++t) {
    TaskOutcome& task = o.tasks[t];
    task.latency = meters[t].latencies();
    released += task.released;
    violated += task.violated();
    o.energy_nj += task.energy_nj;
    if (task.released > 0) {
      const double frames = static_cast<double>(task.released);
      rates += task.violated() > 0 ? static_cast<double>(task.violated()) / frames : 1 / (2 * frames);
      if (task.worst_energy_nj > 0) energies += task.energy_nj / task.worst_energy_nj;
    }
    if (meters[t].count() == 0) continue;
    completed += meters[t].count();
    slowdowns += meters[t].slowdowns();
    const double speed = meters[t].mean_speed();
    o.stp += speed;
    slowest = std::min(slowest, speed);
    fastest = std::max(fastest, speed);
  }
  o.uxcost = rates * energies;
  o.violation_rate = released > 0 ? static_cast<double>(violated) / static_cast<double>(released) : 0;
  o.sla = 1 - o.violation_rate;
  o.antt = completed > 0 ? slowdowns / static_cast<double>(completed) : 0;
  o.fairness = completed > 0 && fastest > 0 ? slowest / fastest : 1;
}

std::string to_json(const Outcome& o, std::string_view recorded) {
  JsonObject out;
  out.text("scenario", o.scenario)
      .text("policy", o.policy)
      .whole("seed", o.seed)
      .whole("duration_ns", o.duration_ns)
      .real("load", o.load)
      .raw("tasks", list(o.tasks))
      .raw("accelerators", list(o.accelerators))
      .real("violation_rate", o.violation_rate)
      .real("sla", o.sla)
      .real("uxcost", o.uxcost)
      .real("energy_nj", o.energy_nj)
      .real("antt", o.antt)
      .real("stp", o.stp)
      .real("fairness", o.fairness)
      .whole("decisions", o.decisions);
  if (!recorded.empty()) out.raw("recorded", recorded);
  return out.end() + '\n';
}

}  // namespace takt::sim
