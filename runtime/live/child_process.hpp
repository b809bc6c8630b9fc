// Starting a program with clean descriptors and signals, and learning of its end without waiting.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "live/file_descriptor.hpp"
#include "takt/result.hpp"

namespace takt::live {

struct ChildOptions {
  std::string program;                   // a path; PATH is not searched
  std::vector<std::string> arguments;    // without the program's name
  std::vector<std::string> environment;  // NAME=value, added to or replacing ours
};

// How a child ended.
struct ChildEnd {
  bool killed = false;  // by a signal
  int code = 0;         // exit status, or the signal's number
};

// One child. The destructor does not end the child: executors outlive the broker. One thread.
class ChildProcess {
 public:
  ChildProcess() = default;
  // Standard input is /dev/null, output and error are ours, all other descriptors are closed; signals are at their
  // defaults. Blocks for about a millisecond. Fails with not_found, no_permission, no_capacity.
  [[nodiscard]] static Result<ChildProcess> start(const ChildOptions& options);

  [[nodiscard]] bool running() const noexcept { return pid_ > 0; }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  // Becomes readable when the child has ended; watch it in an EventLoop, then call reap().
  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }
  void signal(int number) const noexcept;
  // How it ended, once; nothing while it runs. Never blocks.
  [[nodiscard]] std::optional<ChildEnd> reap() noexcept;

 private:
  pid_t pid_ = 0;
  FileDescriptor pidfd_;
};

}  // namespace takt::live
