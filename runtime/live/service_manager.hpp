// Telling systemd how a service is, without its library: the sd_notify protocol is one datagram.
#pragma once

#include <string_view>

namespace takt::live {

// For example "READY=1". Does nothing if nobody asked to be told (no NOTIFY_SOCKET). Any thread; never blocks.
void tell_service_manager(std::string_view state) noexcept;

}  // namespace takt::live
