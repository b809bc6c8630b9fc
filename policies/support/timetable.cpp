// Bookings and the search for gaps; see timetable.hpp.
#include "policies/support/timetable.hpp"

#include <algorithm>

namespace takt {
namespace {

double real(Duration d) noexcept {
  return static_cast<double>(d.count());
}

double part_of(const Chain& c, std::size_t k) noexcept {
  return k < c.parts.size() ? static_cast<double>(c.parts[k]) : 1.0;
}

}  // namespace

// One segment on one accelerator.
struct Timetable::Step {
  std::size_t a = 0;
  Duration time{};  // without a switch
  Duration read{};  // of the activation it takes in, if that is elsewhere
  double price = 0;
  Instant latest{};  // end from which the rest could still be in time
};

void Timetable::prepare(const PolicyLimits& limits, std::size_t chains) {
  lines_.resize(limits.accelerators);
  gone_.resize(limits.accelerators);
  for (auto& line : lines_) line.reserve(chains * limits.segments);
  free_.resize(limits.accelerators);
  write_.resize(limits.accelerators);
  prices_.resize(limits.accelerators);
  cursor_.resize(limits.accelerators);
  ways_.resize(limits.segments * limits.accelerators);
  left_.resize(limits.segments + 1);
  taken_.reserve(limits.segments);
}

void Timetable::open(const Snapshot& s, std::span<const double> prices) {
  for (std::size_t a = 0; a < lines_.size(); ++a) {
    const AcceleratorView& acc = s.accelerators[a];
    lines_[a].clear();
    gone_[a] = 0;
    free_[a] = acc.idle ? s.now : std::max(acc.running_until, s.now + Duration{1});  // what is overdue ends soon
    write_[a] = acc.exchange.time(acc.running.valid() ? acc.running_bytes : acc.latest.valid() ? acc.latest_bytes : 0);
    prices_[a] = prices[a];
  }
}

bool Timetable::book(const Snapshot& s, const Chain& chain, Instant due, double thrift) noexcept {
  const std::size_t length = chain.route->length();
  if (chain.first >= length) return true;
  add_up(s, chain);
  std::fill(cursor_.begin(), cursor_.end(), std::size_t{0});
  for (std::size_t k = chain.first; k < length; ++k)
    if (!extend(s, chain, k, due, thrift)) return false;
  const Way* last = ways(length - 1);
  std::size_t best = 0;
  for (std::size_t a = 1; a < lines_.size(); ++a)
    if (last[a].end != kNever && (last[best].end == kNever || last[a].cost < last[best].cost)) best = a;
  enter(s, chain, best);
  return true;
}

void Timetable::add_up(const Snapshot& s, const Chain& chain) noexcept {
  const std::size_t length = chain.route->length();
  left_[length] = {};
  for (std::size_t k = length; k-- > chain.first;) {
    const Duration least = chain.route->togo_min[k] - chain.route->togo_min[k + 1];
    left_[k] = left_[k + 1] + scaled(s.paced(least), part_of(chain, k)) + s.detour;
  }
}

// The best way to segment k on every accelerator; false if there is none from which the rest could end in time.
bool Timetable::extend(const Snapshot& s, const Chain& chain, std::size_t k, Instant due, double thrift) noexcept {
  const VariantId variant = chain.route->path[k];
  const bool first = k == chain.first;
  const Way start{.cost = 0, .start = {}, .end = chain.ready, .from = chain.at.value};
  const Way* before = first ? nullptr : ways(k - 1);
  Instant ready = chain.ready;
  // The ways to the segment before that are followed up: where it is, the cheapest, the earliest.
  std::uint32_t cheapest = 0, earliest = 0;
  for (std::uint32_t b = 1; !first && b < lines_.size(); ++b) {
    if (before[b].cost < before[cheapest].cost) cheapest = b;
    if (before[b].end < before[earliest].end) earliest = b;
  }
  if (!first) ready = before[earliest].end;
  bool any = false;
  for (std::uint32_t a = 0; a < lines_.size(); ++a) {
    Way& best = ways(k)[a];
    best = {.cost = 1e300};
    const AcceleratorView& acc = s.accelerators[a];
    const Cost& cost = s.costs->at(AcceleratorId{a}, variant);
    if (!acc.up || !cost.runnable() || cost.budget > acc.soft_limit) continue;
    if (chain.holds.valid() && acc.pool != chain.holds) continue;
    const std::vector<Booking>& line = lines_[a];
    while (cursor_[a] < line.size() && line[cursor_[a]].end <= ready) ++cursor_[a];
    const Step step{
        .a = a,
        .time = std::max(Duration{1}, scaled(scaled(cost.expected, acc.pace), part_of(chain, k))) + s.detour,
        .read = acc.exchange.time(first ? chain.live_bytes : s.live_bytes[chain.route->path[k - 1].value]),
        .price = thrift * prices_[a],
        .latest = due - left_[k + 1]};
    // Its activation is still there, or will be when what runs ends.
    const bool there = chain.at == AcceleratorId{a} && free_[a] <= chain.ready &&
                       (acc.running.valid() ? acc.running : acc.latest) == chain.job;
    if (first) consider(step, start.from, start, there, best);
    const auto from = [&](std::uint32_t b) {
      if (before[b].end != kNever && s.accelerators[b].pool == acc.pool) consider(step, b, before[b], a == b, best);
    };
    if (!first) {
      from(a);
      if (cheapest != a) from(cheapest);
      if (earliest != a && earliest != cheapest) from(earliest);
    }
    any |= best.end != kNever;
  }
  return any;
}

// Whether the first gap of an accelerator from the end of `before` on makes a better way.
void Timetable::consider(const Step& step, std::uint32_t from, const Way& before, bool stays,
                         Way& best) const noexcept {
  const std::vector<Booking>& line = lines_[step.a];
  Instant start = std::max(before.end, free_[step.a]);
  // The end that a better way has to come before.
  const double spare = best.cost - before.cost - step.price * real(step.time);
  if (real(start + step.time - before.end) >= spare) return;
  const Instant limit = spare < real(step.latest - before.end)
                            ? before.end + Duration{static_cast<Duration::rep>(spare) + 1}
                            : step.latest;
  auto place = std::partition_point(line.begin() + static_cast<std::ptrdiff_t>(cursor_[step.a]), line.end(),
                                    [&](const Booking& b) { return b.end <= start; });
  const auto write = [&] { return place == line.begin() ? write_[step.a] : std::prev(place)->write; };
  // It goes on at once where it is: no switch.
  Duration need = step.time + (stays ? Duration{} : step.read + write());
  while (place != line.end() && start + need > place->start) {
    // Past all gaps that are too small even without a switch.
    do {
      start = place->end;
      ++place;
    } while (place != line.end() && start + step.time > place->start);
    if (start + step.time > limit) return;
    need = step.time + step.read + write();
  }
  if (start + need > step.latest) return;
  // Of equals it stays: to change for nothing would leave a gap where it was.
  const double change = stays && start == std::max(before.end, free_[step.a]) ? 0 : 1;
  const double cost = before.cost + real(start + need - before.end) + step.price * real(need) + change;
  if (cost < best.cost) best = {.cost = cost, .start = start, .end = start + need, .from = from};
}

void Timetable::enter(const Snapshot& s, const Chain& chain, std::size_t a) noexcept {
  const std::size_t length = chain.route->length();
  for (std::size_t k = length; k-- > chain.first;) {
    const Way& way = ways(k)[a];
    const std::uint64_t live = k + 1 < length ? s.live_bytes[chain.route->path[k].value] : 0;
    const Duration write = s.accelerators[a].exchange.time(live);
    insert(a, {.start = way.start,
               .end = way.end,
               .job = chain.job,
               .segment = static_cast<std::uint16_t>(k),
               .write = write});
    a = way.from;
  }
}

void Timetable::insert(std::size_t a, const Booking& b) noexcept {
  std::vector<Booking>& line = lines_[a];
  line.insert(
      std::upper_bound(line.begin(), line.end(), b.start, [](Instant t, const Booking& x) { return t < x.start; }), b);
}

void Timetable::cancel(JobId job) noexcept {
  taken_.clear();
  for (std::uint32_t a = 0; a < lines_.size(); ++a)
    std::erase_if(lines_[a], [&](const Booking& b) {
      if (b.job != job) return false;
      taken_.push_back({a, b});
      return true;
    });
}

void Timetable::put_back() noexcept {
  for (const auto& [a, b] : taken_) insert(a, b);
}

}  // namespace takt
