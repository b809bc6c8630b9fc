// Answers and notices that wait for takt_next_answer(): a ring that can hold all that may ever wait.
#pragma once

#include <array>
#include <cstddef>

#include "takt/result.hpp"
#include "takt/takt.h"
#include "wire/protocol.hpp"

namespace takt::lib {

// Every waiting verdict holds a credit of the session, and of each credit at most one notice waits.
inline constexpr std::size_t kMaxWaiting = 2 * wire::kMaxCredits;

class AnswerQueue {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // A cleared place at the end. The caller sees to it that no more wait than there are credits.
  [[nodiscard]] takt_answer& push_verdict() noexcept {
    TAKT_CHECK(size_ < kMaxWaiting);
    takt_answer& answer = ring_[(first_ + size_++) % kMaxWaiting];
    answer = takt_answer{};
    return answer;
  }
  // The same; null if as many notices wait as there are credits, which only a broken broker brings about.
  [[nodiscard]] takt_answer* push_notice() noexcept {
    if (notices_ == wire::kMaxCredits) return nullptr;
    ++notices_;
    takt_answer& answer = push_verdict();
    answer.is_notice = 1;
    return &answer;
  }
  // The oldest, valid until the next push; null if none waits.
  [[nodiscard]] const takt_answer* pop() noexcept {
    if (size_ == 0) return nullptr;
    const takt_answer& answer = ring_[first_];
    if (answer.is_notice != 0) --notices_;
    first_ = (first_ + 1) % kMaxWaiting;
    --size_;
    return &answer;
  }
  // The stream is about to go: answers no longer name it.
  void forget(const takt_stream* stream) noexcept {
    for (std::size_t i = 0; i < size_; ++i) {
      takt_answer& answer = ring_[(first_ + i) % kMaxWaiting];
      if (answer.stream == stream) answer.stream = nullptr;
    }
  }

 private:
  std::array<takt_answer, kMaxWaiting> ring_{};
  std::size_t first_ = 0, size_ = 0, notices_ = 0;
};

}  // namespace takt::lib
