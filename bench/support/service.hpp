// A real taktd with takt-exec and the null driver in a folder of its own, placed and configured as a benchmark wants
// it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "support/probe.hpp"

namespace takt::bench {

// A null model: one input of `bytes` bytes, one result of 64, segments of `cost` (a duration such as "1us") each.
struct NullModel {
  std::string name;
  std::uint64_t bytes = 64;
  std::string cost = "1us";
  int segments = 1;
};

struct ServiceOptions {
  std::filesystem::path programs;  // folder of taktd and takt-exec; empty: where this program is
  std::vector<NullModel> models;
  std::string policy = "edf+early_drop+fit";
  int broker_core = 0, executor_core = 0;
  int ahead = 1;                         // segments posted ahead of the running one
  int max_batch = 8;                     // most jobs of one launch
  bool trace = false;                    // trace.csv in the folder
  bool probe = false;                    // preload libbench-probe.so into both
  std::vector<std::string> environment;  // NAME=value
};

// Ends the program if the service cannot be started. The destructor stops it and removes its folder.
class Service {
 public:
  explicit Service(const ServiceOptions& options);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  [[nodiscard]] std::string socket() const { return folder_ / "takt.sock"; }
  [[nodiscard]] std::filesystem::path folder() const { return folder_; }  // with takt.xml and the trace
  // Ends it and waits for it; the trace is whole then.
  void stop();
  [[nodiscard]] pid_t broker() const noexcept { return broker_; }
  [[nodiscard]] pid_t executor() const;
  // Of a probed process; null if it has no page.
  [[nodiscard]] const ProbePage* probe(pid_t process) const;

 private:
  void write_files(const ServiceOptions& options) const;
  void start(const ServiceOptions& options);
  void wait_until_ready() const;

  std::filesystem::path folder_;
  pid_t broker_ = 0;
};

// Resident memory of a process in KiB, and its CPU time in nanoseconds over all its threads.
[[nodiscard]] std::int64_t resident_kib(pid_t process);
[[nodiscard]] std::int64_t cpu_ns(pid_t process);

}  // namespace takt::bench
