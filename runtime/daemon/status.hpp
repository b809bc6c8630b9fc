// The status socket: whoever connects gets one JSON object as one packet, and the end of the connection.
#pragma once

#include <string>
#include <vector>

#include "daemon/executors.hpp"
#include "daemon/traffic.hpp"
#include "files/service_file.hpp"
#include "live/unix_socket.hpp"

namespace takt::daemon {

// Used by the control thread; never blocks. Nothing that is said to it is read.
class StatusSocket {
 public:
  [[nodiscard]] static Result<StatusSocket> bind(const files::StatusConfig& config);
  [[nodiscard]] int fd() const noexcept { return listener_.fd(); }
  // Takes everybody who has connected; beyond kMostAsking they are turned away.
  void accept();
  [[nodiscard]] bool asked() const noexcept { return !asking_.empty(); }
  // Tells everybody who asked.
  void answer(const std::string& json);

 private:
  static constexpr std::size_t kMostAsking = 32;
  explicit StatusSocket(live::Listener listener) : listener_(std::move(listener)) {}
  live::Listener listener_;
  std::vector<live::FileDescriptor> asking_;
};

// What the control thread adds to the scheduler's report.
struct ServiceFacts {
  Duration running{};  // since the start
  std::uint64_t protocol_errors = 0, trace_events_lost = 0;
  std::string_view degraded;  // why there is no real time; empty: there is
  std::size_t sessions = 0, streams = 0;
  std::vector<AcceleratorFacts> accelerators;  // by number
};

// {"policy":{"name","settings":[],"values":{}},"accelerators":[{"name","up","pace",...,"sms","note","device":{...}}],
//  "frames":{...},...}; "device" has what its driver measures, and is missing where it measures nothing.
[[nodiscard]] std::string status_json(const files::ServiceConfig& config, const SchedulerReport& report,
                                      const ServiceFacts& facts);

}  // namespace takt::daemon
