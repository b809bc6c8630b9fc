// edf: earliest deadline first (Liu, Layland 1973), at segment boundaries; earliest finish placement.
#include "policies/support/key_dispatcher.hpp"

namespace {
struct Deadline {
  std::int64_t operator()(const takt::Rank& r, std::size_t) const noexcept { return takt::to_ns(r.deadline); }
};
std::unique_ptr<takt::Dispatcher> make() {
  return std::make_unique<takt::KeyDispatcher<Deadline>>();
}
}  // namespace

TAKT_POLICY(edf, "earliest deadline first", .dispatcher = make)
