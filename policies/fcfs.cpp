// fcfs: first come, first served; the earliest release goes to the idle accelerator that ends its next segment first.
#include "policies/support/key_dispatcher.hpp"

namespace {
struct Release {
  std::int64_t operator()(const takt::Rank& r, std::size_t) const noexcept { return takt::to_ns(r.release); }
};
std::unique_ptr<takt::Dispatcher> make() {
  return std::make_unique<takt::KeyDispatcher<Release>>();
}
}  // namespace

TAKT_POLICY(fcfs, "first come, first served", .dispatcher = make)
