// The timetable: which segment of which job goes where and when. Whole chains are put into the gaps that are left.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "takt/policy.hpp"

namespace takt {

// What is left of one job. Everything pointed to outlives the call.
struct Chain {
  JobId job;
  const Route* route = nullptr;
  std::size_t first = 0;         // its next segment
  Instant ready{};               // when that may start
  AcceleratorId at;              // where its last segment ran or runs; invalid: it has not begun
  std::uint64_t live_bytes = 0;  // its activation then
  SlotPoolId holds;              // pool it must stay in; invalid: any
  std::span<const float> parts;  // by segment: the part of its time that is booked for it; shorter: whole times
};

// Bookings are made for a snapshot's time and the accelerators as it shows them; a later snapshot may ask for them and
// take them out. book() is O(segments x accelerators x bookings passed by); only prepare() allocates.
class Timetable {
 public:
  struct Booking {
    Instant start{}, end{};
    JobId job;
    std::uint16_t segment = 0;
    Duration write{};  // of its activation, before another job can follow; 0 after the last segment
  };

  // Room for `chains` chains.
  void prepare(const PolicyLimits& limits, std::size_t chains);
  // Empties it and looks at the accelerators. `prices`: what a nanosecond of each costs beside the job's own time, in
  // nanoseconds.
  void open(const Snapshot& s, std::span<const double> prices);

  // Books the chain so that it ends by `due` with the least sum of time until it ends and priced time; the price is
  // weighed with `thrift`, 0 asks for the earliest end. A heuristic: of the ways to a segment on an accelerator it
  // follows up one, and to the next segment only from there, the cheapest and the earliest; if those are in another
  // pool, a way may be missed. False, and nothing booked, if it finds none. The context switches of those behind it are
  // not looked at again.
  [[nodiscard]] bool book(const Snapshot& s, const Chain& chain, Instant due, double thrift) noexcept;
  // Takes the bookings of a job out; put_back() puts those that were taken out last where they were.
  void cancel(JobId job) noexcept;
  void put_back() noexcept;

  [[nodiscard]] std::span<const Booking> line(std::size_t a) const noexcept {
    return std::span(lines_[a]).subspan(gone_[a]);
  }
  // Of a booking of line(a). After that nothing is booked or cancelled until the next open().
  void take_out(std::size_t a, std::size_t place) noexcept {
    if (place == 0) {
      ++gone_[a];
    } else {
      lines_[a].erase(lines_[a].begin() + static_cast<std::ptrdiff_t>(gone_[a] + place));
    }
  }
  // A copy to come back to; copy_to() does not allocate if both were prepared alike.
  void copy_to(Timetable& other) const noexcept { other.lines_ = lines_, other.gone_ = gone_; }

 private:
  // The best way found to a segment on an accelerator.
  struct Way {
    double cost = 0;
    Instant start{}, end = kNever;
    std::uint32_t from = 0;  // accelerator of the segment before
  };
  struct Step;

  [[nodiscard]] Way* ways(std::size_t k) noexcept { return &ways_[k * lines_.size()]; }
  void add_up(const Snapshot& s, const Chain& chain) noexcept;
  [[nodiscard]] bool extend(const Snapshot& s, const Chain& chain, std::size_t k, Instant due, double thrift) noexcept;
  void consider(const Step& step, std::uint32_t from, const Way& before, bool stays, Way& best) const noexcept;
  void enter(const Snapshot& s, const Chain& chain, std::size_t a) noexcept;
  void insert(std::size_t a, const Booking& b) noexcept;

  std::vector<std::vector<Booking>> lines_;  // by accelerator, by start
  std::vector<std::size_t> gone_;            // by accelerator: bookings in front that were taken out
  std::vector<Instant> free_;                // by accelerator
  std::vector<Duration> write_;              // by accelerator: of the activation of the job it works on or worked on
  std::vector<double> prices_;
  std::vector<std::size_t> cursor_;  // by accelerator: the first booking that ends after the chain can be there
  std::vector<Way> ways_;            // by segment of the chain and accelerator
  std::vector<Duration> left_;       // by segment: least time from it on
  std::vector<std::pair<std::uint32_t, Booking>> taken_;
};

}  // namespace takt
