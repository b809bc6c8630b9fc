// The four ends of a lane's rings, and why their memory orders suffice. No system calls: sleeping and waking is the
// caller's.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "wire/rings.hpp"

namespace takt::wire {

// Position and sequence. A ring has positions 0, 1, 2, ...; position p lives in entries[p % kStartEntries]. Sequences
// are the core's: unique and rising, not necessarily without gaps. A recalled entry gives its position back: the next
// post takes it again, with a new sequence in the word. So a lane where the same place is posted and recalled a hundred
// times behind one long segment never fills up, and the worker has nothing to skip: it stands at one position until it
// has claimed it.

// The broker's end of a StartRing; all that it decides by is private, so nothing an executor writes can lead it astray.
// One thread.
class StartProducer {
 public:
  explicit StartProducer(StartRing& ring) noexcept : ring_(&ring) {}

  // Posted or claimed, not yet completed.
  [[nodiscard]] std::size_t unfinished() const noexcept { return static_cast<std::size_t>(tail_ - head_); }
  [[nodiscard]] bool full() const noexcept { return unfinished() >= kStartEntries - 1; }

  // The entry to fill, if not full. Nobody else looks at it: its last use was completed or recalled.
  [[nodiscard]] StartEntry& entry() noexcept { return ring_->entries[tail_ % kStartEntries]; }

  // Publishes the filled entry. True: a worker sleeps; wake the futex at ring.doorbell.
  // Release: who sees `posted` sees the payload. The doorbell and the look at `sleepers` are sequentially consistent,
  // as are the worker's two in the other order (StartConsumer): one of the two sides sees the other.
  [[nodiscard]] bool publish(std::uint64_t sequence) noexcept {
    sequences_[tail_ % kStartEntries] = sequence;
    entry().word.store(entry_word(sequence, EntryState::posted), std::memory_order_release);
    ++tail_;
    ring_->doorbell.fetch_add(1, std::memory_order_seq_cst);
    return ring_->sleepers.load(std::memory_order_seq_cst) != 0;
  }

  // Takes back the newest entry, if `sequence` is it and the worker has not claimed it. On success the position is
  // free. Relaxed is enough: the swap only decides who owns the entry, the loser reads nothing, and our next payload is
  // written after we won, when no worker may touch the entry until the next release store.
  [[nodiscard]] bool recall(std::uint64_t sequence) noexcept {
    if (unfinished() == 0 || sequences_[(tail_ - 1) % kStartEntries] != sequence) return false;
    std::uint64_t expected = entry_word(sequence, EntryState::posted);
    if (!ring_->entries[(tail_ - 1) % kStartEntries].word.compare_exchange_strong(
            expected, entry_word(sequence, EntryState::recalled), std::memory_order_relaxed))
      return false;
    --tail_;
    return true;
  }

  // A completion came. Workers complete in the order of claims, so it must be the oldest; false: the executor lies.
  [[nodiscard]] bool finish(std::uint64_t sequence) noexcept {
    if (unfinished() == 0 || sequences_[head_ % kStartEntries] != sequence) return false;
    ++head_;
    return true;
  }

  [[nodiscard]] std::atomic<std::uint32_t>& doorbell() const noexcept { return ring_->doorbell; }

 private:
  StartRing* ring_;
  std::uint64_t head_ = 0, tail_ = 0;  // oldest unfinished position, next free position
  std::array<std::uint64_t, kStartEntries> sequences_{};
};

// The worker's end of a StartRing. One thread. To sleep:
//   const auto seen = consumer.doorbell().load();  // seq_cst, before the last look
//   if (nothing to claim) { consumer.announce_sleep(); futex_wait(doorbell, seen); consumer.awake(); }
// If the broker's publish is not seen by that last look, either its doorbell came before the wait, which then returns
// at once, or after it, and then the broker's look at `sleepers` comes after our announcement and it wakes us.
class StartConsumer {
 public:
  explicit StartConsumer(StartRing& ring) noexcept : ring_(&ring) {}

  // Cheap enough to spin on.
  [[nodiscard]] bool has_work() const noexcept {
    return (entry().word.load(std::memory_order_relaxed) & 0xff) == static_cast<std::uint64_t>(EntryState::posted);
  }

  // Claims the next entry if there is one and the broker did not recall it in the meantime; else null. The payload may
  // be read until the launch's completion is pushed, not later. Acquire pairs with the publishing store.
  [[nodiscard]] const StartEntry* try_claim() noexcept {
    StartEntry& e = entry();
    std::uint64_t word = e.word.load(std::memory_order_relaxed);
    if ((word & 0xff) != static_cast<std::uint64_t>(EntryState::posted)) return nullptr;
    const std::uint64_t sequence = word >> 8;
    if (!e.word.compare_exchange_strong(word, entry_word(sequence, EntryState::claimed), std::memory_order_acquire,
                                        std::memory_order_relaxed))
      return nullptr;
    sequence_ = sequence;
    ++position_;
    return &e;
  }
  // Of the last entry claimed.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }

  [[nodiscard]] std::atomic<std::uint32_t>& doorbell() const noexcept { return ring_->doorbell; }
  void announce_sleep() noexcept { ring_->sleepers.store(1, std::memory_order_seq_cst); }
  void awake() noexcept { ring_->sleepers.store(0, std::memory_order_relaxed); }

 private:
  [[nodiscard]] StartEntry& entry() const noexcept { return ring_->entries[position_ % kStartEntries]; }
  StartRing* ring_;
  std::uint64_t position_ = 0;  // of the next claim
  std::uint64_t sequence_ = 0;
};

// The worker's end of a CompletionRing. One thread.
class CompletionProducer {
 public:
  explicit CompletionProducer(CompletionRing& ring) noexcept : ring_(&ring) {}

  // The entry to fill; null if the broker has fallen a whole ring behind, which it cannot while it keeps to
  // StartProducer::full(). Acquire: its reads of the entry's last use are over.
  [[nodiscard]] CompletionEntry* entry() noexcept {
    if (head_ - ring_->tail.load(std::memory_order_acquire) >= kCompletionEntries) return nullptr;
    return &ring_->entries[head_ % kCompletionEntries];
  }
  // Release: who sees the head sees the entry, and everything the segment wrote before it.
  void publish() noexcept { ring_->head.store(++head_, std::memory_order_release); }

 private:
  CompletionRing* ring_;
  std::uint64_t head_ = 0;
};

// The broker's end of a CompletionRing. One thread.
class CompletionConsumer {
 public:
  enum class Pop : std::uint8_t { entry, nothing, corrupt };
  explicit CompletionConsumer(CompletionRing& ring) noexcept : ring_(&ring) {}

  // Copies the next completion out of the executor's reach, then checks what it would be indexed by. `corrupt`: the
  // executor wrote nonsense; give it up. Whether the sequence was expected is for StartProducer::finish() to say.
  [[nodiscard]] Pop pop(CompletionEntry& out) noexcept {
    const std::uint64_t head = ring_->head.load(std::memory_order_acquire);
    if (head == tail_) return Pop::nothing;
    if (head - tail_ > kCompletionEntries) return Pop::corrupt;
    out = ring_->entries[tail_ % kCompletionEntries];
    ring_->tail.store(++tail_, std::memory_order_release);
    const bool known = out.status == RunStatus::ok || out.status == RunStatus::failed;
    return known && out.count <= kMaxBatch ? Pop::entry : Pop::corrupt;
  }

 private:
  CompletionRing* ring_;
  std::uint64_t tail_ = 0;
};

}  // namespace takt::wire
