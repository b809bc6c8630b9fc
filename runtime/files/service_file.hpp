// The service configuration takt.xml: who may connect, what runs where, which models and which preset streams.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "takt/cost.hpp"
#include "takt/driver.hpp"
#include "takt/ids.hpp"
#include "takt/job.hpp"
#include "takt/model.hpp"
#include "takt/result.hpp"
#include "takt/time.hpp"

namespace takt::files {

struct SchedulerConfig {
  int core = -1;      // CPU number; -1: not pinned
  int priority = 20;  // SCHED_FIFO; 0: no real time
  bool lock_memory = true;
  Duration spin{};  // before it sleeps; only where the core is its own
};

struct TraceConfig {
  std::filesystem::path file;
  std::uint32_t events = 65536;  // room of the ring
};

// A socket that tells every connection what the service is at; see daemon/status.hpp.
struct StatusConfig {
  std::filesystem::path path;
  unsigned mode = 0600;
};

struct ActivationsConfig {
  std::uint32_t slots = 64;
  std::uint64_t bytes = 0;  // of one slot; 0: the largest activation of the models
};

struct Limits {
  std::uint32_t sessions = 0, streams = 0;
  std::uint64_t memory = 0;  // bytes of buffer pools
};

struct ListenerConfig {
  std::filesystem::path path;
  std::string group;  // empty: that of the process
  unsigned mode = 0660;
  Criticality greatest = Criticality::soft;         // the greatest class its clients may ask for
  Limits limits{32, 64, std::uint64_t{512} << 20};  // of all its sessions together
  std::uint32_t credits = 64;                       // of a session
  Limits user{32, 64, std::uint64_t{512} << 20};    // of one user id; not over `limits`
  int line = 0;
};

struct AcceleratorEntry {
  AcceleratorConfig config;
  std::uint8_t ahead = 1;    // entries posted ahead of the running one
  Duration spin{};           // of its workers before they sleep
  int priority = 15;         // SCHED_FIFO of the real-time worker; 0: no real time
  bool realtime = true;      // whether it has a worker for hard and firm jobs
  int line = 0;
};

enum class ExecutorStart : std::uint8_t { spawn, external };

// Where activations of jobs between two segments are: in memory that such devices share, or on the device alone.
enum class Activations : std::uint8_t { shared, own };

struct DeviceConfig {
  std::string name, driver;
  ExecutorStart executor = ExecutorStart::spawn;
  Activations activations = Activations::shared;
  std::vector<AcceleratorEntry> accelerators;
  int line = 0;
};

struct ProfileEntry {
  AcceleratorId accelerator;
  std::filesystem::path file;
  int line = 0;
};

struct ModelEntry {
  std::filesystem::path directory;
  std::vector<ProfileEntry> profiles;  // at least one; on other accelerators it cannot run
  int line = 0;
};

// A preset. A child (`parent` set) takes its parent's frames and picture; its trigger compares a metric of the parent.
struct StreamEntry {
  std::string name, model;
  PictureFormat picture = PictureFormat::none;
  std::uint32_t width = 0, height = 0;
  StreamSpec spec;     // model, form and trigger.metric are set by resolve_streams(); parent: position in the list
  std::string metric;  // name of the metric that the trigger compares
  int line = 0;
};

struct ServiceConfig {
  std::filesystem::path file;    // as it was named; for messages
  std::filesystem::path folder;  // of the file, complete
  std::filesystem::path runtime_directory;
  std::string policy = "takt";
  std::vector<std::string> policy_settings;  // "key=value"; which there are is the policy's to say
  std::uint32_t max_jobs = 1024, max_streams = 256, max_batch = 8;
  double budget_margin = 0.1;
  SchedulerConfig scheduler;
  std::optional<StatusConfig> status;
  std::optional<TraceConfig> trace;
  ActivationsConfig activations;
  std::vector<ListenerConfig> listeners;
  std::vector<DeviceConfig> devices;
  std::vector<ModelEntry> models;
  std::vector<StreamEntry> streams;

  [[nodiscard]] std::size_t accelerators() const noexcept;  // AcceleratorId counts through the devices in order
  [[nodiscard]] const AcceleratorEntry& accelerator(AcceleratorId id) const;
  [[nodiscard]] const DeviceConfig& device_of(AcceleratorId id) const;
};

// Everything that can be told without opening other files. All paths in the result are complete: sockets and trace
// start at runtime_directory, models, profiles and runtime_directory itself at `folder`. Blocks on the
// disk.
[[nodiscard]] Parsed<ServiceConfig> read_service(const std::filesystem::path& path);
[[nodiscard]] Parsed<ServiceConfig> parse_service(std::string_view xml, const std::filesystem::path& path);

// Reads the model files; ModelId is the position in the list, variants count on from one model to the next.
[[nodiscard]] Parsed<std::vector<Model>> read_models(const ServiceConfig& config);
[[nodiscard]] Parsed<CostTable> read_costs(const ServiceConfig& config, std::span<const Model> models);
// The presets as the scheduler wants them: model, form and metric found by name.
[[nodiscard]] Parsed<std::vector<StreamSpec>> resolve_streams(const ServiceConfig& config,
                                                              std::span<const Model> models);

// Unless every profile has measured energies, a segment takes 1 nJ a nanosecond everywhere, as synthetic tasks of
// scenarios have it: so UXCost and scores of energy compare times, never a measured energy with an assumed one.
inline constexpr double kNominalWatts = 1;

struct Service {
  ServiceConfig config;
  std::vector<Model> models;
  CostTable costs;
  std::vector<StreamSpec> presets;  // parallel to config.streams
};
// All of the above, and energies in costs and models: what the daemon starts from and what a check of a configuration means.
[[nodiscard]] Parsed<Service> load_service(const std::filesystem::path& path);

}  // namespace takt::files
