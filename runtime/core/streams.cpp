// Streams: routes, admission of hard ones, and what happens to them when accelerators come and go.
#include <algorithm>
#include <bit>

#include "core/state.hpp"

namespace takt {
namespace {

// Remaining work of a route over the accelerators in `use`, as suffix sums; in batches of up to max_batch.
template <class Use>
void fill_togo(Route& route, const CostTable& costs, std::size_t max_batch, Use use) noexcept {
  constexpr std::size_t kBatches = CostTable::kBatches;
  std::array<Duration, kBatches> after{};
  Duration sum_after{};
  for (std::size_t k = route.length(); k-- > 0;) {
    std::array<Duration, kBatches> least;
    least.fill(kForever);
    Duration sum{};
    for (std::size_t a = 0; a < costs.accelerators(); ++a) {
      if (!use(a) || !costs.at(AcceleratorId{a}, route.path[k]).runnable()) continue;
      sum += costs.at(AcceleratorId{a}, route.path[k]).expected;
      for (std::size_t c = 0; c < kBatches && std::size_t{1} << c <= max_batch; ++c)
        least[c] = std::min(least[c], costs.at(AcceleratorId{a}, route.path[k], std::size_t{1} << c).expected);
    }
    for (std::size_t c = 0; c < kBatches; ++c) after[c] = saturating_add(after[c], least[c]);
    sum_after = saturating_add(sum_after, sum);
    route.togo_together[k] = after;
    route.togo_min[k] = after[0];
    route.togo_sum[k] = sum_after;
    route.togo_shared[k] = after[0];
    for (std::size_t c = 1; c < kBatches; ++c)
      if (after[c] != kForever) route.togo_shared[k] = std::min(route.togo_shared[k], after[c] / (1 << c));
  }
}

// Keeps the routes that no other beats in both accuracy and cost, best accuracy first.
void keep_pareto(std::vector<Route>& routes) {
  std::stable_sort(routes.begin(), routes.end(), [](const Route& a, const Route& b) {
    return a.accuracy != b.accuracy ? a.accuracy > b.accuracy : a.togo_min[0] < b.togo_min[0];
  });
  Duration cheapest = kForever;
  std::erase_if(routes, [&](const Route& r) {
    if (r.togo_min[0] >= cheapest) return true;
    cheapest = r.togo_min[0];
    return false;
  });
}

Admission refused(Admission::Reason reason) noexcept {
  return {.outcome = Admission::Outcome::refused, .reason = reason};
}

}  // namespace

std::vector<Route> Scheduler::State::make_routes(const StreamSpec& spec) const {
  std::vector<Route> routes;
  if (check_model(spec).outcome == Admission::Outcome::refused) return routes;
  const Model& model = models[spec.model.value];
  for (std::size_t i = 0; i < model.subnets.size(); ++i) {
    Route route;
    route.subnet = static_cast<std::uint32_t>(i);
    route.accuracy = model.subnets[i].accuracy;
    route.worst_energy_nj = model.subnets[i].worst_energy_nj;
    if (spec.form >= 0) {
      route.path.push_back(model.forms[static_cast<std::size_t>(spec.form)].variant);
      if (route.worst_energy_nj > 0) route.worst_energy_nj += costs.worst_energy(route.path[0]);
    }
    route.path.insert(route.path.end(), model.subnets[i].path.begin(), model.subnets[i].path.end());
    route.togo_min.assign(route.length() + 1, Duration{});
    route.togo_sum.assign(route.length() + 1, Duration{});
    route.togo_together.assign(route.length() + 1, {});
    route.togo_shared.assign(route.length() + 1, Duration{});
    fill_togo(route, costs, config.max_batch, [](std::size_t) { return true; });
    if (route.togo_min[0] != kForever) routes.push_back(std::move(route));
  }
  if (!config.listed_subnets) keep_pareto(routes);
  return routes;
}

// What policies see of a stream, after it changed.
void Scheduler::State::show(StreamId id) noexcept {
  constexpr std::uint32_t kRemembered = (1U << 10) - 1;
  const Stream& s = streams[id.value];
  stream_views[id.value] = {&s.spec, s.routes, s.first, s.last, static_cast<std::uint32_t>(std::popcount(s.drops & kRemembered)),
                            s.children > 0};
}

void Scheduler::State::bound_routes(Stream& stream) const noexcept {
  const auto within = [&](const Route& r) {
    return r.accuracy >= stream.spec.accuracy_floor && r.accuracy <= stream.spec.accuracy_ceiling;
  };
  const auto first = std::find_if(stream.routes.begin(), stream.routes.end(), within);
  const auto last = std::find_if_not(first, stream.routes.end(), within);
  stream.first = static_cast<std::uint32_t>(first - stream.routes.begin());
  stream.last = static_cast<std::uint32_t>(last - stream.routes.begin());
}

void Scheduler::State::refresh_routes(Stream& stream) const noexcept {
  const bool none_up =
      std::none_of(accelerators.begin(), accelerators.end(), [](const Accelerator& a) { return a.up; });
  for (Route& route : stream.routes)
    fill_togo(route, costs, config.max_batch, [&](std::size_t a) { return none_up || accelerators[a].up; });
}

void Scheduler::State::refresh_routes() noexcept {
  for (Stream& stream : streams) refresh_routes(stream);
  for (std::size_t i = 0; i < waiting.size(); ++i) waiting.replace(item(waiting.job(i)));
}

bool Scheduler::State::fits(const Stream& stream, std::uint32_t route, AcceleratorId a, HardLoad& load) noexcept {
  load = {stream.spec.period, stream.spec.jitter, stream.spec.relative_deadline, Duration{}, Duration{}};
  for (const VariantId v : stream.routes[route].path) {
    const Cost& cost = costs.at(a, v);
    if (!cost.runnable()) return false;
    load.cost = saturating_add(load.cost, cost.budget);
    load.longest_segment = std::max(load.longest_segment, cost.budget);
  }
  loads.clear();
  for (const Stream& other : streams)
    if (other.hard && other.accelerator == a && &other != &stream) loads.push_back(other.load);
  loads.push_back(load);
  return soft_limit(loads) >= Duration::zero() && has_slot(stream, route, a);
}

// Whether the pool still has a slot to keep for the stream, which needs one unless its only segment is its last.
bool Scheduler::State::has_slot(const Stream& stream, std::uint32_t route, AcceleratorId a) const noexcept {
  if (stream.routes[route].length() == 1) return true;
  const SlotPoolId pool = accelerators[a.value].spec.pool;
  const auto keeps = [&](const Stream& other) {
    return other.hard && &other != &stream && accelerators[other.accelerator.value].spec.pool == pool &&
           other.routes[other.route.value].length() > 1;
  };
  return std::count_if(streams.begin(), streams.end(), keeps) <
         static_cast<std::ptrdiff_t>(config.slot_pools[pool.value]);
}

Admission Scheduler::State::admit_hard(Stream& stream) noexcept {
  for (const bool only_up : {true, false}) {
    for (std::uint32_t r = stream.first; r < stream.last; ++r) {
      for (std::size_t a = 0; a < accelerators.size(); ++a) {
        HardLoad load;
        if (accelerators[a].up != only_up || !fits(stream, r, AcceleratorId{a}, load)) continue;
        stream.hard = true;
        stream.accelerator = AcceleratorId{a};
        stream.route = RouteId{r};
        stream.load = load;
        refresh_guards();
        return {.outcome = r == stream.first ? Admission::Outcome::accepted : Admission::Outcome::lighter,
                .stream = StreamId{static_cast<std::size_t>(&stream - streams.data())},
                .route = stream.route,
                .accelerator = stream.accelerator,
                .bound = load.relative_deadline};
      }
    }
  }
  return refusal(stream);
}

// Why not, and the shortest period (to 1 %) at which the lightest allowed subnet would fit somewhere.
Admission Scheduler::State::refusal(Stream& stream) noexcept {
  const Duration asked = stream.spec.period;
  const std::uint32_t lightest = stream.last - 1;
  bool slot = false;
  const auto somewhere = [&](Duration period) {
    stream.spec.period = period;
    bool fit = false;
    for (std::size_t a = 0; a < accelerators.size() && !fit; ++a) {
      HardLoad load;
      slot = slot || has_slot(stream, lightest, AcceleratorId{a});
      fit = fits(stream, lightest, AcceleratorId{a}, load);
    }
    stream.spec.period = asked;
    return fit;
  };
  if (!somewhere(kForever))
    return refused(slot ? Admission::Reason::deadline_too_short : Admission::Reason::no_capacity);
  Admission answer = refused(Admission::Reason::utilisation);
  Duration too_short = asked, enough = saturating_add(asked, asked);
  for (; !somewhere(enough); enough = saturating_add(enough, enough)) too_short = enough;
  while (enough - too_short > too_short / 128 + Duration{1}) {
    const Duration middle = too_short + (enough - too_short) / 2;
    (somewhere(middle) ? enough : too_short) = middle;
  }
  answer.feasible_period = enough;
  return answer;
}

Admission Scheduler::State::check_model(const StreamSpec& spec) const noexcept {
  if (spec.model.value >= models.size()) return refused(Admission::Reason::no_accelerator);
  const Model& model = models[spec.model.value];
  if (spec.form >= static_cast<std::int32_t>(model.forms.size()) || (spec.form < 0) == model.has_preprocessing())
    return refused(Admission::Reason::no_accelerator);
  return {.outcome = Admission::Outcome::accepted};
}

Admission Scheduler::State::check(const StreamSpec& spec) const noexcept {
  if (Admission a = check_model(spec); a.outcome == Admission::Outcome::refused) return a;
  for (const Duration d : {spec.period, spec.jitter, spec.relative_deadline})
    if (d < Duration::zero() || d > kForever) return refused(Admission::Reason::deadline_too_short);
  if (spec.criticality == Criticality::hard &&
      (spec.period <= spec.jitter || spec.relative_deadline <= Duration::zero()))
    return refused(Admission::Reason::deadline_too_short);
  if (spec.parent.valid()) {
    if (spec.parent.value >= streams.size() || !streams[spec.parent.value].open)
      return refused(Admission::Reason::bad_parent);
    if (spec.criticality == Criticality::hard || spec.trigger.metric >= kMaxMetrics)
      return refused(Admission::Reason::bad_parent);
  }
  return {.outcome = Admission::Outcome::accepted};
}

Admission Scheduler::State::open(const StreamSpec& spec, std::vector<Route> routes) noexcept {
  if (Admission a = check(spec); a.outcome == Admission::Outcome::refused) return a;
  const auto free = std::find_if(streams.begin(), streams.end(), [](const Stream& s) { return !s.used; });
  if (free == streams.end()) return refused(Admission::Reason::no_capacity);
  Stream& stream = *free;
  stream = Stream{};
  stream.spec = spec;
  stream.routes = std::move(routes);
  if (stream.routes.empty()) return refused(Admission::Reason::no_accelerator);
  bound_routes(stream);
  if (stream.first == stream.last) return refused(Admission::Reason::accuracy_floor);
  const StreamId id{static_cast<std::size_t>(free - streams.begin())};
  Admission answer{.outcome = Admission::Outcome::accepted, .stream = id, .route = RouteId{stream.first}};
  if (spec.criticality == Criticality::hard) answer = admit_hard(stream);
  if (answer.outcome == Admission::Outcome::refused) {
    stream = Stream{};
    return answer;
  }
  stream.open = stream.used = true;
  if (spec.parent.valid()) {
    ++streams[spec.parent.value].children;
    show(spec.parent);
  }
  show(id);
  refresh_routes(stream);
  return answer;
}

Admission Scheduler::State::update(StreamId id, const StreamSpec& spec, Instant) {
  if (id.value >= streams.size() || !streams[id.value].open) return refused(Admission::Reason::none);
  Stream& stream = streams[id.value];
  StreamSpec wanted = spec;  // what a stream is made of cannot change, only what is asked of it
  wanted.model = stream.spec.model;
  wanted.form = stream.spec.form;
  wanted.parent = stream.spec.parent;
  if (Admission a = check(wanted); a.outcome == Admission::Outcome::refused) return a;
  // Only what decides is remembered; the routes stay where they are.
  const StreamSpec old = stream.spec;
  const bool was_hard = stream.hard;
  const auto first = stream.first, last = stream.last;
  stream.spec = wanted;
  stream.hard = false;
  bound_routes(stream);
  Admission answer{.outcome = Admission::Outcome::accepted, .stream = id, .route = RouteId{stream.first}};
  if (stream.first == stream.last) {
    answer = refused(Admission::Reason::accuracy_floor);
  } else if (wanted.criticality == Criticality::hard) {
    answer = admit_hard(stream);
  }
  if (answer.outcome == Admission::Outcome::refused) {
    stream.spec = old;
    stream.hard = was_hard;
    stream.first = first, stream.last = last;
  } else {
    requeue(stream);
  }
  refresh_guards();
  show(id);
  return answer;
}

void Scheduler::State::close(StreamId id, Instant now) {
  if (id.value >= streams.size() || !streams[id.value].open) return;
  Stream& stream = streams[id.value];
  stream.open = false;
  if (stream.spec.parent.valid()) {
    --streams[stream.spec.parent.value].children;
    show(stream.spec.parent);
  }
  for (std::uint32_t j = stream.oldest, newer; j != Job::kNone; j = newer) {
    newer = jobs[j].newer;
    cancel(JobId{j}, now);
  }
  maybe_end_stream(id);
}

void Scheduler::State::maybe_end_stream(StreamId id) noexcept {
  Stream& stream = streams[id.value];
  if (stream.open || !stream.used || stream.in_flight > 0) return;
  // A cascade child goes on being named by its parent's children until they are closed: they only lose their source.
  for (Stream& other : streams)
    if (other.used && other.spec.parent == id) other.spec.parent = StreamId{};
  stream.used = stream.hard = false;
  stream_views[id.value] = StreamView{};
  refresh_guards();
  port.stream_ended(id);
}

void Scheduler::State::refresh_guards() noexcept {
  for (std::size_t a = 0; a < accelerators.size(); ++a) {
    loads.clear();
    for (const Stream& s : streams)
      if (s.hard && s.accelerator == AcceleratorId{a}) loads.push_back(s.load);
    // Where the kernel lets a hard worker take the core from a soft one, soft segments may be of any length.
    accelerators[a].soft_limit = accelerators[a].spec.preempts ? kForever : std::max(soft_limit(loads), Duration{});
  }
  for (SlotPool& pool : pools) pool.kept = 0;
  for (const Stream& s : streams)
    if (s.hard && s.routes[s.route.value].length() > 1) ++pools[accelerators[s.accelerator.value].spec.pool.value].kept;
}

// Hard streams whose accelerator is gone move to one that is up, or go on as soft; those that became soft are tried
// again.
void Scheduler::State::rebind_hard_streams(Instant) noexcept {
  for (std::size_t i = 0; i < streams.size(); ++i) {
    Stream& stream = streams[i];
    if (!stream.open || stream.spec.criticality != Criticality::hard) continue;
    if (stream.hard && accelerators[stream.accelerator.value].up) continue;
    const bool was_hard = stream.hard;
    stream.hard = false;
    const Admission a = admit_hard(stream);
    const bool placed = a.outcome != Admission::Outcome::refused && accelerators[stream.accelerator.value].up;
    if (!placed) stream.hard = false;
    if (was_hard || placed) port.stream_moved(StreamId{i}, placed ? stream.accelerator : AcceleratorId{}, stream.route);
    requeue(stream);
  }
  refresh_guards();
}

// Jobs of a stream whose binding changed are queued where they now belong.
void Scheduler::State::requeue(Stream& stream) noexcept {
  for (std::uint32_t j = stream.oldest; j != Job::kNone; j = jobs[j].newer) {
    const JobState state = jobs[j].state;
    if (state != JobState::waiting && state != JobState::delayed) continue;
    if (state == JobState::waiting) remove_waiting(JobId{j});
    if (stream.hard && stream.routes[stream.route.value].continues(route_of(jobs[j]), jobs[j].segment))
      jobs[j].route = stream.route;
    if (state == JobState::waiting) add_waiting(JobId{j});
  }
}

}  // namespace takt
