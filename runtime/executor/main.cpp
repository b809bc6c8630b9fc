// takt-exec: serves one device to the broker, or profiles a model on one accelerator.
#include <malloc.h>
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <sstream>

#include "executor/driver_module.hpp"
#include "executor/executor.hpp"
#include "executor/log.hpp"
#include "executor/profiler.hpp"
#include "files/xml.hpp"
#include "live/file_lock.hpp"

namespace {

using namespace takt;

constexpr const char* kAcceleratorForm =
    "name=NAME[,cores=0,1,...][,threads=N][,unit=N][,sms=N][,others=N,...][,precision=half|single]";

struct Arguments {
  executor::ExecutorOptions serve;
  executor::ProfileOptions profile;
  std::string driver_directory, lock, linger = "60s", accelerator;
  unsigned seconds = 60;
  double energy = 2;
};

// "name=cpu0,cores=0,1,threads=2" or "name=gpu0,unit=0,sms=32,precision=single": a bare value goes on with the list
// before it.
bool parse_accelerator(const std::string& text, AcceleratorConfig& config) {
  std::istringstream parts(text);
  std::string key;
  bool threads_given = false;
  for (std::string part; std::getline(parts, part, ',');) {
    const std::size_t equals = part.find('=');
    if (equals != std::string::npos) key = part.substr(0, equals);
    const std::string value = equals == std::string::npos ? part : part.substr(equals + 1);
    const std::optional<int> number = files::parse_number<int>(value);
    if (key == "name" && equals != std::string::npos && files::is_name(value))
      config.name = value;
    else if (key == "cores" && number && *number >= 0)
      config.cores.push_back(*number);
    else if (key == "threads" && equals != std::string::npos && number && *number > 0)
      config.threads = *number, threads_given = true;
    else if (key == "unit" && equals != std::string::npos && number && *number >= 0)
      config.unit = *number;
    else if (key == "sms" && equals != std::string::npos && number && *number >= 0)
      config.sms = *number;
    else if (key == "others" && number && *number >= 0)
      config.others.push_back(*number);
    else if (key == "precision" && equals != std::string::npos && (value == "half" || value == "single"))
      config.precision = value == "half" ? Precision::half : Precision::single;
    else
      return false;
  }
  if (!threads_given && !config.cores.empty()) config.threads = static_cast<int>(config.cores.size());
  return !config.name.empty();
}

void describe(CLI::App& app, Arguments& a) {
  app.add_option("--driver", a.serve.driver_name, "driver: loads takt-driver-NAME.so")->required();
  app.add_option("--driver-dir", a.driver_directory, "where driver modules are (default: beside this program, ../lib)");
  auto* const device = app.add_option("--device", a.serve.device, "name of the <device> to serve");
  auto* const socket = app.add_option("--socket", a.serve.socket, "the broker's executor socket");
  device->needs(socket);
  socket->needs(device);
  app.add_option("--lock", a.lock, "lock file of the device: a second executor ends with exit code 75");
  app.add_option("--linger", a.linger, "how long to wait for a broker to come back, e.g. 30s (default 60s)");
  auto* const output =
      app.add_option("--profile", a.profile.output, "measure a model, write its cost profile here, end");
  output->excludes(device)->excludes(socket);
  auto* const model = app.add_option("--model", a.profile.model, "directory of the model to measure")->needs(output);
  auto* const accelerator = app.add_option("--accelerator", a.accelerator, kAcceleratorForm)->needs(output);
  output->needs(model)->needs(accelerator);
  app.add_option("--batches", a.profile.batches, "batch sizes to measure (default 1,2,4,8)")
      ->delimiter(',')
      ->check(CLI::IsMember({1, 2, 4, 8, 16}))
      ->needs(output);
  app.add_option("--seconds", a.seconds, "time to aim at (default 60)")->check(CLI::Range(1, 86400))->needs(output);
  app.add_option("--energy", a.energy,
                 "seconds a row in which its energy is measured, where the driver can (default 2)")
      ->check(CLI::Range(0.0, 3600.0))
      ->needs(output);
  app.add_option("--priority", a.profile.priority, "measure under SCHED_FIFO with this priority (default 0: not)")
      ->check(CLI::Range(0, 99))
      ->needs(output);
}

// Memory once taken is kept, so that a warmed-up worker faults no page: no mmap for big blocks, no trimming, growth in
// large steps.
void tune_allocator() {
  ::mallopt(M_MMAP_MAX, 0);
  ::mallopt(M_TRIM_THRESHOLD, -1);
  ::mallopt(M_TOP_PAD, 64 * 1024 * 1024);
}

// Threads inherit the mask: only the main thread's signalfd hears of these.
void block_ending_signals() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
}

int usage(const char* text) {
  std::fprintf(stderr, "takt-exec: %s\n", text);
  return EX_USAGE;
}

int profile(Arguments& a, Driver& driver) {
  if (!parse_accelerator(a.accelerator, a.profile.accelerator))
    return usage((std::string("--accelerator must be ") + kAcceleratorForm).c_str());
  a.profile.driver_name = a.serve.driver_name;
  a.profile.time = std::chrono::seconds(a.seconds);
  a.profile.energy = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(a.energy));
  return executor::run_profile(a.profile, driver);
}

int run(Arguments& a) {
  const bool profiles = !a.profile.output.empty();
  const std::optional<Duration> linger = files::parse_duration(a.linger);
  if (!linger) return usage("--linger must be a duration, e.g. 30s");
  if (!profiles && a.serve.device.empty()) return usage("either --device and --socket or --profile must be given");
  a.serve.linger = *linger;
  if (!profiles) executor::set_log_name(a.serve.device.c_str());
  live::FileDescriptor lock;
  if (!a.lock.empty()) {
    Result<live::FileDescriptor> locked = live::lock_file(a.lock);
    if (!locked) {
      executor::log_line("%s: %s (%ld)", a.lock.c_str(), locked.error().text, locked.error().vendor);
      return locked.error().code == Code::already_exists ? EX_TEMPFAIL : EX_CANTCREAT;
    }
    lock = std::move(*locked);
  }
  if (!profiles) block_ending_signals();
  tune_allocator();
  Parsed<std::unique_ptr<Driver>> driver = executor::load_driver(a.serve.driver_name, a.driver_directory);
  if (!driver) {
    executor::log_line("%s", driver.error().to_string().c_str());
    return EX_UNAVAILABLE;
  }
  if (profiles) return profile(a, **driver);
  executor::run_executor(a.serve, std::move(*driver));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("takt-exec: runs a model's segments on one device for taktd, or measures them.");
  Arguments arguments;
  describe(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EX_OK : EX_USAGE;
  }
  return run(arguments);
}
