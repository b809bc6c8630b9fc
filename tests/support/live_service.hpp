// A real taktd with null executors in a folder of its own, for tests that run the whole chain.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace takt::testing {

// Waits for something that other processes do; false after half a minute, which only a hang takes.
inline bool eventually(const std::function<bool()>& condition) {
  using namespace std::chrono_literals;
  for (int i = 0; i < 6000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

// A null model: `segments` segments of `cost` each, batch costs growing by a quarter a job.
struct NullModel {
  std::string name = "plain";
  std::vector<std::string> segments{"front", "back"};
  std::string cost_us = "500";
  std::vector<int> batches{1, 2, 4};
};

// Attributes of elements of the configuration.
struct ServiceAttributes {
  std::string service = R"(policy="edf+early_drop+fit" max_jobs="256")", scheduler = R"(priority="20" lock_memory="false")", accelerator;
  // With TAKT_NULL_DEVICE in the environment null executors keep activations, and devices are configured so.
  std::string device = std::getenv("TAKT_NULL_DEVICE") != nullptr ? R"(activations="own")" : "";
};

class LiveService {
 public:
  // `extra` goes into the configuration behind the models: stream presets.
  explicit LiveService(std::vector<NullModel> models = {NullModel{}}, int devices = 2, std::string extra = "",
                       std::string listener = R"(class="hard" memory="64MiB")", ServiceAttributes attributes = {})
      : models_(std::move(models)), devices_(devices), attributes_(std::move(attributes)) {
    std::string pattern = std::filesystem::temp_directory_path() / "takt-live-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    for (const NullModel& m : models_) write_model(m);
    write_configuration(extra, listener);
  }
  ~LiveService() {
    stop(SIGTERM);
    for (const pid_t pid : executors()) ::kill(pid, SIGKILL);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  LiveService(const LiveService&) = delete;
  LiveService& operator=(const LiveService&) = delete;

  // Waits until `executors` are up; -1: those of all devices.
  void start(const std::vector<std::string>& arguments = {}, int executors = -1) {
    std::vector<std::string> words{std::string(TAKT_BINARY_DIR) + "/bin/taktd", "--config", folder_ / "takt.xml"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    daemon_ = ::fork();
    if (daemon_ == 0) {
      if (const int log = logged_ ? ::open(log_path().c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600) : -1; log >= 0) {
        ::dup2(log, STDOUT_FILENO);
        ::dup2(log, STDERR_FILENO);
      }
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    eventually([&] { return executors_up() >= (executors < 0 ? devices_ : executors); });
  }
  // From the next start on what taktd and its executors say goes to a file.
  void keep_log() { logged_ = true; }
  [[nodiscard]] std::string log() const {
    std::stringstream text;
    text << std::ifstream(log_path()).rdbuf();
    return text.str();
  }
  // Returns the exit status or 128 + signal.
  int stop(int signal) {
    if (daemon_ <= 0) return -1;
    ::kill(daemon_, signal);
    int status = 0;
    ::waitpid(daemon_, &status, 0);
    daemon_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  [[nodiscard]] bool running() const { return daemon_ > 0 && ::waitpid(daemon_, nullptr, WNOHANG) == 0; }
  [[nodiscard]] std::string socket() const { return folder_ / "run/takt.sock"; }
  [[nodiscard]] std::filesystem::path folder() const { return folder_; }

  // Of this service's executors.
  [[nodiscard]] std::vector<pid_t> executors() const {
    std::vector<pid_t> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const pid_t pid = std::atoi(entry.path().filename().c_str());
      if (pid <= 0) continue;
      std::ifstream file(entry.path() / "cmdline");
      std::stringstream text;
      text << file.rdbuf();
      const std::string line = text.str();
      if (line.find("takt-exec") != std::string::npos && line.find(folder_.string() + "/") != std::string::npos) found.push_back(pid);
    }
    return found;
  }
  // Lines of the trace so far.
  [[nodiscard]] std::vector<std::string> trace() const {
    std::vector<std::string> lines;
    std::ifstream file(folder_ / "run/trace.csv");
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  // Accelerators that are up, by the trace.
  [[nodiscard]] int executors_up() const {
    int up = 0;
    for (const std::string& line : trace()) up += line.find(",up,") != std::string::npos ? 1 : line.find(",down,") != std::string::npos ? -1 : 0;
    return up;
  }

 private:
  void write_model(const NullModel& m) {
    std::filesystem::create_directories(folder_ / m.name);
    std::ofstream model(folder_ / m.name / "model.xml");
    model << "<model name=\"" << m.name << "\" version=\"1\" module=\"null\"><input name=\"frame\" dtype=\"u8\" dims=\"64\"/>"
          << "<output name=\"echo\" dtype=\"f32\" dims=\"16\"/><metric name=\"first\" output=\"echo\" kind=\"max\"/>";
    for (const std::string& s : m.segments)
      model << "<segment name=\"" << s << "\" activation_bytes=\"" << (s == m.segments.back() ? 0 : 256) << "\"/>";
    model << "</model>";
    for (int d = 0; d < devices_; ++d) {
      std::ofstream profile(folder_ / m.name / ("a" + std::to_string(d) + ".xml"));
      profile << "<profile model=\"" << m.name << "\" accelerator=\"a" << d << "\" driver=\"null\" machine=\"test\" date=\"2026-01-01\">";
      for (const std::string& s : m.segments)
        for (const int b : m.batches) {
          const double cost = std::stod(m.cost_us) * (0.75 + 0.25 * b);
          profile << "<cost segment=\"" << s << "\" batch=\"" << b << "\" p50=\"" << cost << "us\" p99=\"" << cost * 1.1 << "us\"/>";
        }
      profile << "</profile>";
    }
  }
  [[nodiscard]] std::string log_path() const { return folder_ / "log.txt"; }
  void write_configuration(const std::string& extra, const std::string& listener) {
    std::ofstream file(folder_ / "takt.xml");
    file << "<takt><service runtime_directory=\"run\" " << attributes_.service << "><scheduler " << attributes_.scheduler
         << "/><status path=\"status.sock\"/><trace file=\"trace.csv\"/></service>"
         << "<listener path=\"takt.sock\" mode=\"0600\" " << listener << "/>";
    for (int d = 0; d < devices_; ++d)
      file << "<device name=\"d" << d << "\" driver=\"null\" " << attributes_.device << "><accelerator name=\"a" << d << "\" cores=\"" << d << "\" " << attributes_.accelerator << "/></device>";
    for (const NullModel& m : models_) {
      file << "<model directory=\"" << m.name << "\">";
      for (int d = 0; d < devices_; ++d) file << "<profile accelerator=\"a" << d << "\" file=\"" << m.name << "/a" << d << ".xml\"/>";
      file << "</model>";
    }
    file << extra << "</takt>";
  }

  std::vector<NullModel> models_;
  int devices_;
  ServiceAttributes attributes_;
  std::filesystem::path folder_;
  bool logged_ = false;
  mutable pid_t daemon_ = 0;
};

}  // namespace takt::testing
