// llf: least laxity (slack) first (Mok 1983), at segment boundaries; remaining work is the mean over accelerators.
#include <algorithm>

#include "policies/support/key_dispatcher.hpp"

namespace {
// accelerators * (deadline - now - mean remaining work) without its part that is equal for all jobs: an integer.
struct Laxity {
  std::int64_t operator()(const takt::Rank& r, std::size_t accelerators) const noexcept {
    // Deadlines of "never" must not overflow when multiplied.
    const std::int64_t deadline = std::min(takt::to_ns(r.deadline), takt::to_ns(takt::kForever) / 64);
    return static_cast<std::int64_t>(accelerators) * deadline - takt::to_ns(r.togo_sum);
  }
};
std::unique_ptr<takt::Dispatcher> make() {
  return std::make_unique<takt::KeyDispatcher<Laxity>>();
}
}  // namespace

TAKT_POLICY(llf, "least laxity first", .dispatcher = make)
