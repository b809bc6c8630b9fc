// posix_spawn and pidfd.
#include "live/child_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>

namespace takt::live {
namespace {

// What posix_spawn is told, freed at the end of the scope.
struct SpawnSettings {
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t files;

  SpawnSettings() {
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&files);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
  }
};

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& s : strings) out.push_back(s.data());
  out.push_back(nullptr);
  return out;
}

// Ours, with `changes` in place of what has the same name.
std::vector<std::string> merged_environment(const std::vector<std::string>& changes) {
  std::vector<std::string> out = changes;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const char* const equals = std::strchr(*entry, '=');
    if (equals == nullptr) continue;
    const std::string name(*entry, static_cast<std::size_t>(equals - *entry) + 1);
    bool replaced = false;
    for (const std::string& change : changes) replaced = replaced || change.starts_with(name);
    if (!replaced) out.emplace_back(*entry);
  }
  return out;
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const ChildOptions& options) {
  std::vector<std::string> arguments{options.program};
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  std::vector<std::string> environment = merged_environment(options.environment);
  const SpawnSettings settings;
  ChildProcess child;
  const int error = ::posix_spawn(&child.pid_, options.program.c_str(), &settings.files, &settings.attributes,
                                  pointers(arguments).data(), pointers(environment).data());
  if (error != 0) {
    child.pid_ = 0;
    const Code code = error == ENOENT                      ? Code::not_found
                      : error == EACCES || error == EPERM  ? Code::no_permission
                      : error == EAGAIN || error == ENOMEM ? Code::no_capacity
                                                           : Code::system;
    return fail(code, "cannot start a program", error);
  }
  // The pid cannot be reused before we reap it, so this names our child.
  child.pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, child.pid_, 0)));
  if (!child.pidfd_) {
    const int no_pidfd = errno;
    child.signal(SIGKILL);
    ::waitpid(child.pid_, nullptr, 0);
    return fail(Code::no_capacity, "cannot watch a child process", no_pidfd);
  }
  return child;
}

void ChildProcess::signal(int number) const noexcept {
  if (running()) ::kill(pid_, number);
}

std::optional<ChildEnd> ChildProcess::reap() noexcept {
  if (!running()) return std::nullopt;
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) return std::nullopt;
  pid_ = 0;
  pidfd_.reset();
  return ChildEnd{.killed = info.si_code != CLD_EXITED, .code = info.si_status};
}

}  // namespace takt::live
