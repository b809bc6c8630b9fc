// dlopen and the one versioned symbol.
#include "executor/driver_module.hpp"

#include <dlfcn.h>

#include <vector>

namespace takt::executor {
namespace {

std::filesystem::path find_module(const std::string& file, const std::filesystem::path& directory) {
  if (!directory.empty()) return directory / file;
  std::error_code ignored;
  const std::filesystem::path home = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  const std::vector<std::filesystem::path> places{home, home / "../lib", home / "../lib/takt"};
  for (const std::filesystem::path& place : places)
    if (std::filesystem::exists(place / file, ignored)) return place / file;
  return home / file;
}

}  // namespace

Parsed<std::unique_ptr<Driver>> load_driver(const std::string& name, const std::filesystem::path& directory) {
  const std::filesystem::path path = find_module("takt-driver-" + name + ".so", directory);
  const auto refuse = [&](std::string text) {
    return tl::unexpected<InputError>(InputError{path.string(), 0, "driver", std::move(text)});
  };
  void* const module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) return refuse(::dlerror());
  const auto* const entry = static_cast<const DriverEntry*>(::dlsym(module, kDriverSymbol));
  if (entry == nullptr) return refuse(std::string("is no driver: it has no symbol ") + kDriverSymbol);
  if (entry->abi != kDriverAbi)
    return refuse("was built for driver contract " + std::to_string(entry->abi) + ", this program has " +
                  std::to_string(kDriverAbi));
  std::unique_ptr<Driver> driver = entry->make();
  if (!driver) return refuse("cannot start: the accelerator's software is not usable on this machine");
  return driver;
}

}  // namespace takt::executor
