// A policy watched from outside; see tuner_path.hpp.
#include "tuner_path.hpp"

#include <memory>
#include <string_view>

#include "files/scenario_file.hpp"
#include "policies/support/compose.hpp"
#include "sim/engine.hpp"

namespace takt::tool {
namespace {

constexpr std::uint64_t kSeed = 1;
constexpr double kLevel = 1.0;
constexpr const char* kPolicy = "sdrm3:full";

double item(const PolicyReport& report, std::string_view name) {
  for (const PolicyReport::Item& i : report.items())
    if (i.name == name) return i.value;
  return 0;
}

// Notes alpha and beta whenever the policy has closed a window.
class Watched final : public Policy {
 public:
  Watched(std::unique_ptr<Policy> inner, TunerPath& path) : inner_(std::move(inner)), path_(path) { look(before_); }
  void prepare(const PolicyLimits& limits) override { inner_->prepare(limits); }
  void observe(const Ended& ended) noexcept override { inner_->observe(ended); }
  void decide(const Snapshot& s, Plan& plan) noexcept override {
    inner_->decide(s, plan);
    if (s.first) note();
  }

 private:
  void look(PolicyReport& report) const noexcept {
    report = {};
    inner_->describe(report);
  }
  void note() noexcept {
    PolicyReport now;
    look(now);
    if (item(now, "windows") != item(before_, "windows")) {
      // The window that has closed ran with the weights of before.
      path_.best_alpha = item(now, "best_alpha");
      path_.best_beta = item(now, "best_beta");
      path_.windows.push_back({item(before_, "alpha"), item(before_, "beta"), item(now, "last_window_cost"),
                               item(now, "steps"), path_.best_alpha, path_.best_beta});
      path_.best_cost = item(now, "best_cost");
    }
    before_ = now;
  }
  std::unique_ptr<Policy> inner_;
  TunerPath& path_;
  PolicyReport before_;
};

}  // namespace

std::size_t window_of_step(const TunerPath& path, double steps) {
  for (std::size_t w = 0; w < path.windows.size(); ++w)
    if (path.windows[w].steps >= steps) return w + 1;
  return 0;
}

tl::expected<TunerPath, std::string> follow_tuner(const sim::Case& scenario, const std::string& policy, double alpha,
                                                  double beta) {
  std::vector<std::string> settings = split(policy, '/');
  const std::string name = settings.empty() ? "" : settings[0];
  if (!settings.empty()) settings.erase(settings.begin());
  settings.push_back("alpha=" + text_of(alpha));
  settings.push_back("beta=" + text_of(beta));
  auto inner = compose_policy(name, settings);
  if (!inner) return tl::unexpected(inner.error());
  TunerPath path{.scenario = scenario.name};
  Watched watched(std::move(*inner), path);
  (void)sim::simulate(scenario, watched, policy);
  return path;
}

tl::expected<std::vector<TunerPath>, std::string> follow_tuner(const SweepOptions& o, const std::string& system,
                                                               Duration duration) {
  std::vector<TunerPath> paths;
  sim::CostTables tables;
  for (const auto& file : o.scenarios) {
    const auto base = files::read_scenario(file);
    if (!base) return tl::unexpected(base.error().to_string());
    sim::CaseOptions options = o.costs;
    options.seed = kSeed;
    options.duration = duration;
    for (const sim::System& s : sim::systems()) {
      if (s.name != system) continue;
      const auto scenario = sim::make_case(*base, s, {sim::Family::users, kLevel}, options, tables);
      if (!scenario) return tl::unexpected(scenario.error().to_string());
      const TunerPath before = paths.empty() ? TunerPath{} : paths.back();  // the warm one, which comes last
      auto cold = follow_tuner(*scenario, kPolicy, 1, 1);
      if (!cold) return tl::unexpected(cold.error());
      const bool first = paths.empty();
      paths.push_back(std::move(*cold));
      if (first) continue;
      auto warm = follow_tuner(*scenario, kPolicy, before.best_alpha, before.best_beta);
      if (!warm) return tl::unexpected(warm.error());
      warm->warm = true;
      paths.push_back(std::move(*warm));
    }
  }
  return paths;
}

}  // namespace takt::tool
