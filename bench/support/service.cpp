// Writing the configuration, starting and stopping the processes; see service.hpp.
#include "support/service.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "support/machine.hpp"
#include "takt/takt.h"

namespace takt::bench {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

fs::path own_folder() {
  return fs::read_symlink("/proc/self/exe").parent_path();
}

void write_model(const fs::path& folder, const NullModel& m) {
  fs::create_directories(folder / m.name);
  std::ofstream model(folder / m.name / "model.xml");
  model << "<model name=\"" << m.name << "\" version=\"1\" module=\"null\"><input name=\"frame\" dtype=\"u8\" dims=\""
        << m.bytes << "\"/><output name=\"echo\" dtype=\"u8\" dims=\"64\"/>";
  std::ofstream profile(folder / m.name / "profile.xml");
  profile << "<profile model=\"" << m.name << "\" accelerator=\"null0\" driver=\"null\">";
  for (int s = 0; s < m.segments; ++s) {
    model << "<segment name=\"s" << s << "\" activation_bytes=\"" << (s + 1 < m.segments ? 64 : 0) << "\"/>";
    profile << "<cost segment=\"s" << s << "\" batch=\"1\" p50=\"" << m.cost << "\" p99=\"" << m.cost << "\"/>";
  }
  model << "</model>";
  profile << "</profile>";
  if (!model.flush() || !profile.flush()) give_up("cannot write " + (folder / m.name).string());
}

// The children of a process, from /proc.
std::vector<pid_t> children(pid_t parent) {
  std::vector<pid_t> found;
  for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(parent) + "/task")) {
    std::ifstream file(task.path() / "children");
    for (pid_t pid = 0; file >> pid;) found.push_back(pid);
  }
  return found;
}

}  // namespace

Service::Service(const ServiceOptions& options) {
  std::string pattern = fs::temp_directory_path() / "takt-bench-XXXXXX";
  folder_ = ::mkdtemp(pattern.data());
  write_files(options);
  start(options);
  wait_until_ready();
}

Service::~Service() {
  stop();
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void Service::stop() {
  if (broker_ == 0) return;
  const auto executors = children(broker_);
  ::kill(broker_, SIGTERM);
  ::waitpid(broker_, nullptr, 0);
  for (const pid_t pid : executors) ::kill(pid, SIGKILL);  // only if the broker could not end it
  broker_ = 0;
}

void Service::write_files(const ServiceOptions& options) const {
  for (const NullModel& m : options.models) write_model(folder_, m);
  std::ofstream file(folder_ / "takt.xml");
  file << "<takt><service runtime_directory=\".\" policy=\"" << options.policy << "\" max_batch=\""
       << options.max_batch << "\"><scheduler core=\""
       << options.broker_core << "\" priority=\"20\"/>" << (options.trace ? "<status path=\"status.sock\"/><trace file=\"trace.csv\"/>" : "") << "</service>"
       << R"(<listener path="takt.sock" mode="0600" class="hard" memory="1GiB"/>)"
       << R"(<device name="null" driver="null"><accelerator name="null0" cores=")" << options.executor_core
       << "\" ahead=\"" << options.ahead << "\"/></device>";
  for (const NullModel& m : options.models)
    file << "<model directory=\"" << m.name << R"("><profile accelerator="null0" file=")" << m.name
         << "/profile.xml\"/></model>";
  file << "</takt>";
  if (!file.flush()) give_up("cannot write " + folder_.string());
}

void Service::start(const ServiceOptions& options) {
  const fs::path programs = options.programs.empty() ? own_folder() : options.programs;
  const std::string taktd = programs / "taktd", config = folder_ / "takt.xml", log = folder_ / "log";
  if (!fs::exists(taktd)) give_up("there is no taktd in " + programs.string() + ": build it, or name its folder");
  const pid_t parent = ::getpid();
  broker_ = ::fork();
  if (broker_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);
  for (const std::string& each : options.environment) ::putenv(const_cast<char*>(each.c_str()));
  if (options.probe) {
    ::setenv("LD_PRELOAD", (own_folder().parent_path() / "lib/libbench-probe.so").c_str(), 1);
    ::setenv(kProbeFolder, folder_.c_str(), 1);
  }
  const int out = ::open(log.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  ::dup2(out, STDERR_FILENO);
  ::execl(taktd.c_str(), "taktd", "--config", config.c_str(), static_cast<char*>(nullptr));
  ::_exit(127);
}

// Until every model is loaded: clients are told when they connect.
void Service::wait_until_ready() const {
  for (int i = 0; i < 1000; ++i) {
    takt_client* client = nullptr;
    bool ready = takt_connect(socket().c_str(), "bench", &client) == 0;
    takt_model_info info;
    for (int m = 0; ready && m < takt_model_count(client); ++m)
      ready = takt_model(client, m, &info) == 0 && info.ready != 0;
    if (client != nullptr) takt_disconnect(client);
    if (ready) return;
    if (::waitpid(broker_, nullptr, WNOHANG) != 0) break;
    std::this_thread::sleep_for(10ms);
  }
  std::ifstream log(folder_ / "log");
  std::stringstream text;
  text << log.rdbuf();
  give_up("the service did not come up:\n" + text.str());
}

pid_t Service::executor() const {
  const auto found = children(broker_);
  return found.empty() ? 0 : found.front();
}

const ProbePage* Service::probe(pid_t process) const {
  const std::string end = "." + std::to_string(process);
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (!entry.path().filename().string().ends_with(end)) continue;
    const int fd = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    void* const memory = fd < 0 ? MAP_FAILED : ::mmap(nullptr, sizeof(ProbePage), PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0) ::close(fd);
    return memory == MAP_FAILED ? nullptr : static_cast<const ProbePage*>(memory);
  }
  return nullptr;
}

std::int64_t resident_kib(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("VmRSS:")) return std::stoll(line.substr(6));
  return 0;
}

std::int64_t cpu_ns(pid_t process) {
  std::int64_t sum = 0;
  std::error_code ended;
  for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(process) + "/task", ended)) {
    std::ifstream file(task.path() / "schedstat");
    std::int64_t ns = 0;
    if (file >> ns) sum += ns;
  }
  return sum;
}

}  // namespace takt::bench
