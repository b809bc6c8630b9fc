// Models, costs and streams of a case; see world.hpp.
#include "sim/world.hpp"

#include <algorithm>

namespace takt::sim {
namespace {

constexpr double kNanojoulesPerByte = 0.046;  // reading or writing an activation, DRAM

Model make_model(const Case& c, std::size_t t, std::vector<Place>& places) {
  const Task& task = c.tasks[t];
  Model m;
  m.name = task.name;
  m.first_variant = VariantId{places.size()};
  for (std::size_t s = 0; s < task.subnets.size(); ++s) {
    const Subnet& from = task.subnets[s];
    takt::Subnet subnet{.name = from.name, .accuracy = static_cast<float>(from.accuracy / 100), .worst_energy_nj = from.worst_energy_nj, .path = {}};
    for (std::size_t k = 0; k < from.segments.size(); ++k) {
      subnet.path.push_back(VariantId{places.size()});
      Variant v;
      v.segment = static_cast<std::uint16_t>(k);
      v.activation_bytes = static_cast<std::uint64_t>(from.segments[k].live_bytes);
      m.variants.push_back(v);
      places.push_back({static_cast<std::uint32_t>(t), static_cast<std::uint32_t>(s), static_cast<std::uint32_t>(k)});
    }
    m.subnets.push_back(std::move(subnet));
  }
  return m;
}

CostTable make_costs(const Case& c, const std::vector<Place>& places) {
  CostTable costs(c.platform.accelerators.size(), places.size());
  for (std::size_t v = 0; v < places.size(); ++v) {
    const Place& p = places[v];
    const Segment& segment = c.tasks[p.task].subnets[p.subnet].segments[p.segment];
    for (std::size_t a = 0; a < segment.on.size(); ++a) {
      const SegmentCost& on = segment.on[a];
      costs.set(AcceleratorId{a}, VariantId{v}, 1, {.expected = on.time, .budget = on.time});
      costs.set_effort(AcceleratorId{a}, VariantId{v}, {.energy_nj = on.energy_nj, .dram_bytes = on.dram_bytes});
    }
  }
  return costs;
}

}  // namespace

World make_world(const Case& c, std::uint8_t ahead) {
  World w;
  for (std::size_t t = 0; t < c.tasks.size(); ++t) w.models.push_back(make_model(c, t, w.places));
  w.costs = make_costs(c, w.places);
  // Every frame could be in flight at once: with late rule "finish" an overload has no end.
  const std::size_t jobs = std::max<std::size_t>(1, c.releases.size() * c.tasks.size());
  constexpr std::size_t kMostJobs = 1 << 16;
  w.core.max_jobs = std::min(jobs, kMostJobs);
  w.core.max_streams = std::max<std::size_t>(1, c.tasks.size());
  w.core.max_batch = 1;
  w.core.listed_subnets = true;
  w.core.slot_pools = {static_cast<std::uint32_t>(w.core.max_jobs)};
  for (const Platform::Accelerator& a : c.platform.accelerators) {
    AcceleratorSpec spec{.pool = SlotPoolId{0u}, .ahead = ahead};
    if (c.platform.switch_costs)
      spec.exchange = {.bytes_per_cycle = a.bandwidth, .clock_ghz = a.clock_ghz, .nj_per_byte = kNanojoulesPerByte};
    w.core.accelerators.push_back(spec);
  }
  return w;
}

StreamSpec stream_of(const Case& c, std::size_t t) {
  const Task& task = c.tasks[t];
  StreamSpec s;
  s.model = ModelId{t};
  s.period = task.period;
  s.relative_deadline = task.relative_deadline;
  s.criticality = c.admission ? task.criticality : Criticality::soft;
  s.late = task.late.value_or(c.late);
  s.queue = task.queue;
  s.queue_depth = task.queue_depth;
  s.accuracy_ceiling = 2;  // no bound: the file's accuracies are in any unit
  if (task.parent >= 0) s.parent = StreamId{static_cast<std::size_t>(task.parent)};
  return s;
}

}  // namespace takt::sim
