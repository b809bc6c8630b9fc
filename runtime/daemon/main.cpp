// taktd: the broker. Reads the configuration, then serves until it is told to stop.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sysexits.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

#include "daemon/control.hpp"
#include "files/service_file.hpp"
#include "policies/support/compose.hpp"

namespace {

// Beside this program when run from a build tree, else where the package puts them.
takt::daemon::Programs find_programs() {
  std::error_code ignored;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  takt::daemon::Programs p{.executor = here / "takt-exec", .driver_dir = here.parent_path() / "lib"};
  if (!std::filesystem::exists(p.executor)) p = {"/usr/libexec/takt/takt-exec", "/usr/lib/takt"};
  return p;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"taktd: deadline-aware inference broker"};
  app.set_version_flag("--version", "taktd 0.1.0");
  std::string file = "/etc/takt/takt.xml";
  std::string policy;
  std::vector<std::string> settings;
  bool check = false;
  takt::daemon::Programs programs = find_programs();
  app.add_option("--config", file, "service configuration (takt.xml)")->capture_default_str();
  app.add_flag("--check-config", check, "read and check the configuration, its models and profiles, then exit");
  app.add_option("--policy", policy, "in place of the configuration's policy and its settings, such as sdrm3:full");
  app.add_option("--set", settings, "key=value for the policy, such as window_ms=250; may be repeated");
  app.add_option("--executor", programs.executor, "path of takt-exec")->capture_default_str();
  app.add_option("--driver-dir", programs.driver_dir, "folder of the driver modules")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : EX_USAGE;
  }
  spdlog::set_default_logger(spdlog::stderr_color_mt("taktd"));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  auto service = takt::files::load_service(file);
  if (!service) {
    std::cerr << service.error().to_string() << '\n';
    return EX_CONFIG;
  }
  takt::files::ServiceConfig& config = service->config;
  if (!policy.empty()) config.policy = policy, config.policy_settings.clear();
  config.policy_settings.insert(config.policy_settings.end(), settings.begin(), settings.end());
  if (const auto composed = takt::compose_policy(config.policy, config.policy_settings); !composed) {
    const bool asked = !policy.empty() || !settings.empty();
    std::cerr << (asked ? "taktd: --policy" : file + ": service policy") << ": " << composed.error() << '\n';
    return asked ? EX_USAGE : EX_CONFIG;
  }
  if (check) {
    std::cout << file << ": ok, " << service->models.size() << " models, " << service->config.accelerators() << " accelerators, "
              << service->config.streams.size() << " stream presets\n";
    return 0;
  }
  std::error_code made;
  std::filesystem::create_directories(service->config.runtime_directory, made);
  auto control = takt::daemon::Control::make(*service, std::move(programs));
  if (!control) {
    spdlog::critical("{}", control.error());
    return EX_OSERR;
  }
  return (*control)->run();
}
