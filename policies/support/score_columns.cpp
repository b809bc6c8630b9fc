// The columns of jobs and of pairs, and the search for the best pair; see score_columns.hpp.
#include "policies/support/score_columns.hpp"

#include <algorithm>
#include <limits>

namespace takt {
namespace {
constexpr double kClosed = -std::numeric_limits<double>::infinity();
constexpr std::uint32_t kAbsent = WaitingJobs::kAbsent;

// As in AcceleratorView; what does not change while a job waits, but for the slots that are free.
bool open(const Snapshot& s, std::size_t i, std::size_t a) noexcept {
  const AcceleratorView& acc = s.accelerators[a];
  const Cost& cost = s.costs->at(AcceleratorId{a}, s.waiting.next[i]);
  if (!cost.runnable() || cost.budget > acc.soft_limit) return false;
  return !s.waiting.holds[i].valid() || s.waiting.holds[i] == acc.pool;
}
}  // namespace

void ScoreColumns::prepare(const PolicyLimits& limits) {
  const std::size_t room = (limits.jobs + kBlock - 1) / kBlock * kBlock;
  place_.assign(limits.jobs, kAbsent);
  job_.assign(room, {}), is_odd_.assign(room, 0);
  for (auto* column : {&deadline_, &since_, &release_}) column->assign(room, 0);
  for (auto* column : {&togo_, &energies_, &live_, &needs_slot_, &most_}) column->assign(room, 0);
  for (auto* column : {&mean_, &inverse_mean_}) column->assign(room, 1);
  most_of_lane_.assign(room, 0), oldest_of_block_.assign(room / kBlock, 0);
  with_slot_.assign(limits.accelerators * room, 0);
  on_.resize(limits.accelerators);
  idle_.reserve(limits.accelerators), idle_places_.reserve(limits.accelerators);
  for (Pairs& p : on_) {
    for (auto* column : {&p.preference, &p.here, &p.inverse_here}) column->assign(room, 0);
    for (auto* column : {&p.energy, &p.open}) column->assign(room, kClosed);
  }
}

void ScoreColumns::follow(const Snapshot& s) noexcept {
  const bool same = look(s);
  const auto update = [&](JobId job) {
    const std::uint32_t i = s.waiting.place[job.value];
    if (i != kAbsent)
      put(s, job, i);
    else
      erase(job);
  };
  if (!changes_.follow(s.waiting, update) || !same) rebuild(s);
}

// Notes what the columns depend on in the accelerators; false if too much of it is new.
bool ScoreColumns::look(const Snapshot& s) noexcept {
  bool same = true;
  for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
    const AcceleratorView& v = s.accelerators[a];
    Pairs& p = on_[a];
    const double nj = v.exchange.nj_per_byte;
    same &= p.soft_limit == v.soft_limit && p.pool == v.pool && p.nj_per_byte == nj;
    p.soft_limit = v.soft_limit, p.pool = v.pool, p.nj_per_byte = nj;
    if (nj == 0 || (p.latest == v.latest && p.latest_bytes == v.latest_bytes)) continue;
    p.latest = v.latest, p.latest_bytes = v.latest_bytes, p.stale = true;
  }
  return same;
}

void ScoreColumns::rebuild(const Snapshot& s) noexcept {
  while (size_ > 0) erase(job_[size_ - 1]);
  for (std::size_t i = 0; i < s.waiting.size; ++i) put(s, s.waiting.job[i], i);
}

void ScoreColumns::put(const Snapshot& s, JobId job, std::size_t i) noexcept {
  if (place_[job.value] == kAbsent) {
    place_[job.value] = static_cast<std::uint32_t>(size_);
    job_[size_] = job, is_odd_[size_] = 0;
    ++size_;
  }
  const std::size_t k = place_[job.value];
  const Rank& r = s.waiting.rank[i];
  const score::Sums sums = score::sums(s, i);
  deadline_[k] = to_ns(r.deadline), since_[k] = to_ns(s.waiting.trail[i].since), release_[k] = to_ns(r.release);
  togo_[k] = score::mean_togo(s, i);
  energies_[k] = sums.energies;
  live_[k] = static_cast<double>(s.waiting.trail[i].live_bytes);
  needs_slot_[k] = s.waiting.holds[i].valid() || s.last_segment(i) ? 0 : kClosed;
  const double mean = score::mean_latency(s, sums);
  mean_[k] = mean > 0 ? mean : 1;
  inverse_mean_[k] = 1 / mean_[k];
  bool startable = false;
  for (std::size_t a = 0; a < on_.size(); ++a) {
    Pairs& p = on_[a];
    const bool is_open = open(s, i, a);
    startable |= is_open;
    p.open[k] = is_open ? 0 : kClosed;
    p.preference[k] = score::preference(s, i, a, sums);
    p.energy[k] = score::energy(s, i, a, sums) + p.open[k];
    const double here = s.costs->effort(AcceleratorId{a}, s.waiting.next[i]).energy_nj;
    p.here[k] = here, p.inverse_here[k] = here > 0 ? 1 / here : 0;
  }
  odd_ -= is_odd_[k];
  is_odd_[k] = startable && mean <= 0 ? 1 : 0;
  odd_ += is_odd_[k];
}

void ScoreColumns::erase(JobId job) noexcept {
  if (place_[job.value] == kAbsent) return;
  const std::size_t k = place_[job.value], last = --size_;
  odd_ -= is_odd_[k];
  place_[job_[last].value] = static_cast<std::uint32_t>(k);
  place_[job.value] = kAbsent;
  job_[k] = job_[last], is_odd_[k] = is_odd_[last];
  for (auto* column : {&deadline_, &since_, &release_}) (*column)[k] = (*column)[last];
  for (auto* column : {&togo_, &mean_, &inverse_mean_, &energies_, &live_, &needs_slot_})
    (*column)[k] = (*column)[last];
  for (Pairs& p : on_) {
    for (auto* column : {&p.preference, &p.energy, &p.here, &p.inverse_here, &p.open}) (*column)[k] = (*column)[last];
    p.open[last] = p.energy[last] = kClosed;
  }
}

// The job that left its activation there pays less than the formula for all others says.
void ScoreColumns::refresh_energy(const Snapshot& s, std::size_t a) noexcept {
  Pairs& p = on_[a];
  p.stale = false;
  const score::EnergyColumns columns{.energies = energies_.data(),
                                     .live = live_.data(),
                                     .here = p.here.data(),
                                     .inverse_here = p.inverse_here.data(),
                                     .open = p.open.data(),
                                     .nj_per_byte = p.nj_per_byte,
                                     .left = p.latest.valid() ? static_cast<double>(p.latest_bytes) : 0};
  kernels_.energies(columns, blocks(), p.energy.data());
  if (!p.latest.valid() || place_[p.latest.value] == kAbsent) return;
  const std::size_t i = s.waiting.place[p.latest.value], k = place_[p.latest.value];
  p.energy[k] = score::energy(s, i, a, score::sums(s, i)) + p.open[k];
}

ScoredPair ScoreColumns::best(const Snapshot& s, const ScoreRule& rule, const ScoreWeights& weights) noexcept {
  if (odd_ > 0 || rule.late == LateUrgency::negative) return best_pair(s, rule, weights);
  constexpr double kNone = std::numeric_limits<double>::infinity();
  const score::KernelRule kernel_rule{
      .now = to_ns(s.now),
      .alpha = weights.alpha,
      .beta = weights.beta > 0 ? weights.beta : 1,
      .urgency_ceiling = rule.capped ? 1 : kNone,
      .starvation_ceiling = rule.starvation_ceiling > 0 ? rule.starvation_ceiling : kNone,
      .late_is_urgent = rule.late == LateUrgency::cap};
  gather_idle(s, weights.beta > 0);
  const score::JobColumns jobs{deadline_.data(), since_.data(), togo_.data(), mean_.data(), inverse_mean_.data()};
  const double highest = kernels_.scores(kernel_rule, jobs, idle_, blocks(), most_.data(), most_of_lane_.data());
  if (highest == kClosed) return {s.waiting.size, 0};
  const std::size_t k = oldest_of(s, highest);
  const double urgency = score::urgency(rule, togo_[k], static_cast<double>(deadline_[k] - to_ns(s.now)));
  const double starvation = score::starvation(rule, static_cast<double>(to_ns(s.now) - since_[k]), mean_[k]);
  std::size_t a = 0;  // the first idle one with that score
  const ScoreWeights used{kernel_rule.alpha, kernel_rule.beta};
  while (score::total(used, urgency, idle_[a].preference[k], starvation, idle_[a].energy[k]) != highest) ++a;
  return {s.waiting.place[job_[k].value], idle_places_[a]};
}

// Columns of the accelerators that may be given work. Where energy does not count, whether a pair is open stands for
// it.
void ScoreColumns::gather_idle(const Snapshot& s, bool energy_counts) noexcept {
  idle_.clear(), idle_places_.clear();
  for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
    const AcceleratorView& v = s.accelerators[a];
    if (!v.up || !v.idle) continue;
    Pairs& p = on_[a];
    if (p.stale && energy_counts) refresh_energy(s, a);
    const double* energy = energy_counts ? p.energy.data() : p.open.data();
    if (v.free_slots == 0) {
      double* const some = &with_slot_[a * most_.size()];
      for (std::size_t k = 0; k < size_; ++k) some[k] = energy[k] + needs_slot_[k];
      std::fill(some + size_, some + blocks() * kBlock, kClosed);
      energy = some;
    }
    idle_.push_back({p.preference.data(), energy});
    idle_places_.push_back(a);
  }
}

// The place of the oldest of the jobs with that score. Mostly it is one; but what is late and starved scores by its
// segment alone, so it may be hundreds.
std::size_t ScoreColumns::oldest_of(const Snapshot& s, double highest) noexcept {
  const std::size_t lanes = kernels_.lanes;
  const double *const begin = most_of_lane_.data(), *const end = begin + blocks() * lanes;
  const double* const match = std::find(begin, end, highest);
  const std::size_t block = static_cast<std::size_t>(match - begin) / lanes;
  const std::size_t lane = static_cast<std::size_t>(match - begin) % lanes;
  if (std::find(match + 1, end, highest) == end) return oldest_in(s, highest, block, lane, lanes);
  std::int64_t earliest = std::numeric_limits<std::int64_t>::max();
  for (std::size_t b = block; b < blocks(); ++b) {
    oldest_of_block_[b] = kernels_.oldest(&most_[b * kBlock], &release_[b * kBlock], highest);
    earliest = std::min(earliest, oldest_of_block_[b]);
  }
  std::size_t best = size_;
  for (std::size_t b = block; b < blocks(); ++b) {
    if (oldest_of_block_[b] != earliest) continue;
    const std::size_t k = oldest_in(s, highest, b, 0, 1);
    if (best == size_ || older(rank(s, k), rank(s, best))) best = k;
  }
  return best;
}

// The same among every step-th of a block from `from` on; there is one.
std::size_t ScoreColumns::oldest_in(const Snapshot& s, double highest, std::size_t block, std::size_t from,
                                    std::size_t step) const noexcept {
  std::size_t best = size_;
  const std::size_t end = std::min((block + 1) * kBlock, size_);
  for (std::size_t k = block * kBlock + from; k < end; k += step) {
    if (most_[k] != highest || (best < size_ && release_[k] > release_[best])) continue;
    if (best == size_ || older(rank(s, k), rank(s, best))) best = k;
  }
  return best;
}

}  // namespace takt
