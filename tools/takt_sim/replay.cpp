// Reads the recording and the configuration, runs the policy, writes both outcomes; see replay.hpp.
#include "replay.hpp"

#include <fstream>

#include "files/json.hpp"
#include "files/service_file.hpp"
#include "policies/support/compose.hpp"
#include "sim/engine.hpp"
#include "sim/outcome.hpp"
#include "sim/replay.hpp"

namespace takt::tool {
namespace {

using files::JsonObject;

double rate(std::uint64_t part, std::uint64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 1;
}

std::string recorded_json(const sim::Replay& replay) {
  std::uint64_t released = 0, on_time = 0;
  for (const sim::RecordedTask& t : replay.recorded) released += t.released, on_time += t.on_time;
  const auto task = [](const sim::RecordedTask& t) {
    return JsonObject()
        .text("name", t.name)
        .whole("released", t.released)
        .whole("on_time", t.on_time)
        .real("hit_rate", rate(t.on_time, t.released))
        .end();
  };
  return JsonObject()
      .real("hit_rate", rate(on_time, released))
      .whole("released", released)
      .whole("on_time", on_time)
      .whole("left_out", replay.left_out)
      .raw("tasks", files::json_list(replay.recorded, task, ",\n  "))
      .end();
}

}  // namespace

tl::expected<std::string, std::string> replay(const ReplayOptions& o) {
  const auto service = files::load_service(o.configuration);
  if (!service) return tl::unexpected(service.error().to_string());
  const auto recording = sim::read_recording(o.recorded);
  if (!recording) return tl::unexpected(recording.error().to_string());
  const auto replay = sim::make_replay(*recording, *service);
  if (!replay) return tl::unexpected(replay.error().to_string());
  auto policy = compose_policy(o.policy, o.settings);
  if (!policy) return tl::unexpected("--policy: " + policy.error());
  std::ofstream trace;
  if (!o.trace.empty()) trace.open(o.trace, std::ios::binary);
  if (!trace) return tl::unexpected("--trace: cannot write " + o.trace.string());
  const sim::RunOptions options{.ahead = static_cast<std::uint8_t>(o.ahead.value_or(replay->ahead)),
                                .trace = o.trace.empty() ? nullptr : &trace,
                                .playback = &replay->playback};
  const sim::Outcome outcome = sim::simulate(replay->scenario, **policy, o.policy, options);
  if (!o.trace.empty() && !trace.flush()) return tl::unexpected("--trace: cannot write " + o.trace.string());
  return sim::to_json(outcome, recorded_json(*replay));
}

}  // namespace takt::tool
