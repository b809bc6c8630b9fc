// Connections that ask for the status, and its text.
#include "daemon/status.hpp"

#include <spdlog/spdlog.h>

#include "files/json.hpp"

namespace takt::daemon {
namespace {

using files::JsonObject;

const char* truth(bool value) {
  return value ? "true" : "false";
}

std::string policy_json(const files::ServiceConfig& config, const PolicyReport& report) {
  JsonObject values;
  for (const PolicyReport::Item& item : report.items()) values.real(item.name, item.value);
  return JsonObject()
      .text("name", config.policy)
      .raw("settings",
           files::json_list(config.policy_settings, [](const std::string& s) { return files::json_text(s); }))
      .raw("values", values.end())
      .end();
}

std::string frames_json(const SchedulerReport& report) {
  JsonObject frames;
  frames.whole("released", report.core.released).whole("in_flight", report.in_flight);
  for (std::size_t v = 0; v < kVerdicts; ++v) frames.whole(to_string(static_cast<Verdict>(v)), report.core.verdicts[v]);
  return frames.end();
}

// What is not known is left out.
std::string device_json(const wire::DeviceHealth& h, bool disturbed) {
  JsonObject device;
  const auto real = [&](const char* key, float value) {
    if (value != -1) device.real(key, static_cast<double>(value));
  };
  const auto whole = [&](const char* key, std::int64_t value) {
    if (value >= 0) device.whole(key, value);
  };
  whole("energy_mj", h.energy_mj);
  real("power_w", h.power_w);
  real("temperature_c", h.temperature_c);
  real("busy", h.busy);
  real("pace", h.pace);
  whole("clock_mhz", h.clock_mhz);
  whole("memory_clock_mhz", h.memory_clock_mhz);
  whole("others", h.others);
  whole("late_allocations", h.late_allocations);
  return device.raw("throttled", truth(h.throttled != 0)).raw("disturbed", truth(disturbed)).end();
}

std::string accelerators_json(const files::ServiceConfig& config, const SchedulerReport& report,
                              const ServiceFacts& service) {
  std::size_t a = 0;
  return files::json_list(report.accelerators, [&](const SchedulerReport::AcceleratorReport& r) {
    const AcceleratorFacts& facts = service.accelerators[a];
    JsonObject all;
    all.text("name", config.accelerator(AcceleratorId{a++}).config.name)
        .raw("up", truth(r.up))
        .real("pace", r.correction.pace)
        .real("spread", r.correction.spread)
        .whole("detour_ns", to_ns(r.correction.detour))
        .whole("detour_spread_ns", to_ns(r.correction.detour_spread))
        .whole("sms", facts.sms)
        .text("note", facts.note);
    if (facts.health) all.raw("device", device_json(*facts.health, facts.disturbed));
    return all.end();
  });
}

}  // namespace

Result<StatusSocket> StatusSocket::bind(const files::StatusConfig& config) {
  auto listener = live::Listener::bind(config.path, config.mode);
  if (!listener) return tl::unexpected(listener.error());
  return StatusSocket(std::move(*listener));
}

void StatusSocket::accept() {
  for (;;) {
    auto socket = listener_.accept();
    if (!socket) {
      spdlog::warn("somebody who asked for the status was turned away: {}", socket.error().text);
      return;
    }
    if (!socket->valid()) return;
    if (asking_.size() < kMostAsking) asking_.push_back(std::move(*socket));
  }
}

// The queue of a fresh socket has room for the packet; who has gone again misses nothing.
void StatusSocket::answer(const std::string& json) {
  for (const live::FileDescriptor& socket : asking_)
    (void)live::send_packet(socket.get(), std::as_bytes(std::span(json)));
  asking_.clear();
}

std::string status_json(const files::ServiceConfig& config, const SchedulerReport& report, const ServiceFacts& facts) {
  return JsonObject()
      .raw("policy", policy_json(config, report.policy))
      .raw("accelerators", accelerators_json(config, report, facts))
      .raw("frames", frames_json(report))
      .whole("segments_started", report.core.starts)
      .whole("decisions", report.core.decisions)
      .whole("recalls", report.core.recalls)
      .whole("plan_items_refused", report.core.refused_plans)
      .whole("protocol_errors", facts.protocol_errors)
      .whole("trace_events_lost", facts.trace_events_lost)
      .whole("sessions", facts.sessions)
      .whole("streams", facts.streams)
      .text("degraded", facts.degraded)
      .whole("running_ns", to_ns(facts.running))
      .end();
}

}  // namespace takt::daemon
