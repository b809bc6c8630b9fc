// One write a line, so that lines of several executors do not mix.
#include "executor/log.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>

namespace takt::executor {
namespace {
std::array<char, 96> name{"takt-exec"};
}

void set_log_name(const char* device) {
  std::snprintf(name.data(), name.size(), "takt-exec[%s]", device);
}

void log_line(const char* format, ...) {
  std::array<char, 1024> line{};
  const auto head = static_cast<std::size_t>(std::snprintf(line.data(), line.size(), "%s: ", name.data()));
  va_list arguments;
  va_start(arguments, format);
  const int body = std::vsnprintf(line.data() + head, line.size() - head - 1, format, arguments);
  va_end(arguments);
  if (body < 0) return;
  const std::size_t length = std::min(head + static_cast<std::size_t>(body), line.size() - 2);
  line[length] = '\n';
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), length + 1);
}

}  // namespace takt::executor
