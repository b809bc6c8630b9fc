// Deciding: hard jobs first and by the core alone, then the policy for everything else.
#include <algorithm>

#include "core/state.hpp"

namespace takt {
namespace {

// Earliest admitted deadline first; total, so that equal runs are equal.
bool hard_before(const Job& a, const Job& b) noexcept {
  if (a.rank_deadline != b.rank_deadline) return a.rank_deadline < b.rank_deadline;
  if (a.release != b.release) return a.release < b.release;
  return a.stream != b.stream ? a.stream < b.stream : a.frame < b.frame;
}

// Predicted end of the first `most` entries that are posted on a lane, not before now.
Instant committed_until(const LaneState& lane, Instant now, std::size_t most = SIZE_MAX) noexcept {
  Instant until = now;
  for (std::size_t e = 0; e < std::min<std::size_t>(lane.count, most); ++e)
    until = std::max((e == 0 ? lane.front_since : until) + lane.queue[e].expected, now);
  return until;
}

}  // namespace

bool Scheduler::State::idle(const Accelerator& a, Lane lane) const noexcept {
  if (a.lanes[static_cast<std::size_t>(lane)].count > 0) return false;
  return a.spec.preempts || (a.lanes[0].count == 0 && a.lanes[1].count == 0);
}

void Scheduler::State::decide(Instant now) {
  expire(now);
  policy_wake = kNever;
  for (Accelerator& a : accelerators) a.yields = false;
  constexpr int kQuietRounds = 3;  // plans that start nothing: a policy cannot change its mind for ever
  int quiet = 0;
  for (bool first = true; quiet < kQuietRounds; first = false) {
    dispatch_hard(now);
    if (waiting.size() == 0) break;
    view(now, first);
    plan.clear();
    ++counters.decisions;
    policy.decide(snapshot, plan);
    const Applied applied = apply(now);
    if (applied == Applied::nothing && !first) break;
    if (applied != Applied::started) ++quiet;
  }
  for (std::size_t a = 0; a < accelerators.size(); ++a) {
    const bool hard_waits = !accelerators[a].hard_waiting.empty();
    if (!hard_waits) post_ahead(AcceleratorId{a}, Lane::realtime, now);
    if (accelerators[a].yields || (hard_waits && !accelerators[a].spec.preempts)) continue;
    post_ahead(AcceleratorId{a}, Lane::normal, now);
  }
}

void Scheduler::State::dispatch_hard(Instant now) noexcept {
  for (std::size_t i = 0; i < accelerators.size(); ++i) {
    Accelerator& acc = accelerators[i];
    if (!acc.up || acc.hard_waiting.empty()) continue;
    const auto best = std::min_element(acc.hard_waiting.begin(), acc.hard_waiting.end(),
                                       [&](JobId a, JobId b) { return hard_before(job(a), job(b)); });
    const JobId lead = *best;
    // Entries ahead of a running one give way to a hard job that outranks them; soft ones always do. A soft one that
    // nobody has claimed gives way too, but not to a hard job that would still wait for a slot.
    const bool can_go = !needs_slot(job(lead)) || !pools[acc.spec.pool.value].free.empty();
    if (!acc.spec.preempts) recall_ahead(AcceleratorId{i}, Lane::normal, can_go ? 0 : 1, now);
    const LaneState& lane = acc.lane(Lane::realtime);
    if (lane.count > 1 && hard_before(job(lead), job(lane.queue[1].jobs[0])))
      recall_ahead(AcceleratorId{i}, Lane::realtime, 1, now);
    if (idle(acc, Lane::realtime)) (void)post(AcceleratorId{i}, Lane::realtime, {&lead, 1}, now);
  }
}

// What the policy sees. Cheap: the arrays are the core's own, only the accelerators are written.
void Scheduler::State::view(Instant now, bool first) noexcept {
  for (std::size_t i = 0; i < accelerators.size(); ++i) {
    if (config.learn_pace) accelerators[i].forget_idle(now);
    const Accelerator& acc = accelerators[i];
    const LaneState& lane = acc.lanes[static_cast<std::size_t>(Lane::normal)];
    const LaneState& hard_lane = acc.lanes[static_cast<std::size_t>(Lane::realtime)];
    AcceleratorView& v = accelerator_views[i];
    v = {.up = acc.up,
         .idle = acc.up && idle(acc, Lane::normal),
         .pool = acc.spec.pool,
         .free_slots = static_cast<std::uint32_t>(pools[acc.spec.pool.value].free_for(Lane::normal)),
         .soft_limit = acc.soft_limit,
         .busy_until = std::max(committed_until(acc.lanes[0], now), committed_until(acc.lanes[1], now)),
         .running_until = std::max(committed_until(lane, now, 1), committed_until(hard_lane, now)),
         .pace = acc.pace,
         .spread = acc.spread,
         .latest = acc.latest,
         .latest_bytes = acc.latest.valid() ? job(acc.latest).live_bytes : 0,
         .exchange = acc.spec.exchange};
    if (lane.count == 0) continue;
    const Job& j = job(lane.queue[0].jobs[0]);
    v.running_togo = route_of(j).togo_min[j.segment];
    v.running = lane.queue[0].jobs[0];
    v.running_segment = j.segment;
    if (j.segment + 1u < route_of(j).length()) v.running_bytes = live_bytes[route_of(j).path[j.segment].value];
    if (acc.spec.ahead == 0) continue;
    v.continues = j.segment + 1u < route_of(j).length();
    if (!v.continues) continue;
    v.continuing = rank(lane.queue[0].jobs[0]);
    v.continuing.togo_min = route_of(j).togo_min[j.segment + 1u];
    v.continuing.togo_sum = route_of(j).togo_sum[j.segment + 1u];
  }
  snapshot.now = now;
  snapshot.first = first;
  snapshot.pace = 1, snapshot.caution = 1, snapshot.detour = Duration{};
  bool none = true;
  for (const Accelerator& a : accelerators) {
    if (!a.up || (!none && a.pace >= snapshot.pace)) continue;
    snapshot.pace = a.pace;
    snapshot.caution = a.pace + 4 * a.spread;  // as for retransmission timers (Jacobson 1988)
    snapshot.detour = Duration{static_cast<std::int64_t>(a.detour_ns + 4 * a.detour_spread_ns)};
    none = false;
  }
  snapshot.waiting = waiting.view();
  snapshot.accelerators = accelerator_views;
  snapshot.streams = stream_views;
  snapshot.costs = &costs;
  snapshot.live_bytes = live_bytes.data();
  snapshot.max_batch = config.max_batch;
}

Scheduler::State::Applied Scheduler::State::apply(Instant now) noexcept {
  Applied result = Applied::nothing;
  const auto took = [&](bool honoured, Applied effect) {
    if (honoured) {
      result = std::max(result, effect);
    } else {
      ++counters.refused_plans;
    }
  };
  for (const JobId id : plan.drops.items()) took(apply_drop(id, now), Applied::changed);
  for (const Reroute& r : plan.reroutes.items()) took(apply_reroute(r), Applied::changed);
  for (const AcceleratorId a : plan.recalls.items()) took(apply_recall(a, now), Applied::nothing);
  for (const Start& s : plan.starts.items()) took(apply_start(s, now), Applied::started);
  if (plan.wake_at > now) policy_wake = std::min(policy_wake, plan.wake_at);
  return result;
}

bool Scheduler::State::apply_drop(JobId id, Instant now) noexcept {
  if (id.value >= jobs.size() || !waiting.contains(id)) return false;
  end(id, Verdict::dropped, now);
  return true;
}

bool Scheduler::State::apply_reroute(const Reroute& r) noexcept {
  if (r.job.value >= jobs.size() || !waiting.contains(r.job)) return false;
  Job& j = job(r.job);
  const Stream& stream = stream_of(j);
  if (r.route.value < stream.first || r.route.value >= stream.last) return false;
  if (!stream.routes[r.route.value].continues(route_of(j), j.segment)) return false;
  j.route = r.route;
  waiting.replace(item(r.job));
  return true;
}

bool Scheduler::State::apply_recall(AcceleratorId a, Instant now) noexcept {
  if (a.value >= accelerators.size()) return false;
  accelerators[a.value].yields = true;
  recall_ahead(a, Lane::normal, 1, now);
  return true;
}

bool Scheduler::State::apply_start(const Start& start, Instant now) noexcept {
  if (start.job.value >= jobs.size() || start.accelerator.value >= accelerators.size()) return false;
  if (!waiting.contains(start.job)) return false;
  view(now, false);
  const std::size_t lead = waiting.place(start.job);
  if (!snapshot.can_start(lead, start.accelerator.value)) return false;
  std::array<JobId, kMaxBatch> batch;
  const std::size_t n =
      gather(lead, start.accelerator, std::min(std::max(start.batch, 1u), config.max_batch), now, batch);
  return post(start.accelerator, Lane::normal, {batch.data(), n}, now);
}

// The lead and the most urgent compatible jobs, as many as still let every one of them be in time if they stay together:
// each segment of a larger batch takes longer, for the lead too.
std::size_t Scheduler::State::gather(std::size_t lead, AcceleratorId a, std::uint32_t limit, Instant now,
                                     std::array<JobId, kMaxBatch>& out) noexcept {
  const VariantId variant = waiting.next(lead);
  const Accelerator& acc = accelerators[a.value];
  const Duration alone = costs.at(a, variant).expected;
  std::size_t free = pools[acc.spec.pool.value].free_for(Lane::normal);
  const auto in_time = [&](std::size_t i, Duration segment, std::size_t together) {
    const Duration after = snapshot.route(i).togo(snapshot.waiting.segment[i] + 1u, together);
    return now + scaled(segment + after, acc.pace) <= waiting.rank(i).deadline;
  };
  const auto needs_slot = [&](std::size_t i) { return !waiting.holds(i).valid() && !snapshot.last_segment(i); };
  std::array<std::size_t, kMaxBatch> chosen;
  chosen[0] = lead;
  std::size_t n = 1;
  free -= std::min<std::size_t>(free, needs_slot(lead));
  const std::size_t first = in_time(lead, alone, 1) ? 0 : 1;  // a late lead holds nobody back
  while (n < limit) {
    const Cost& cost = costs.at(a, variant, n + 1);
    if (!cost.runnable() || cost.budget > acc.soft_limit) break;
    const auto fits = [&](std::size_t i) { return in_time(i, cost.expected, n + 1); };
    if (!std::all_of(chosen.begin() + std::min(first, n), chosen.begin() + n, fits)) break;
    std::size_t best = waiting.size();
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (waiting.next(i) != variant || std::find(chosen.begin(), chosen.begin() + n, i) != chosen.begin() + n)
        continue;
      if ((waiting.holds(i).valid() && waiting.holds(i) != acc.spec.pool) || (needs_slot(i) && free == 0)) continue;
      if (!fits(i)) continue;
      if (best == waiting.size() || waiting.rank(i).deadline < waiting.rank(best).deadline) best = i;
    }
    if (best == waiting.size()) break;
    free -= needs_slot(best) ? 1 : 0;
    chosen[n++] = best;
  }
  for (std::size_t i = 0; i < n; ++i) out[i] = waiting.job(chosen[i]);
  return n;
}

}  // namespace takt
