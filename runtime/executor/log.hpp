// The executor's messages to the operator: lines on standard error, which the service manager keeps.
#pragma once

namespace takt::executor {

// Not on worker threads in their steady state: it blocks on the terminal. Each call is one line.
[[gnu::format(printf, 1, 2)]] void log_line(const char* format, ...);

// What every line begins with from now on, for example "takt-exec[gpu0]". Before other threads start.
void set_log_name(const char* device);

}  // namespace takt::executor
