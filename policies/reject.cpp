// reject: gives up a frame that has not begun when its deadline is past, and runs what it began to its end: the queue
// timeout of Triton's scheduler (its time-out action REJECT) set to the deadline. A rival, joined with fcfs.
#include "takt/policy.hpp"

namespace {

class PastDropper final : public takt::Dropper {
 public:
  void drop(const takt::Snapshot& s, takt::Plan& plan) noexcept override {
    for (std::size_t i = 0; i < s.waiting.size; ++i)
      if (!s.waiting.trail[i].ran_on.valid() && s.waiting.rank[i].deadline <= s.now) plan.drops.push(s.waiting.job[i]);
  }
};

std::unique_ptr<takt::Dropper> make() {
  return std::make_unique<PastDropper>();
}

}  // namespace

TAKT_POLICY(reject, "drops what has not begun at its deadline", .dropper = make)
