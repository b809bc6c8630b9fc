// The waiting jobs kept in an order from one question to the next.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <vector>

#include "policies/support/changes.hpp"
#include "policies/support/order.hpp"
#include "takt/policy.hpp"

namespace takt {

// Sorted blocks, a B-tree of two levels: a change costs two binary searches and a move within a block, a walk from the
// front costs what it visits. Only prepare() allocates.
class JobOrder {
 public:
  struct Entry {
    Order order;
    JobId job;
    friend constexpr auto operator<=>(const Entry&, const Entry&) = default;
  };

  void prepare(std::size_t jobs) {
    orders_.assign(jobs, {});
    held_.assign(jobs, 0);
    const std::size_t blocks = 2 * (jobs / kMerge) + 3;  // neighbours hold more than kMerge together
    blocks_.resize(blocks);
    used_.reserve(blocks);
    spare_.reserve(blocks);
    clear();
  }

  // Brings the order up to date. key(i) of waiting job i may depend on what its rank, route, segment and trail say, not
  // on the time nor on anything else. O(log n) a change; O(n log n) where the changes are not known.
  template <class Key>
  void follow(const Snapshot& s, Key key) noexcept {
    const auto take = [&](JobId job, std::size_t i) { put(job, order_of(s.waiting.rank[i], key(i))); };
    const auto update = [&](JobId job) {
      const std::uint32_t i = s.waiting.place[job.value];
      if (i != WaitingJobs::kAbsent)
        take(job, i);
      else
        erase(job);
    };
    if (changes_.follow(s.waiting, update)) return;
    clear();
    for (std::size_t i = 0; i < s.waiting.size; ++i) take(s.waiting.job[i], i);
  }

  // From the first in order on, until visit(entry) returns true.
  template <class Visit>
  void walk(Visit visit) const noexcept {
    for (const std::uint32_t b : used_)
      for (std::size_t k = 0; k < blocks_[b].count; ++k)
        if (visit(blocks_[b].entries[k])) return;
  }

 private:
  static constexpr std::size_t kRoom = 32, kMerge = 15;
  struct Block {
    std::size_t count = 0;
    std::array<Entry, kRoom> entries;
    [[nodiscard]] Entry* begin() noexcept { return entries.data(); }
    [[nodiscard]] Entry* end() noexcept { return entries.data() + count; }
    [[nodiscard]] const Entry& last() const noexcept { return entries[count - 1]; }
  };

  void clear() noexcept {
    std::fill(held_.begin(), held_.end(), std::uint8_t{0});
    used_.clear(), spare_.clear();
    for (std::size_t b = blocks_.size(); b-- > 0;) spare_.push_back(static_cast<std::uint32_t>(b));
  }
  void put(JobId job, const Order& order) noexcept {
    if (held_[job.value] != 0 && orders_[job.value] == order) return;
    erase(job);
    held_[job.value] = 1, orders_[job.value] = order;
    insert({order, job});
  }
  [[nodiscard]] Block& block(std::size_t at) noexcept { return blocks_[used_[at]]; }
  // The first block that does not end before `entry`; their number if all do.
  [[nodiscard]] std::size_t block_of(const Entry& entry) const noexcept {
    const auto at =
        std::partition_point(used_.begin(), used_.end(), [&](std::uint32_t b) { return blocks_[b].last() < entry; });
    return static_cast<std::size_t>(at - used_.begin());
  }
  void insert(const Entry& entry) noexcept {
    if (used_.empty()) add_block(0);
    std::size_t at = used_.size() == 1 ? 0 : std::min(block_of(entry), used_.size() - 1);
    if (block(at).count == kRoom) {
      split(at);
      if (block(at).last() < entry) ++at;
    }
    Block& b = block(at);
    Entry* const place = std::lower_bound(b.begin(), b.end(), entry);
    std::move_backward(place, b.end(), b.end() + 1);
    *place = entry;
    ++b.count;
  }
  void erase(JobId job) noexcept {
    if (held_[job.value] == 0) return;
    held_[job.value] = 0;
    const Entry entry{orders_[job.value], job};
    const std::size_t at = block_of(entry);
    Block& b = block(at);
    Entry* const place = std::lower_bound(b.begin(), b.end(), entry);
    std::move(place + 1, b.end(), place);
    if (--b.count == 0) remove_block(at);
    merge(at);
    if (at > 0) merge(at - 1);
  }
  void split(std::size_t at) noexcept {
    add_block(at + 1);
    Block &from = block(at), &to = block(at + 1);
    from.count = to.count = kRoom / 2;
    std::copy_n(from.begin() + kRoom / 2, kRoom / 2, to.begin());
  }
  // Joins a block with the next if few are left in both.
  void merge(std::size_t at) noexcept {
    if (at + 1 >= used_.size() || block(at).count + block(at + 1).count > kMerge) return;
    Block &to = block(at), &from = block(at + 1);
    std::copy(from.begin(), from.end(), to.end());
    to.count += from.count;
    remove_block(at + 1);
  }
  void add_block(std::size_t at) noexcept {
    const std::uint32_t b = spare_.back();
    spare_.pop_back();
    blocks_[b].count = 0;
    used_.insert(used_.begin() + static_cast<std::ptrdiff_t>(at), b);
  }
  void remove_block(std::size_t at) noexcept {
    spare_.push_back(used_[at]);
    used_.erase(used_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  Changes changes_;
  std::vector<Order> orders_;       // by job: what it was entered with
  std::vector<std::uint8_t> held_;  // by job: whether it is entered
  std::vector<Block> blocks_;
  std::vector<std::uint32_t> used_;  // blocks in order
  std::vector<std::uint32_t> spare_;
};

}  // namespace takt
