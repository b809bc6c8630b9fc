// The composition of stages into one policy; see compose.hpp.
#include "policies/support/compose.hpp"

#include <algorithm>
#include <utility>

namespace takt {
namespace {

// Dropping and subnet choice happen once an instant, before anything starts. The core applies what a stage did and asks
// again, so each sees the effect of those before it.
class ComposedPolicy final : public Policy {
 public:
  std::unique_ptr<Dispatcher> dispatcher;
  std::unique_ptr<SubnetSelector> selector;
  std::unique_ptr<Dropper> dropper;

  void prepare(const PolicyLimits& limits) override {
    dispatcher->prepare(limits);
    if (dropper) dropper->prepare(limits);
    if (selector) selector->prepare(limits);
  }
  void decide(const Snapshot& s, Plan& plan) noexcept override {
    if (s.first) {
      selected_ = false;
      if (dropper) dropper->drop(s, plan);
      if (!plan.drops.empty()) return;
    }
    if (!selected_) {
      selected_ = true;
      if (selector) selector->select(s, plan);
      recall(s, plan);
      if (!plan.reroutes.empty()) return;
    }
    dispatcher->dispatch(s, plan);
  }
  void describe(PolicyReport& report) const noexcept override {
    if (dropper) dropper->describe(report);
    if (selector) selector->describe(report);
    dispatcher->describe(report);
  }

 private:
  // What was posted ahead gives way to a waiting job that ranks before it: every segment boundary is a decision.
  void recall(const Snapshot& s, Plan& plan) noexcept {
    for (std::size_t a = 0; a < s.accelerators.size(); ++a)
      if (s.accelerators[a].continues && dispatcher->gives_way(s, a)) plan.recalls.push(AcceleratorId{a});
  }

  bool selected_ = false;  // in this instant
};

std::string known_names() {
  std::string text;
  for (const PolicyEntry* e : policy_table()) text += (text.empty() ? "" : ", ") + std::string(e->name);
  return text;
}

// Sets one stage; false if it is there already.
template <class Stage>
bool put(std::unique_ptr<Stage>& place, std::unique_ptr<Stage> (*make)()) {
  if (place) return false;
  place = make();
  return true;
}

}  // namespace

tl::expected<std::unique_ptr<Policy>, std::string> compose_policy(std::string_view full_name, std::span<const std::string> settings) {
  const std::size_t colon = std::min(full_name.find(':'), full_name.size());
  const std::string_view name = full_name.substr(0, colon);
  const auto wrong = [](const std::string& what) { return tl::unexpected(what + "; there are: " + known_names()); };
  const std::span<const PolicyEntry* const> table = policy_table();
  auto policy = std::make_unique<ComposedPolicy>();
  for (std::size_t from = 0; from <= name.size();) {
    const std::size_t plus = std::min(name.find('+', from), name.size());
    const std::string_view stage = name.substr(from, plus - from);
    from = plus + 1;
    const auto found = std::find_if(table.begin(), table.end(), [&](const PolicyEntry* e) { return e->name == stage; });
    if (found == table.end()) return wrong("no policy '" + std::string(stage) + "'");
    const PolicyEntry& e = **found;
    if (e.whole != nullptr) {
      if (stage != name) return wrong("policy '" + std::string(stage) + "' is whole and takes no stages");
      return e.whole({.variant = full_name.substr(std::min(colon + 1, full_name.size())), .settings = settings});
    }
    const bool ok = e.dispatcher != nullptr ? put(policy->dispatcher, e.dispatcher)
                    : e.selector != nullptr ? put(policy->selector, e.selector)
                                            : put(policy->dropper, e.dropper);
    if (!ok) return wrong("'" + std::string(name) + "' has two stages of one kind");
  }
  if (colon < full_name.size()) return wrong("'" + std::string(name) + "' has no variants");
  if (!settings.empty()) return wrong("'" + std::string(name) + "' has no settings such as " + settings[0]);
  if (!policy->dispatcher) return wrong("'" + std::string(name) + "' has no dispatcher, such as edf");
  return policy;
}

}  // namespace takt
