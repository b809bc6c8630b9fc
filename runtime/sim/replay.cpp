// Streams to tasks, frames to releases, measured times to what the engine asks for; see replay.hpp.
#include "sim/replay.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "core/scheduler.hpp"
#include "sim/arrivals.hpp"
#include "sim/random.hpp"

namespace takt::sim {
namespace {

constexpr std::uint64_t kSeed = 1;  // of triggers that nobody saw

// For a scheduler that is only asked for routes.
class Nobody final : public Policy, public Port {
 public:
  void decide(const Snapshot&, Plan&) noexcept override {}
  void post(const LaunchOrder&) noexcept override {}
  bool recall(AcceleratorId, Lane, std::uint64_t) noexcept override { return false; }
  void answer(JobId, const Answer&) noexcept override {}
  void notice(JobId) noexcept override {}
  bool child_released(JobId, JobId) noexcept override { return false; }
  void stream_moved(StreamId, AcceleratorId, RouteId) noexcept override {}
  void stream_ended(StreamId) noexcept override {}
};

double real(Duration d) {
  return static_cast<double>(d.count());
}

// Sums of measured and expected times.
struct Ratio {
  double measured = 0, expected = 0;
  void add(Duration m, Duration e) { measured += real(m), expected += real(e); }
  [[nodiscard]] double value(double otherwise) const {
    return expected > 0 && measured > 0 ? measured / expected : otherwise;
  }
};

// Whether a policy could have done something about how it ended.
bool counts(const RecordedFrame& frame) {
  if (!frame.verdict) return false;
  return *frame.verdict != Verdict::cancelled && *frame.verdict != Verdict::restarted &&
         *frame.verdict != Verdict::error;
}

}  // namespace

Duration Playback::time(std::size_t task, std::uint32_t frame, std::size_t subnet, std::size_t k, std::size_t a,
                        Duration expected) const {
  const Task& t = tasks_[task];
  double ratio = ratios_[a];
  if (const auto found = t.frames.find(frame); found != t.frames.end()) {
    const Frame& f = found->second;
    if (const auto m = f.measured.find({t.variants[subnet][k], a}); m != f.measured.end()) return m->second;
    if (f.ratio > 0) ratio = f.ratio;
  }
  return std::max(Duration{1}, scaled(expected, ratio));
}

bool Playback::fires(std::size_t child, std::uint32_t frame) const {
  const Task& t = tasks_[child];
  const auto& parents = tasks_[static_cast<std::size_t>(t.parent)].frames;
  const auto parent = parents.find(frame);
  if (parent != parents.end() && parent->second.has_result) return t.frames.contains(frame);
  return u(kSeed, Salt::trigger, child, frame) < t.trigger_rate;
}

class ReplayMaker {
 public:
  ReplayMaker(const Recording& recording, const files::Service& service)
      : recording_(recording),
        service_(service),
        core_(core_config(service), service.models, service.costs, nobody_, nobody_, nullptr) {}

  Parsed<Replay> make() {
    set_up();
    for (std::size_t t = 0; t < recording_.streams.size(); ++t)
      if (const auto added = add_task(t); !added) return tl::unexpected<InputError>(added.error());
    for (std::size_t t = 0; t < recording_.streams.size(); ++t) set_trigger_rate(t);
    set_ratios();
    for (std::size_t t = 0; t < recording_.streams.size(); ++t) count(t);
    sort_releases(replay_.scenario.releases);
    return std::move(replay_);
  }

 private:
  static CoreConfig core_config(const files::Service& service) {
    CoreConfig config{.max_jobs = 1, .max_streams = 1, .max_batch = 1, .slot_pools = {1}};
    config.accelerators.assign(service.config.accelerators(), {.pool = SlotPoolId{0u}});
    return config;
  }

  void set_up() {
    Case& c = replay_.scenario;
    c.name = recording_.file;
    c.seed = kSeed;
    c.duration = recording_.last - recording_.first;
    c.admission = true;  // classes count
    c.platform.switch_costs = false;
    for (std::size_t a = 0; a < service_.config.accelerators(); ++a) {
      const files::AcceleratorEntry& entry = service_.config.accelerator(AcceleratorId{a});
      c.platform.accelerators.push_back({.name = entry.config.name});
      replay_.ahead = std::max(replay_.ahead, entry.ahead);
    }
    on_accelerator_.resize(c.platform.accelerators.size());
  }

  [[nodiscard]] tl::unexpected<InputError> refuse(int line, std::string key, std::string text) const {
    return tl::unexpected<InputError>(InputError{recording_.file, line, std::move(key), std::move(text)});
  }

  Parsed<void> add_task(std::size_t t) {
    const RecordedStream& stream = recording_.streams[t];
    auto routes = routes_of(stream);
    if (!routes) return tl::unexpected<InputError>(routes.error());
    Playback::Task playback{.frames = {}, .variants = {}, .parent = stream.parent, .trigger_rate = 0};
    Task task;
    task.name = name_of(t);
    task.parent = stream.parent;
    task.relative_deadline = stream.relative_deadline;
    task.period = stream.period;
    // Which accelerator a hard stream was bound to is not replayed.
    task.criticality = stream.criticality == Criticality::hard ? Criticality::firm : stream.criticality;
    task.late = stream.late;
    task.queue = stream.queue;
    task.queue_depth = stream.queue_depth;
    for (const Route& route : *routes) add_subnet(stream, route, task, playback);
    replay_.scenario.tasks.push_back(std::move(task));
    replay_.playback.tasks_.push_back(std::move(playback));
    for (const auto& [number, frame] : stream.frames)
      if (const auto added = add_frame(t, number, frame); !added) return added;
    add_load(t);
    return {};
  }

  // Streams of the same name that were opened one after the other are told apart.
  std::string name_of(std::size_t t) {
    const std::string& name = recording_.streams[t].name;
    const unsigned nth = ++opened_[name];
    return nth == 1 ? name : name + '/' + std::to_string(nth);
  }

  Parsed<std::vector<Route>> routes_of(const RecordedStream& stream) const {
    const auto model = std::find_if(service_.models.begin(), service_.models.end(),
                                    [&](const Model& m) { return m.name == stream.model; });
    if (model == service_.models.end())
      return refuse(stream.line, "model", "'" + stream.model + "' is no model of the configuration");
    if (stream.form >= static_cast<std::int32_t>(model->forms.size()))
      return refuse(stream.line, "form", "is no form of model '" + stream.model + "'");
    StreamSpec spec;
    spec.model = ModelId{static_cast<std::size_t>(model - service_.models.begin())};
    spec.form = stream.form;
    spec.relative_deadline = stream.relative_deadline;
    std::vector<Route> routes = core_.make_routes(spec);
    std::erase_if(routes, [&](const Route& r) {
      return r.accuracy < stream.accuracy_floor || r.accuracy > stream.accuracy_ceiling;
    });
    if (routes.empty())
      return refuse(stream.line, "model", "'" + stream.model + "' has no subnet that could answer this stream");
    return routes;
  }

  void add_subnet(const RecordedStream& stream, const Route& route, Task& task, Playback::Task& playback) const {
    const auto model = std::find_if(service_.models.begin(), service_.models.end(),
                                    [&](const Model& m) { return m.name == stream.model; });
    Subnet subnet{.name = model->subnets[route.subnet].name,
                  .accuracy = 100 * double{route.accuracy},
                  .segments = {},
                  .worst_energy_nj = route.worst_energy_nj};
    std::vector<std::uint32_t> variants;
    for (std::size_t k = 0; k < route.path.size(); ++k) {
      Segment segment;
      segment.first_layer = static_cast<std::uint32_t>(k);
      for (std::size_t a = 0; a < on_accelerator_.size(); ++a) {
        const AcceleratorId id{a};
        segment.on.push_back({.time = service_.costs.at(id, route.path[k]).expected,
                              .energy_nj = service_.costs.effort(id, route.path[k]).energy_nj,
                              .dram_bytes = 0});
      }
      subnet.segments.push_back(std::move(segment));
      variants.push_back(route.path[k].value);
    }
    task.subnets.push_back(std::move(subnet));
    playback.variants.push_back(std::move(variants));
  }

  Parsed<void> add_frame(std::size_t t, std::uint32_t number, const RecordedFrame& frame) {
    const RecordedStream& stream = recording_.streams[t];
    const bool child = stream.parent >= 0;
    const auto* of_parent = child ? &replay_.playback.tasks_[static_cast<std::size_t>(stream.parent)].frames : nullptr;
    if (!counts(frame) || (child && !of_parent->contains(number))) {
      ++replay_.left_out;
      return {};
    }
    Playback::Frame playback;
    playback.has_result = *frame.verdict == Verdict::done || *frame.verdict == Verdict::late;
    Ratio ratio;
    for (const RecordedSegment& s : frame.segments)
      if (const auto added = add_measured(t, s, playback, ratio); !added) return added;
    playback.ratio = ratio.value(0);
    replay_.playback.tasks_[t].frames.emplace(number, std::move(playback));
    if (child) return {};
    const Duration start = recording_.first.time_since_epoch();
    replay_.scenario.releases.push_back(
        {.at = frame.release - start,
         .task = static_cast<std::uint32_t>(t),
         .frame = number,
         .deadline = frame.deadline == kNever ? kNever : std::max(frame.deadline - start, Instant{})});
    return {};
  }

  Parsed<void> add_measured(std::size_t t, const RecordedSegment& s, Playback::Frame& playback, Ratio& ratio) {
    const Task& task = replay_.scenario.tasks[t];
    const auto& accelerators = replay_.scenario.platform.accelerators;
    const auto acc =
        std::find_if(accelerators.begin(), accelerators.end(), [&](const auto& a) { return a.name == s.accelerator; });
    if (acc == accelerators.end())
      return refuse(s.line, "accelerator", "'" + s.accelerator + "' is no accelerator of the configuration");
    const auto subnet =
        std::find_if(task.subnets.begin(), task.subnets.end(), [&](const Subnet& n) { return n.name == s.subnet; });
    if (subnet == task.subnets.end())
      return refuse(s.line, "subnet", "'" + s.subnet + "' is no subnet that this stream may use");
    if (s.segment >= subnet->segments.size())
      return refuse(s.line, "segment", "is beyond the last one of subnet '" + s.subnet + "'");
    const auto a = static_cast<std::size_t>(acc - accelerators.begin());
    const auto& variants = replay_.playback.tasks_[t].variants[static_cast<std::size_t>(subnet - task.subnets.begin())];
    const Duration expected = subnet->segments[s.segment].on[a].time;
    if (expected == kForever)
      return refuse(s.line, "accelerator", "'" + s.accelerator + "' has no profile of this segment");
    const Duration measured = std::max(Duration{1}, s.time / s.batch);
    playback.measured[{variants[s.segment], a}] = measured;
    ratio.add(measured, expected);
    on_accelerator_[a].add(measured, expected);
    return {};
  }

  void set_trigger_rate(std::size_t t) {
    Playback::Task& task = replay_.playback.tasks_[t];
    if (task.parent < 0) return;
    double results = 0, children = 0;
    for (const auto& [number, parent] : replay_.playback.tasks_[static_cast<std::size_t>(task.parent)].frames) {
      if (!parent.has_result) continue;
      ++results;
      children += task.frames.contains(number);
    }
    task.trigger_rate = results > 0 ? children / results : 0;
  }

  void set_ratios() {
    Ratio all;
    for (const Ratio& r : on_accelerator_) all.measured += r.measured, all.expected += r.expected;
    for (const Ratio& r : on_accelerator_) replay_.playback.ratios_.push_back(r.value(all.value(1)));
  }

  // As SCENARIOS defines it: of the first subnet, at the least expected times.
  void add_load(std::size_t t) {
    const Case& c = replay_.scenario;
    const double seconds = 1e-9 * real(std::max(Duration{1}, c.duration));
    const double rate = static_cast<double>(replay_.playback.tasks_[t].frames.size()) / seconds;
    Duration least{};
    for (const Segment& s : c.tasks[t].subnets[0].segments) {
      Duration here = kForever;
      for (const SegmentCost& on : s.on) here = std::min(here, on.time);
      least = saturating_add(least, here);
    }
    replay_.scenario.tasks[t].rate = rate;
    replay_.scenario.load += rate * 1e-9 * real(least) / static_cast<double>(c.platform.accelerators.size());
  }

  void count(std::size_t t) {
    const RecordedStream& stream = recording_.streams[t];
    const Playback& playback = replay_.playback;
    RecordedTask& recorded = replay_.recorded.emplace_back(RecordedTask{replay_.scenario.tasks[t].name});
    recorded.released = playback.tasks_[t].frames.size();
    for (const auto& [number, frame] : playback.tasks_[t].frames)
      recorded.on_time += stream.frames.at(number).verdict == Verdict::done;
    if (stream.parent < 0) return;
    // Frames that this child would have come to, had its parents had results.
    for (const std::uint32_t number : frames_for(static_cast<std::size_t>(stream.parent)))
      recorded.released += !playback.tasks_[t].frames.contains(number) && playback.fires(t, number);
  }

  // Frames that came to a task, or would have: of a child also those it lost.
  [[nodiscard]] std::set<std::uint32_t> frames_for(std::size_t t) const {
    const Playback& playback = replay_.playback;
    std::set<std::uint32_t> frames;
    for (const auto& [number, frame] : playback.tasks_[t].frames) frames.insert(number);
    if (recording_.streams[t].parent < 0) return frames;
    for (const std::uint32_t number : frames_for(static_cast<std::size_t>(recording_.streams[t].parent)))
      if (playback.fires(t, number)) frames.insert(number);
    return frames;
  }

  const Recording& recording_;
  const files::Service& service_;
  Nobody nobody_;
  Scheduler core_;
  Replay replay_;
  std::vector<Ratio> on_accelerator_;
  std::map<std::string, unsigned> opened_;
};

Parsed<Replay> make_replay(const Recording& recording, const files::Service& service) {
  return ReplayMaker(recording, service).make();
}

}  // namespace takt::sim
