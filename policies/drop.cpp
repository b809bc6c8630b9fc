// drop: gives up every waiting job that cannot end in time even alone on the best accelerators (feasibility drop), also where
// a late result would be wanted; early_drop keeps those.
#include "policies/support/lightest.hpp"

namespace {

class InfeasibleDropper final : public takt::Dropper {
 public:
  void drop(const takt::Snapshot& s, takt::Plan& plan) noexcept override {
    for (std::size_t i = 0; i < s.waiting.size; ++i)
      if (takt::infeasible(s, i)) plan.drops.push(s.waiting.job[i]);
  }
};

std::unique_ptr<takt::Dropper> make() {
  return std::make_unique<InfeasibleDropper>();
}

}  // namespace

TAKT_POLICY(drop, "drops what cannot be in time", .dropper = make)
