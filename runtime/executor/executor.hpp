// The executor process: keeps one device at a broker's disposal, also across the broker's death.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "takt/driver.hpp"
#include "takt/time.hpp"

namespace takt::executor {

struct ExecutorOptions {
  std::string device, socket, driver_name;
  Duration linger = std::chrono::seconds(60);  // without a broker, or for a launch to end
};

// Connects, serves, and connects again when the broker goes. Ends the process, with an exit code of sysexits.h, when
// asked to (SIGTERM, SIGINT, the broker's quit) and after `linger` without a broker; by _exit(), because destructors of
// vendor libraries may hang on a dead device. The two signals must be blocked before any thread starts.
[[noreturn]] void run_executor(const ExecutorOptions& options, std::unique_ptr<Driver> driver);

}  // namespace takt::executor
