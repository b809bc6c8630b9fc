// Stages of the search; see search.hpp.
#include "search.hpp"

#include <algorithm>
#include <map>

#include "results.hpp"

namespace takt::tool {
namespace {

enum class Criterion : std::uint8_t { violations, uxcost };

constexpr double kMostWeight = 16;
constexpr double kBetter = 0.999;  // of the cost of the point before: less is not worth a step
constexpr int kRounds = 2;

// Cells that points are judged on.
struct Stage {
  std::string name;
  std::vector<std::string> systems;
  std::vector<double> chain_levels, user_levels;
  std::vector<std::uint64_t> seeds;
};

double judged(const SearchStep& s, Criterion c) {
  return c == Criterion::violations ? s.violation_rate : s.uxcost;
}

class Search {
 public:
  explicit Search(const SweepOptions& options) : options_(options) {}

  // Judges points on a stage's cells; false on an error. What was judged before is not run again.
  bool judge(const Stage& stage, const std::vector<Sdrm3Point>& points) {
    std::vector<std::string> fresh;
    for (const Sdrm3Point& p : points)
      if (!known_.contains({stage.name, p.spec()})) fresh.push_back(p.spec());
    if (fresh.empty()) return true;
    options_.title = "search, " + stage.name;
    const Grid chain{.systems = stage.systems,
                     .families = {"chain"},
                     .levels = stage.chain_levels,
                     .policies = fresh,
                     .seeds = stage.seeds};
    const Grid users{.systems = stage.systems,
                     .families = {"users"},
                     .levels = stage.user_levels,
                     .policies = fresh,
                     .seeds = stage.seeds};
    const auto rows = sweep(options_, {chain, users});
    if (!rows) return error_ = rows.error(), false;
    for (const auto& [policy, of] : by_policy(*rows)) {
      const Summary s = summarise(of);
      known_[{stage.name, policy}] = result_.steps.size();
      result_.steps.push_back({stage.name, policy, s.runs, s.violation_rate, s.uxcost});
    }
    return true;
  }
  [[nodiscard]] double value(const Stage& stage, const Sdrm3Point& p, Criterion c) const {
    return judged(result_.steps[known_.at({stage.name, p.spec()})], c);
  }
  // The first `count` by criterion, best first; ties in the order given.
  [[nodiscard]] std::vector<Sdrm3Point> best(const Stage& stage, std::vector<Sdrm3Point> points, Criterion c,
                                             std::size_t count) const {
    std::stable_sort(points.begin(), points.end(),
                     [&](const auto& x, const auto& y) { return value(stage, x, c) < value(stage, y, c); });
    points.resize(std::min(points.size(), count));
    return points;
  }

  SearchResult result_;
  std::string error_;

 private:
  SweepOptions options_;
  std::map<std::pair<std::string, std::string>, std::size_t> known_;  // stage and policy: its step
};

std::vector<Sdrm3Point> weight_grid() {
  std::vector<Sdrm3Point> points;
  for (const auto& [capped, ceiling] : {std::pair{true, 10.0}, {false, 10.0}, {true, 0.0}})
    for (const double alpha : {0.0, 0.1, 0.5, 1.0, 2.0, 4.0})
      for (const double beta : {0.0, 0.5, 1.0, 2.0, 4.0, 8.0}) {
        Sdrm3Point p;
        p.capped = capped, p.starvation_ceiling = ceiling, p.alpha = alpha, p.beta = beta;
        points.push_back(p);
      }
  return points;
}

// The alternatives of each switch at a point.
std::vector<std::vector<Sdrm3Point>> alternatives(const Sdrm3Point& at) {
  std::vector<std::vector<Sdrm3Point>> all;
  const auto add = [&](auto change) {
    Sdrm3Point p = at;
    change(p);
    all.back().push_back(p);
  };
  const auto next = [&] { all.emplace_back(); };
  next(), add([](auto& p) { p.drop = !p.drop; });
  next(), add([](auto& p) { p.supernet = !p.supernet; });
  next(), add([](auto& p) { p.capped = !p.capped; });
  next(), add([](auto& p) { p.drop_any = !p.drop_any; });
  next();
  for (const double ceiling : {0.0, 1.0, 10.0, 100.0}) add([&](auto& p) { p.starvation_ceiling = ceiling; });
  next();
  for (const char* rule : {"cap", "clamp", "negative"}) add([&](auto& p) { p.late_rule = rule; });
  next(), add([](auto& p) { p.tune = !p.tune; });
  return all;
}

std::vector<Sdrm3Point> neighbours(const Sdrm3Point& at, double radius) {
  std::vector<Sdrm3Point> all;
  for (const auto& [da, db] : {std::pair{radius, 0.0}, {-radius, 0.0}, {0.0, radius}, {0.0, -radius}}) {
    Sdrm3Point p = at;
    p.alpha = std::clamp(at.alpha + da, 0.0, kMostWeight);
    p.beta = std::clamp(at.beta + db, 0.0, kMostWeight);
    if (p.alpha != at.alpha || p.beta != at.beta) all.push_back(p);
  }
  return all;
}

// From a point switch by switch, then the weights; all of it twice. False on an error.
bool climb(Search& search, const Stage& stage, Criterion criterion, Sdrm3Point at) {
  bool better = false;
  const auto improve = [&](const std::vector<Sdrm3Point>& points) {
    if (!search.judge(stage, points)) return false;
    const Sdrm3Point first = search.best(stage, points, criterion, 1)[0];
    better = search.value(stage, first, criterion) < kBetter * search.value(stage, at, criterion);
    if (better) at = first;
    return true;
  };
  for (int round = 0; round < kRounds; ++round) {
    const std::size_t switches = alternatives(at).size();
    for (std::size_t k = 0; k < switches; ++k)
      if (!improve(alternatives(at)[k])) return false;
    for (const double radius : {1.0, 0.5, 0.25}) {
      do {
        if (!improve(neighbours(at, radius))) return false;
      } while (better);
    }
  }
  return true;
}

// The best of a stage, whichever climb came by it.
std::string first_of(const SearchResult& all, const std::string& stage, Criterion c) {
  const SearchStep* best = nullptr;
  for (const SearchStep& s : all.steps)
    if (s.stage == stage && (best == nullptr || judged(s, c) < judged(*best, c))) best = &s;
  return best->policy;
}

Stage narrowed(Stage s, const std::vector<std::string>& systems) {
  if (!systems.empty()) s.systems = systems;
  return s;
}

}  // namespace

std::string Sdrm3Point::spec() const {
  std::string variant;
  for (const auto& [on, name] : {std::pair{drop, "drop"}, {supernet, "supernet"}, {tune, "tune"}})
    if (on) variant += (variant.empty() ? ":" : "+") + std::string(name);
  return "sdrm3" + variant + "/alpha=" + text_of(alpha) + "/beta=" + text_of(beta) +
         "/starv=" + text_of(starvation_ceiling) + "/capped=" + (capped ? "1" : "0") + "/late_rule=" + late_rule +
         "/drop_any=" + (drop_any ? "1" : "0");
}

tl::expected<SearchResult, std::string> search_sdrm3(const SweepOptions& options,
                                                     const std::vector<std::string>& systems) {
  const Stage coarse =
      narrowed({"weights", {"2os2k", "ws2k-2os1k", "4ws2k", "2os2k-4ws1k"}, {0.8}, {1.0}, {kSearchSeeds[0]}}, systems);
  const Stage fine =
      narrowed({"switches", {}, {0.6, 0.95}, {0.75, 1.25}, {kSearchSeeds.begin(), kSearchSeeds.end()}}, systems);
  Search search(options);
  const std::vector<Sdrm3Point> grid = weight_grid();
  if (!search.judge(coarse, grid)) return tl::unexpected(search.error_);
  for (const Criterion criterion : {Criterion::violations, Criterion::uxcost}) {
    const std::vector<Sdrm3Point> few = search.best(coarse, grid, criterion, 3);
    if (!search.judge(fine, few)) return tl::unexpected(search.error_);
    if (!climb(search, fine, criterion, search.best(fine, few, criterion, 1)[0])) return tl::unexpected(search.error_);
  }
  SearchResult& found = search.result_;
  found.by_violations = first_of(found, fine.name, Criterion::violations);
  found.by_uxcost = first_of(found, fine.name, Criterion::uxcost);
  return std::move(found);
}

}  // namespace takt::tool
