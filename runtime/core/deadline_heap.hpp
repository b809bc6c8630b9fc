// An indexed binary heap of (instant, job): the next thing that happens by time alone. Fixed capacity.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "takt/time.hpp"

namespace takt {

// Keys are job numbers under `capacity`, each at most once. Ties are broken by job number. O(log n), never allocates.
class DeadlineHeap {
 public:
  explicit DeadlineHeap(std::size_t capacity) : place_(capacity, kAbsent) { heap_.reserve(capacity); }

  [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }
  [[nodiscard]] Instant next() const noexcept { return heap_.empty() ? kNever : heap_.front().at; }
  [[nodiscard]] std::uint32_t front() const noexcept { return heap_.front().job; }

  void push(std::uint32_t job, Instant at) noexcept {
    heap_.push_back({at, job});
    place_[job] = heap_.size() - 1;
    sift_up(heap_.size() - 1);
  }
  void remove(std::uint32_t job) noexcept {
    const std::size_t i = place_[job];
    if (i == kAbsent) return;
    place_[job] = kAbsent;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (i == heap_.size()) return;
    heap_[i] = last;
    place_[last.job] = i;
    sift_up(i);
    sift_down(place_[last.job]);
  }

 private:
  struct Entry {
    Instant at;
    std::uint32_t job;
    [[nodiscard]] bool before(const Entry& o) const noexcept { return at < o.at || (at == o.at && job < o.job); }
  };
  static constexpr std::size_t kAbsent = static_cast<std::size_t>(-1);

  void swap(std::size_t a, std::size_t b) noexcept {
    std::swap(heap_[a], heap_[b]);
    place_[heap_[a].job] = a;
    place_[heap_[b].job] = b;
  }
  void sift_up(std::size_t i) noexcept {
    for (std::size_t parent = (i - 1) / 2; i > 0 && heap_[i].before(heap_[parent]); parent = (i - 1) / 2) {
      swap(i, parent);
      i = parent;
    }
  }
  void sift_down(std::size_t i) noexcept {
    for (;;) {
      std::size_t least = i;
      for (std::size_t child = 2 * i + 1; child <= 2 * i + 2 && child < heap_.size(); ++child)
        if (heap_[child].before(heap_[least])) least = child;
      if (least == i) return;
      swap(i, least);
      i = least;
    }
  }

  std::vector<Entry> heap_;
  std::vector<std::size_t> place_;
};

}  // namespace takt
