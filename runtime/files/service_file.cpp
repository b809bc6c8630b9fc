// takt.xml into ServiceConfig: one reader an element, then what must hold between them.
#include "files/service_file.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "files/words.hpp"
#include "files/xml.hpp"
#include "wire/executor_protocol.hpp"
#include "wire/protocol.hpp"
#include "wire/rings.hpp"

namespace takt::files {
namespace {

using namespace std::chrono_literals;

constexpr std::array<std::pair<std::string_view, Criticality>, 3> kClasses{
    {{"hard", Criticality::hard}, {"firm", Criticality::firm}, {"soft", Criticality::soft}}};
constexpr std::array<std::pair<std::string_view, LateRule>, 2> kLateRules{
    {{"abort", LateRule::abort}, {"finish", LateRule::finish}}};
constexpr std::array<std::pair<std::string_view, QueueRule>, 3> kQueueRules{
    {{"keep", QueueRule::keep}, {"newest-wins", QueueRule::newest_wins}, {"drop-oldest", QueueRule::drop_oldest}}};
constexpr std::array<std::pair<std::string_view, ExecutorStart>, 2> kExecutorStarts{
    {{"spawn", ExecutorStart::spawn}, {"external", ExecutorStart::external}}};
constexpr std::array<std::pair<std::string_view, Activations>, 2> kActivations{
    {{"shared", Activations::shared}, {"own", Activations::own}}};
constexpr std::array<std::pair<std::string_view, Precision>, 2> kPrecisions{
    {{"half", Precision::half}, {"single", Precision::single}}};

constexpr std::int64_t kMaxPriority = 49;    // threaded interrupts of the kernel run at 50
constexpr std::int64_t kMaxCore = 1023;      // of a cpu_set_t
constexpr std::int64_t kMaxPostedAhead = 3;  // core's kMaxAhead
constexpr std::size_t kMaxDevices = 16;
constexpr std::size_t kMaxListeners = 16;
constexpr std::size_t kMaxModels = std::tuple_size_v<decltype(wire::ExecutorHello::held)>;
constexpr std::size_t kMaxCores = std::tuple_size_v<decltype(wire::OpenAccelerator::core)>;
constexpr std::size_t kMaxSocketPath = 107;  // of sockaddr_un
constexpr std::size_t kMaxPath = sizeof(wire::Path) - 1;
constexpr Duration kMaxSpin = 1ms;
constexpr Duration kMaxPeriod = 1h;
constexpr Duration kMaxDeadline{wire::kMaxDeadlineAheadNs};
constexpr std::uint64_t kKiB = 1024, kGiB = kKiB * kKiB * kKiB;

std::uint32_t count(Element& e, const char* key, std::int64_t least, std::int64_t most, std::int64_t fallback) {
  return static_cast<std::uint32_t>(e.integer(key, least, most, fallback));
}

// The path at `key`, completed from `start` if it is relative.
std::filesystem::path path(Element& e, const char* key, const std::filesystem::path& start, std::size_t most) {
  std::filesystem::path full = (start / e.text(key)).lexically_normal();
  if (!full.has_filename()) full = full.parent_path();  // "a/" is "a"
  if (full.native().size() > most) e.refuse(key, "is longer than " + std::to_string(most) + " bytes when complete");
  return full;
}

// Which names there are is the daemon's to say, which has the table of policies.
std::string policy(Element& e) {
  std::string text = e.text("policy", "takt");
  bool good = true, after_name = false;
  for (const char c : text) {
    const bool separator = c == '+' || c == ':';
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    good = good && (separator ? after_name : letter);
    after_name = !separator;
  }
  if (!good || !after_name) e.refuse("policy", "must be names of policies joined by '+', such as edf+drop+fit");
  return text;
}

std::vector<std::string> policy_settings(Element& e) {
  constexpr std::size_t kMostSettings = 32;
  std::vector<std::string> all = e.words("policy_settings", kMostSettings, false);
  for (const std::string& one : all) {
    const std::size_t equals = one.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == one.size())
      e.refuse("policy_settings", "must be words such as window_ms=250, with spaces between");
  }
  return all;
}

unsigned mode(Element& e, const char* standard) {
  const std::string text = e.text("mode", standard);
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits, 8);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  if (!whole || text.size() != 4 || bits > 0777) e.refuse("mode", "must be 4 octal digits up to 0777, such as 0660");
  return bits;
}

void read_scheduler(Element& e, SchedulerConfig& scheduler) {
  scheduler.core = static_cast<int>(e.integer("core", 0, kMaxCore, -1));
  scheduler.priority = static_cast<int>(e.integer("priority", 0, kMaxPriority, scheduler.priority));
  scheduler.lock_memory = e.boolean("lock_memory", scheduler.lock_memory);
  scheduler.spin = e.duration("spin", Duration{0}, kMaxSpin, Duration{0});
  if (scheduler.spin > Duration{0} && scheduler.core < 0) e.refuse("spin", "must be 0 unless it has a core");
}

void read_service_element(Element& e, ServiceConfig& config) {
  config.runtime_directory = path(e, "runtime_directory", config.folder, kMaxPath);
  config.policy = policy(e);
  config.policy_settings = policy_settings(e);
  config.max_jobs = count(e, "max_jobs", 1, 65536, config.max_jobs);
  config.max_streams = count(e, "max_streams", 1, 4096, config.max_streams);
  config.max_batch = count(e, "max_batch", 1, kMaxBatch, config.max_batch);
  config.budget_margin = e.real("budget_margin", 0, 10, config.budget_margin);
  e.at_most_one("scheduler", [&](Element& scheduler) { read_scheduler(scheduler, config.scheduler); });
  e.at_most_one("status", [&](Element& status) {
    config.status = StatusConfig{path(status, "path", config.runtime_directory, kMaxSocketPath), mode(status, "0600")};
  });
  e.at_most_one("trace", [&](Element& trace) {
    config.trace = TraceConfig{path(trace, "file", config.runtime_directory, kMaxPath),
                               count(trace, "events", 1024, 16'777'216, TraceConfig{}.events)};
  });
  e.at_most_one("activations", [&](Element& slots) {
    config.activations.slots = count(slots, "slots", 1, 65536, config.activations.slots);
    config.activations.bytes = slots.size("bytes", kKiB, kGiB, 0);
  });
}

constexpr Limits kMostLimits{4096, 4096, 1024 * kGiB};

Limits read_limits(Element& e, const Limits& most, const Limits& standard) {
  Limits limits;
  limits.sessions = count(e, "sessions", 1, most.sessions, standard.sessions);
  limits.streams = count(e, "streams", 1, most.streams, standard.streams);
  limits.memory = e.size("memory", 1024 * kKiB, most.memory, standard.memory);
  return limits;
}

void read_listener(Element& e, ServiceConfig& config, std::set<std::string>& paths) {
  ListenerConfig listener;
  listener.line = e.line();
  listener.path = path(e, "path", config.runtime_directory, kMaxSocketPath);
  e.unique(paths, "path", listener.path.string());
  listener.group = e.name("group", "");
  listener.mode = mode(e, "0660");
  listener.greatest = e.choice<Criticality>("class", kClasses, Criticality::soft);
  listener.limits = read_limits(e, kMostLimits, listener.limits);
  listener.credits = count(e, "credits", 1, wire::kMaxCredits, wire::kMaxCredits);
  listener.user = listener.limits;
  e.at_most_one("user", [&](Element& user) { listener.user = read_limits(user, listener.limits, listener.limits); });
  config.listeners.push_back(std::move(listener));
}

// What more than one accelerator may not have.
struct Taken {
  std::set<std::string> devices, accelerators;
  std::map<int, std::string> cores;  // and the accelerator that has it
};

void read_cores(Element& e, AcceleratorConfig& config, Taken& taken) {
  for (const std::int64_t number : e.integers("cores", kMaxCores, 0, kMaxCore, false)) {
    const int core = static_cast<int>(number);
    const auto [other, is_new] = taken.cores.emplace(core, config.name);
    if (!is_new) e.refuse("cores", "core " + std::to_string(core) + " is that of '" + other->second + "' already");
    config.cores.push_back(core);
  }
  config.threads = static_cast<int>(e.integer("threads", 1, kMaxCores, 1));
  if (config.threads > 1 && config.cores.size() != static_cast<std::size_t>(config.threads))
    e.refuse("threads", "must be 1 or the number of cores");
}

// A thread that spins on a core starves whatever else is pinned there; the scheduler ranks above all workers.
void check_beside_scheduler(Element& e, const AcceleratorEntry& entry, const SchedulerConfig& scheduler) {
  const std::vector<int>& cores = entry.config.cores;
  const bool shared = std::find(cores.begin(), cores.end(), scheduler.core) != cores.end();
  if (entry.spin > Duration{0} && (shared || cores.empty()))
    e.refuse("spin", "must be 0 unless it has cores of its own, without the scheduler");
  if (shared && scheduler.spin > Duration{0})
    e.refuse("cores", "holds the scheduler's core " + std::to_string(scheduler.core) + ", which spins");
  if (entry.realtime && entry.priority > 0 && entry.priority >= scheduler.priority)
    e.refuse("priority", "must be under the scheduler's, which is " + std::to_string(scheduler.priority));
}

// What only some drivers look at; how much there is of it only they know.
void read_part(Element& e, AcceleratorConfig& config) {
  config.unit = static_cast<int>(e.integer("unit", 0, wire::kMaxUnit, config.unit));
  config.sms = static_cast<int>(e.integer("sms", 0, wire::kMaxSms, config.sms));
  config.precision = e.choice<Precision>("precision", kPrecisions, config.precision);
}

void read_accelerator(Element& e, const SchedulerConfig& scheduler, DeviceConfig& device, Taken& taken) {
  AcceleratorEntry entry;
  entry.line = e.line();
  entry.config.name = e.name("name");
  e.unique(taken.accelerators, "name", entry.config.name);
  read_cores(e, entry.config, taken);
  read_part(e, entry.config);
  if (device.activations == Activations::own && !device.accelerators.empty()) {
    const AcceleratorConfig& first = device.accelerators.front().config;
    if (first.unit != entry.config.unit) e.refuse("unit", "must be that of the others: they share activations");
    if (first.precision != entry.config.precision)
      e.refuse("precision", "must be that of the others: they share activations");
  }
  entry.ahead = static_cast<std::uint8_t>(e.integer("ahead", 0, kMaxPostedAhead, entry.ahead));
  entry.spin = e.duration("spin", Duration{0}, kMaxSpin, Duration{0});
  entry.realtime = e.boolean("realtime", entry.realtime);
  const std::int64_t standard = std::clamp(scheduler.priority - 1, 0, entry.priority);
  entry.priority = static_cast<int>(e.integer("priority", 0, kMaxPriority, standard));
  check_beside_scheduler(e, entry, scheduler);
  device.accelerators.push_back(std::move(entry));
}

void read_device(Element& e, ServiceConfig& config, Taken& taken) {
  DeviceConfig device;
  device.line = e.line();
  device.name = e.name("name");
  e.unique(taken.devices, "name", device.name);
  device.driver = e.name("driver");
  device.executor = e.choice<ExecutorStart>("executor", kExecutorStarts, ExecutorStart::spawn);
  device.activations = e.choice<Activations>("activations", kActivations, device.activations);
  e.each("accelerator", 1, wire::kMaxExecutorAccelerators,
         [&](Element& a) { read_accelerator(a, config.scheduler, device, taken); });
  config.devices.push_back(std::move(device));
}

std::optional<AcceleratorId> find_accelerator(const ServiceConfig& config, const std::string& name) {
  for (std::size_t a = 0; a < config.accelerators(); ++a)
    if (config.accelerator(AcceleratorId{a}).config.name == name) return AcceleratorId{a};
  return std::nullopt;
}

void read_model_entry(Element& e, ServiceConfig& config, std::set<std::string>& directories) {
  ModelEntry model;
  model.line = e.line();
  model.directory = path(e, "directory", config.folder, kMaxPath);
  e.unique(directories, "directory", model.directory.string());
  std::set<std::string> accelerators;
  e.each("profile", 1, config.accelerators(), [&](Element& p) {
    const std::string name = p.name("accelerator");
    p.unique(accelerators, "accelerator", name);
    const auto accelerator = find_accelerator(config, name);
    if (!accelerator) p.refuse("accelerator", "'" + name + "' is no accelerator of a <device>");
    model.profiles.push_back(
        {accelerator.value_or(AcceleratorId{}), path(p, "file", config.folder, kMaxPath), p.line()});
  });
  config.models.push_back(std::move(model));
}

void read_picture(Element& e, StreamEntry& stream) {
  if (!e.has("picture")) return;
  stream.picture = e.choice<PictureFormat>("picture", kPictureWords);
  stream.width = static_cast<std::uint32_t>(e.integer("width", 1, kMaxPictureWidth));
  stream.height = static_cast<std::uint32_t>(e.integer("height", 1, kMaxPictureHeight));
  if (picture_bytes(stream.picture, stream.width, stream.height) == 0)
    e.refuse("picture", "needs an even width, nv12 an even height too");
}

// "top1 < 0.6" or "top1 >= 0.6".
void read_trigger(Element& e, StreamEntry& stream) {
  if (!e.has("if")) return;
  const std::vector<std::string> words = e.words("if", 3);
  const auto threshold = words.size() == 3 ? parse_number<float>(words[2]) : std::nullopt;
  const bool known = words.size() == 3 && (words[1] == "<" || words[1] == ">=");
  if (!known || !threshold || !(std::abs(*threshold) < 1e30f)) {
    e.refuse("if", "must be a metric of the parent's model, then &lt; or &gt;=, then a number, with spaces between");
    return;
  }
  stream.metric = words[0];
  stream.spec.trigger.op = words[1] == "<" ? Trigger::Op::less : Trigger::Op::greater_equal;
  stream.spec.trigger.threshold = *threshold;
}

// A child comes as often as its parent, with the parent's picture.
void read_parent(Element& e, const ServiceConfig& config, StreamEntry& stream) {
  const std::string name = e.name("after");
  const auto& streams = config.streams;
  const auto parent =
      std::find_if(streams.begin(), streams.end(), [&](const StreamEntry& s) { return s.name == name; });
  if (parent == streams.end()) {
    e.refuse("after", "'" + name + "' is no <stream> above this one");
    return;
  }
  stream.spec.parent = StreamId{static_cast<std::size_t>(parent - streams.begin())};
  stream.picture = parent->picture;
  stream.width = parent->width;
  stream.height = parent->height;
  stream.spec.period = parent->spec.period;
  read_trigger(e, stream);
}

void read_times(Element& e, StreamEntry& stream) {
  StreamSpec& spec = stream.spec;
  const Duration parents = spec.period;
  spec.period = e.duration("period", 1us, kMaxPeriod, parents);
  if (spec.parent.valid() && spec.period != parents)
    e.refuse("period", "must be the parent's or be left out: a child comes as often as its parent");
  spec.jitter = e.duration("jitter", Duration{0}, kMaxDeadline, Duration{0});
  if (spec.period > Duration{0} && spec.jitter > spec.period) e.refuse("jitter", "must not be over the period");
  const bool hard = spec.criticality == Criticality::hard;
  if (hard && spec.period == Duration{0}) e.refuse("class", "hard needs a period");
  if (hard && !e.has("deadline")) e.refuse("class", "hard needs a deadline");
  const bool can_default = spec.period > Duration{0} && spec.period <= kMaxDeadline;
  spec.relative_deadline =
      e.duration("deadline", 1us, kMaxDeadline, can_default ? std::optional(spec.period) : std::nullopt);
}

bool anyone_may_open(const ServiceConfig& config, Criticality criticality) {
  return std::any_of(config.listeners.begin(), config.listeners.end(),
                     [&](const ListenerConfig& l) { return criticality >= l.greatest; });
}

void read_stream(Element& e, ServiceConfig& config, std::set<std::string>& names) {
  StreamEntry stream;
  stream.line = e.line();
  stream.name = e.name("name");
  e.unique(names, "name", stream.name);
  stream.model = e.name("model");
  StreamSpec& spec = stream.spec;
  spec.criticality = e.choice<Criticality>("class", kClasses, Criticality::soft);
  if (!anyone_may_open(config, spec.criticality))
    e.refuse("class", std::string(to_string(spec.criticality)) + " is above what any <listener> allows");
  if (e.has("after"))
    read_parent(e, config, stream);
  else
    read_picture(e, stream);
  read_times(e, stream);
  spec.late = e.choice<LateRule>("late", kLateRules, LateRule::abort);
  spec.queue = e.choice<QueueRule>("queue", kQueueRules, QueueRule::keep);
  spec.queue_depth = count(e, "queue_depth", 1, 1024, spec.queue_depth);
  spec.accuracy_floor = static_cast<float>(e.real("accuracy_floor", 0, 1, 0.0));
  spec.accuracy_ceiling = static_cast<float>(e.real("accuracy_ceiling", 0, 1, 1.0));
  if (spec.accuracy_floor > spec.accuracy_ceiling) e.refuse("accuracy_floor", "must not be over accuracy_ceiling");
  config.streams.push_back(std::move(stream));
}

void read_takt(Element& e, ServiceConfig& config) {
  Taken taken;
  std::set<std::string> paths, directories, names;
  e.one("service", [&](Element& service) { read_service_element(service, config); });
  if (config.status) paths.insert(config.status->path.string());
  e.each("listener", 1, kMaxListeners, [&](Element& listener) { read_listener(listener, config, paths); });
  e.each("device", 1, kMaxDevices, [&](Element& device) { read_device(device, config, taken); });
  e.each("model", 1, kMaxModels, [&](Element& model) { read_model_entry(model, config, directories); });
  e.each("stream", 0, config.max_streams, [&](Element& stream) { read_stream(stream, config, names); });
}

}  // namespace

std::size_t ServiceConfig::accelerators() const noexcept {
  std::size_t n = 0;
  for (const DeviceConfig& device : devices) n += device.accelerators.size();
  return n;
}

const DeviceConfig& ServiceConfig::device_of(AcceleratorId id) const {
  std::size_t before = 0;
  for (const DeviceConfig& device : devices) {
    if (id.value < before + device.accelerators.size()) return device;
    before += device.accelerators.size();
  }
  TAKT_CHECK(false);
}

const AcceleratorEntry& ServiceConfig::accelerator(AcceleratorId id) const {
  std::size_t at = id.value;
  for (const DeviceConfig& device : devices) {
    if (at < device.accelerators.size()) return device.accelerators[at];
    at -= device.accelerators.size();
  }
  TAKT_CHECK(false);
}

Parsed<ServiceConfig> parse_service(std::string_view xml, const std::filesystem::path& path) {
  ServiceConfig config;
  std::error_code error;
  config.file = path;
  config.folder = std::filesystem::absolute(path, error).parent_path();
  const auto read = read_document(xml, path.string(), "takt", [&](Element& e) { read_takt(e, config); });
  if (!read) return tl::unexpected<InputError>(read.error());
  return config;
}

Parsed<ServiceConfig> read_service(const std::filesystem::path& path) {
  const auto xml = read_text(path);
  if (!xml) return tl::unexpected<InputError>(xml.error());
  return parse_service(*xml, path);
}

}  // namespace takt::files
