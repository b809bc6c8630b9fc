// Workers in virtual time; see virtual_executors.hpp.
#include "support/virtual_executors.hpp"

#include <algorithm>

namespace takt::test {
namespace {

constexpr std::array<Lane, kLanes> kBoth{Lane::realtime, Lane::normal};

}  // namespace

VirtualExecutors::VirtualExecutors(std::vector<AcceleratorSpec> accelerators, Hops hops, Began began, Ended ended)
    : specs_(std::move(accelerators)),
      hops_(hops),
      began_(std::move(began)),
      ended_(std::move(ended)),
      time_of_([](AcceleratorId, const Entry& e) { return e.expected; }),
      workers_(specs_.size()),
      fail_next_(specs_.size()) {}

VirtualExecutors::Worker& VirtualExecutors::worker(AcceleratorId a, Lane lane) {
  return workers_[a.value][static_cast<std::size_t>(lane)];
}

bool VirtualExecutors::running(AcceleratorId a, Lane lane) const {
  return workers_[a.value][static_cast<std::size_t>(lane)].running.has_value();
}

void VirtualExecutors::post(const LaunchOrder& order, Instant now) {
  Worker& w = worker(order.accelerator, order.lane);
  w.queue.push_back({order.sequence,
                     order.variant,
                     order.first_segment,
                     order.last_segment,
                     order.expected,
                     {order.jobs.begin(), order.jobs.end()},
                     now});
  if (claimable(w) <= now) claim(order.accelerator, order.lane, now);
}

bool VirtualExecutors::recall(AcceleratorId a, Lane lane, std::uint64_t sequence) {
  Worker& w = worker(a, lane);
  if (w.queue.empty() || w.queue.back().sequence != sequence) return false;
  w.queue.pop_back();
  return true;
}

std::vector<Entry> VirtualExecutors::kill(AcceleratorId a) {
  std::vector<Entry> lost;
  for (Worker& w : workers_[a.value]) {
    if (w.running) lost.push_back(std::move(w.running->entry));
    w.running.reset();
    w.dead = true;
  }
  std::erase_if(reports_, [&](Report& r) {
    if (r.accelerator == a) lost.push_back(std::move(r.entry));
    return r.accelerator == a;
  });
  return lost;
}

void VirtualExecutors::renew(AcceleratorId a) {
  for (Worker& w : workers_[a.value]) w = Worker{};
}

// When an idle worker takes its next entry; never if it has none or is busy.
Instant VirtualExecutors::claimable(const Worker& w) const {
  return w.dead || w.running || w.queue.empty() ? kNever : w.queue.front().posted + hops_.to_worker;
}

void VirtualExecutors::claim(AcceleratorId a, Lane lane, Instant now) {
  Worker& w = worker(a, lane);
  Worker& other = worker(a, lane == Lane::normal ? Lane::realtime : Lane::normal);
  Entry entry = std::move(w.queue.front());
  w.queue.pop_front();
  began_(a, lane, entry);
  const Duration time = time_of_(a, entry);
  Instant end = now + time;
  // On one core the real-time worker takes the processor from the normal one until it ends.
  if (other.running && lane == Lane::realtime) other.running->ended += time;
  if (other.running && lane == Lane::normal) end = other.running->ended + time;
  w.running = Report{a, lane, std::move(entry), now, end, false};
}

Instant VirtualExecutors::next() const {
  Instant least = kNever;
  for (const auto& lanes : workers_)
    for (const Worker& w : lanes) least = std::min({least, claimable(w), w.running ? w.running->ended : kNever});
  for (const Report& r : reports_) least = std::min(least, r.ended + hops_.to_core);
  return least;
}

void VirtualExecutors::advance(Instant now) {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const AcceleratorId a{i};
    for (const Lane lane : kBoth) {
      Worker& w = worker(a, lane);
      if (w.running && w.running->ended <= now) {
        reports_.push_back(std::move(*w.running));
        reports_.back().failed = fail_next_[i];
        fail_next_[i] = false;
        w.running.reset();
        ended_(reports_.back());
      }
      if (claimable(w) <= now) claim(a, lane, now);
    }
  }
}

std::optional<Report> VirtualExecutors::take_report(Instant now) {
  if (reports_.empty() || reports_.front().ended + hops_.to_core > now) return std::nullopt;
  Report report = std::move(reports_.front());
  reports_.pop_front();
  return report;
}

}  // namespace takt::test
