// sjf: shortest remaining job first, by the sum of its segments over all accelerators; earliest finish placement.
#include "policies/support/key_dispatcher.hpp"

namespace {
struct Remaining {
  std::int64_t operator()(const takt::Rank& r, std::size_t) const noexcept { return takt::to_ns(r.togo_sum); }
};
std::unique_ptr<takt::Dispatcher> make() {
  return std::make_unique<takt::KeyDispatcher<Remaining>>();
}
}  // namespace

TAKT_POLICY(sjf, "shortest remaining job first", .dispatcher = make)
