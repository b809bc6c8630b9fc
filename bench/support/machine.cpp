// Reading /proc and /sys; see machine.hpp.
#include "support/machine.hpp"

#include <sys/utsname.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

namespace takt::bench {
namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The value of the first line that starts with `key`; /proc/cpuinfo writes "key : value".
std::string cpu_info(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with(key) && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &parts);
  return text.data();
}

}  // namespace

nlohmann::json describe_machine() {
  utsname kernel{};
  ::uname(&kernel);
  const std::string governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  return {{"cpu", cpu_info("model name")},
          {"cores", std::thread::hardware_concurrency()},
          {"kernel", std::string(kernel.sysname) + " " + kernel.release + " " + kernel.machine},
          {"virtual", cpu_info("flags").find("hypervisor") != std::string::npos},
          {"governor", governor.empty() ? "not readable" : governor},
          {"realtime_share_us", first_line("/proc/sys/kernel/sched_rt_runtime_us")},
          {"load", first_line("/proc/loadavg")},
          {"date", today()}};
}

void print_machine(const nlohmann::json& m) {
  const auto text = [&](const char* key) { return m.at(key).get<std::string>(); };
  std::printf("machine: %s, %u cores%s, %s, governor %s\n", text("cpu").c_str(), m.at("cores").get<unsigned>(),
              m.at("virtual").get<bool>() ? ", virtual" : "", text("kernel").c_str(), text("governor").c_str());
  std::printf("%s, load average %s\n", text("date").c_str(), text("load").c_str());
}

void save(const std::string& path, const nlohmann::json& report) {
  if (path.empty()) return;
  std::ofstream file(path);
  file << report.dump(1) << '\n';
  if (!file) give_up("cannot write " + path);
}

void give_up(const std::string& why) {
  std::fflush(stdout);
  std::fprintf(stderr, "bench: %s\n", why.c_str());
  std::exit(1);
}

}  // namespace takt::bench
