// Metrics and their JSON form; see outcome.hpp.
#include "sim/outcome.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

namespace takt::sim {
namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

// Names are checked when a scenario is read; quotes and control characters cannot occur in them, but a title may be anything.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
      out += code;
    } else {
      out += c;
    }
  }
  return out + '"';
}

class Object {
 public:
  explicit Object(std::string& out) : out_(out) { out_ += '{'; }
  Object& raw(const char* key, const std::string& value) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += '"' + std::string(key) + "\":" + value;
    return *this;
  }
  Object& text(const char* key, const std::string& value) { return raw(key, quoted(value)); }
  Object& real(const char* key, double value) { return raw(key, number(value)); }
  template <class T>
  Object& whole(const char* key, T value) {
    return raw(key, std::to_string(value));
  }
  void end() { out_ += '}'; }

 private:
  std::string& out_;
  bool first_ = true;
};

std::string json_of(const Latencies& l) {
  std::string out;
  Object(out).real("mean", l.mean).whole("p50", l.p50).whole("p95", l.p95).whole("p99", l.p99).whole("max", l.max).end();
  return out;
}

std::string json_of(const TaskOutcome& t) {
  std::string subnets = "{";
  for (const auto& [name, count] : t.subnets)
    subnets += (subnets.size() > 1 ? "," : "") + quoted(name) + ':' + std::to_string(count);
  std::string out;
  Object(out)
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
      .raw("subnets", subnets + '}')
      .end();
  return out;
}

std::string json_of(const AcceleratorOutcome& a) {
  std::string out;
  Object(out).text("name", a.name).whole("busy_ns", a.busy_ns).real("energy_nj", a.energy_nj).whole("switches", a.switches).end();
  return out;
}

template <class T>
std::string list(const std::vector<T>& all) {
  std::string out = "[";
  for (const T& each : all) out += (out.size() > 1 ? ",\n  " : "") + json_of(each);
  return out + ']';
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

std::string to_json(const Outcome& o) {
  std::string out;
  Object(out)
      .text("scenario", o.scenario)
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
      .whole("decisions", o.decisions)
      .end();
  return out + '\n';
}

}  // namespace takt::sim
