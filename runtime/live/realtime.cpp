// Scheduling classes, affinity, locked memory; and what to tell the operator when the kernel says no.
#include "live/realtime.hpp"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace takt::live {
namespace {

constexpr const char* kGroupRuntime = "cpu.rt_runtime_us";

// The cgroup v1 cpu group of this process, if the kernel has real-time group scheduling and the group's share of it is
// none.
std::string group_without_realtime() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t controllers = line.find(':'), path = line.find(':', controllers + 1);
    if (controllers == std::string::npos || path == std::string::npos) continue;
    const std::string names = "," + line.substr(controllers + 1, path - controllers - 1) + ",";
    if (names.find(",cpu,") == std::string::npos) continue;
    for (const char* root : {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}) {
      std::ifstream file(std::string(root) + line.substr(path + 1) + "/" + kGroupRuntime);
      long runtime = -1;
      if (file >> runtime && runtime == 0) return line.substr(path + 1);
    }
  }
  return {};
}

std::string why_no_fifo(int priority, int error) {
  std::string text = "SCHED_FIFO " + std::to_string(priority) + " was denied (" + std::strerror(error) + "): ";
  if (error != EPERM) return text + "use a priority from 1 to 99";
  const std::string group = group_without_realtime();
  if (!group.empty())
    return text + "the cpu control group " + group + " has no real-time share; write one to its " + kGroupRuntime;
  rlimit limit{};
  ::getrlimit(RLIMIT_RTPRIO, &limit);
  if (limit.rlim_cur < static_cast<rlim_t>(priority))
    return text + "the limit RTPRIO is " + std::to_string(limit.rlim_cur) +
           "; set LimitRTPRIO= in the unit or rtprio in limits.conf, or give CAP_SYS_NICE";
  return text + "the sandbox forbids it (RestrictRealtime= or a system call filter)";
}

}  // namespace

void name_thread(const std::string& name) noexcept {
  char cut[16] = {};
  std::strncpy(cut, name.c_str(), sizeof(cut) - 1);
  ::pthread_setname_np(::pthread_self(), cut);
}

Result<void> pin_thread(std::span<const int> cores) noexcept {
  if (cores.empty()) return {};
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) {
    if (core < 0 || core >= CPU_SETSIZE) return fail(Code::invalid_argument, "no such CPU", core);
    CPU_SET(static_cast<std::size_t>(core), &set);
  }
  if (::sched_setaffinity(0, sizeof(set), &set) != 0)
    return fail(errno == EINVAL ? Code::invalid_argument : Code::system,
                "cannot run on the given CPUs: not there, offline, or outside of the cpuset", errno);
  return {};
}

Grant take_fifo(int priority) {
  sched_param parameter{};
  parameter.sched_priority = priority;
  if (::sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameter) == 0)
    return {.granted = true, .error = 0, .text = {}};
  const int error = errno;
  return {.granted = false, .error = error, .text = why_no_fifo(priority, error)};
}

void leave_fifo() noexcept {
  const sched_param parameter{};
  ::sched_setscheduler(0, SCHED_OTHER, &parameter);
}

void set_timer_slack() noexcept {
  ::prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
}

void prefault_stack(std::size_t bytes) noexcept {
  constexpr std::size_t kPage = 4096;
  auto* const stack = static_cast<volatile char*>(__builtin_alloca(bytes));
  for (std::size_t i = bytes; i >= kPage; i -= kPage) stack[i - 1] = 0;
}

Grant lock_memory() {
  if (::mlockall(MCL_CURRENT | MCL_FUTURE) == 0) return {.granted = true, .error = 0, .text = {}};
  const int error = errno;
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  return {.granted = false,
          .error = error,
          .text = std::string("memory cannot be locked (") + std::strerror(error) + "): the limit MEMLOCK is " +
                  std::to_string(limit.rlim_cur / 1024) +
                  " KiB; set LimitMEMLOCK=infinity in the unit or memlock in limits.conf, or give CAP_IPC_LOCK"};
}

}  // namespace takt::live
