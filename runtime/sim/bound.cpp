// The fluid bound as a Lagrangian dual; see bound.hpp.
//
// Put a price l(a) >= 0 on each nanosecond of accelerator a: what a schedule serves is at most what it serves minus the
// price of the time it takes plus the price of all the time there is, because it takes no more than that. Each frame
// alone chooses what makes the first two most, so g(l) = sum over accelerators of l(a) * time + sum over frames of
// max(0, served - least price of the work) is an upper bound for any l (weak duality), and the least g over l is the
// linear program's optimum.
//
// g is convex and the same for accelerators of equal cost, so a golden section search nested over the classes finds its
// least; wherever it stops, the bound holds.
#include "sim/bound.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "sim/random.hpp"

namespace takt::sim {
namespace {

// A run of layers, or a segment of one, by class of accelerators; least time with noise.
struct Piece {
  std::vector<double> time;
  std::uint32_t run = 0;
  bool skippable = false;
};
using Pieces = std::vector<Piece>;

// What one frame of a task takes: the runs it skips, and the children that its trigger fires.
struct Work {
  std::size_t task = 0;
  std::vector<std::uint32_t> skipped;  // ascending
  bool in_time = false;                // alone
  std::vector<Work> children;
};
struct Kind {
  Work work;
  double frames = 0;
};

class Relaxation {
 public:
  explicit Relaxation(const Case& c) : case_(c) {
    class_accelerators();
    for (const Task& task : c.tasks) {
      auto& subnets = pieces_.emplace_back();
      for (const Subnet& s : task.subnets) subnets.push_back(pieces_of(s, task.noise));
    }
    count_frames();
    prices_.resize(pieces_.size());
  }

  Bound solve() {
    std::vector<double> price(capacity_.size(), 0);
    least_ = value(price);
    const double classes = static_cast<double>(capacity_.size());
    steps_ = std::clamp(static_cast<int>(std::pow(600.0, 1 / classes)), 4, 60);
    if (released_ > 0) (void)descend(price, 0);
    bound_.released = released_;
    bound_.served = std::min(static_cast<std::uint64_t>(std::floor(least_ + 1e-6)), released_ - bound_.hopeless);
    return bound_;
  }

 private:
  static bool same_cost(const Case& c, std::size_t a, std::size_t b) {
    for (const Task& task : c.tasks)
      for (const Subnet& subnet : task.subnets)
        for (const Segment& segment : subnet.segments)
          if (segment.on[a].time != segment.on[b].time) return false;
    return true;
  }
  // One accelerator stands for each class; capacity is filled with their numbers first.
  void class_accelerators() {
    for (std::size_t a = 0; a < case_.platform.accelerators.size(); ++a) {
      std::size_t k = 0;
      while (k < first_.size() && !same_cost(case_, a, first_[k])) ++k;
      if (k == first_.size()) first_.push_back(a), capacity_.push_back(0);
      capacity_[k] += 1;
    }
  }

  [[nodiscard]] Piece piece(const std::vector<SegmentCost>& on, const Run& run, double factor) const {
    Piece p{.time = {}, .run = run.block, .skippable = run.skippable};
    for (const std::size_t a : first_) p.time.push_back(std::floor(factor * static_cast<double>(on[a].time.count())));
    return p;
  }
  [[nodiscard]] Pieces pieces_of(const Subnet& subnet, double noise) const {
    Pieces all;
    for (const Segment& s : subnet.segments) {
      double factor = 1 - noise;
      for (const double f : s.noise_factors) factor = std::min(factor, f);
      if (s.runs.empty()) all.push_back(piece(s.on, s.run, factor));
      for (const Run& run : s.runs) all.push_back(piece(run.on, run, factor));
    }
    return all;
  }

  [[nodiscard]] bool fires(std::size_t task, std::uint32_t frame) const {
    return u(case_.seed, Salt::trigger, task, frame) < case_.tasks[task].probability;
  }
  [[nodiscard]] std::vector<std::uint32_t> skipped(std::size_t task, std::uint32_t frame) const {
    std::vector<std::uint32_t> runs;
    if (case_.tasks[task].skip <= 0) return runs;
    for (const Pieces& subnet : pieces_[task])
      for (const Piece& p : subnet)
        if (p.skippable && u(case_.seed, Salt::skip, task, frame, p.run) < case_.tasks[task].skip)
          runs.push_back(p.run);
    std::sort(runs.begin(), runs.end());
    runs.erase(std::unique(runs.begin(), runs.end()), runs.end());
    return runs;
  }
  [[nodiscard]] static bool runs(const Piece& p, const std::vector<std::uint32_t>& skipped) {
    return !p.skippable || !std::binary_search(skipped.begin(), skipped.end(), p.run);
  }
  // Least price of the work that is not skipped, over subnets; `cost` is a function of a piece.
  template <class Cost>
  [[nodiscard]] double cheapest(const Work& w, const Cost& cost) const {
    double best = std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k < pieces_[w.task].size(); ++k) {
      double sum = 0;
      for (std::size_t i = 0; i < pieces_[w.task][k].size(); ++i)
        if (runs(pieces_[w.task][k][i], w.skipped)) sum += cost(k, i);
      best = std::min(best, sum);
    }
    return best;
  }

  // `before`: the parents' least time; `limit`: to the deadline. Both from the frame's release.
  Work work_of(std::size_t task, std::uint32_t frame, double before, double limit,
               std::vector<std::uint32_t>& signature) {
    Work w{.task = task, .skipped = skipped(task, frame)};
    signature.push_back(static_cast<std::uint32_t>(task));
    signature.push_back(static_cast<std::uint32_t>(w.skipped.size()));
    signature.insert(signature.end(), w.skipped.begin(), w.skipped.end());
    const double end = before + cheapest(w, [&](std::size_t k, std::size_t i) {
                         return *std::min_element(pieces_[task][k][i].time.begin(), pieces_[task][k][i].time.end());
                       });
    w.in_time = end <= limit;
    signature.push_back(w.in_time);
    ++released_;
    // Where a late parent is aborted, its children are lost with it.
    const bool lost = !w.in_time && case_.late == LateRule::abort;
    for (std::size_t c = task + 1; c < case_.tasks.size(); ++c) {
      if (case_.tasks[c].parent != static_cast<std::int32_t>(task) || !fires(c, frame)) continue;
      const double own = lost ? -1 : static_cast<double>(case_.tasks[c].relative_deadline.count());
      w.children.push_back(work_of(c, frame, end, own, signature));
    }
    bound_.hopeless += !w.in_time;
    return w;
  }
  void count_frames() {
    Instant first = kNever, last{};
    std::map<std::vector<std::uint32_t>, std::size_t> known;
    for (const Release& r : case_.releases) {
      std::vector<std::uint32_t> signature;
      Work w = work_of(r.task, r.frame, 0, static_cast<double>((r.deadline - r.at).count()), signature);
      first = std::min(first, r.at);
      last = std::max(last, r.deadline);
      for (const Task& t : case_.tasks) last = std::max(last, t.parent >= 0 ? r.at + t.relative_deadline : last);
      const auto [found, fresh] = known.try_emplace(std::move(signature), kinds_.size());
      if (fresh) kinds_.push_back({std::move(w), 0});
      kinds_[found->second].frames += 1;
    }
    const double span = released_ > 0 ? static_cast<double>((last - first).count()) : 0;
    for (double& c : capacity_) c *= span;
  }

  // What a frame is worth at the prices of the pieces: its jobs on time less the price of their work, or nothing.
  [[nodiscard]] double worth(const Work& w) const {
    double sum = w.in_time ? 1 : 0;
    for (const Work& child : w.children) sum += worth(child);
    if (sum <= 0) return 0;
    return std::max(0.0, sum - cheapest(w, [&](std::size_t k, std::size_t i) { return prices_[w.task][k][i]; }));
  }
  // g of the comment at the top.
  double value(const std::vector<double>& price) {
    for (std::size_t t = 0; t < pieces_.size(); ++t) {
      prices_[t].resize(pieces_[t].size());
      for (std::size_t k = 0; k < pieces_[t].size(); ++k) {
        prices_[t][k].clear();
        for (const Piece& p : pieces_[t][k]) {
          double least = price[0] * p.time[0];
          for (std::size_t c = 1; c < price.size(); ++c) least = std::min(least, price[c] * p.time[c]);
          prices_[t][k].push_back(least);
        }
      }
    }
    double sum = 0;
    for (std::size_t c = 0; c < price.size(); ++c) sum += price[c] * capacity_[c];
    for (const Kind& kind : kinds_) sum += kind.frames * worth(kind.work);
    return sum;
  }
  // Least g over the prices from class c on. At the least, a class's time costs no more than all frames are worth.
  double descend(std::vector<double>& price, std::size_t c) {
    if (c == price.size()) {
      const double g = value(price);
      least_ = std::min(least_, g);
      return g;
    }
    constexpr double kGolden = 0.6180339887498949;
    const auto at = [&](double p) { return price[c] = p, descend(price, c + 1); };
    double low = 0, high = capacity_[c] > 0 ? static_cast<double>(released_) / capacity_[c] : 0;
    double left = high - kGolden * (high - low), right = low + kGolden * (high - low);
    double at_left = at(left), at_right = at(right);
    for (int i = 0; i < steps_; ++i) {
      if (at_left < at_right) {
        high = right, right = left, at_right = at_left;
        left = high - kGolden * (high - low), at_left = at(left);
      } else {
        low = left, left = right, at_left = at_right;
        right = low + kGolden * (high - low), at_right = at(right);
      }
    }
    return std::min(at_left, at_right);
  }

  const Case& case_;
  std::vector<std::size_t> first_;                        // an accelerator of each class
  std::vector<double> capacity_;                          // nanoseconds of each class
  std::vector<std::vector<Pieces>> pieces_;               // by task, subnet
  std::vector<std::vector<std::vector<double>>> prices_;  // by task, subnet, piece
  std::vector<Kind> kinds_;
  std::uint64_t released_ = 0;
  int steps_ = 0;
  double least_ = 0;
  Bound bound_;
};

}  // namespace

Bound fluid_bound(const Case& scenario) {
  return Relaxation(scenario).solve();
}

}  // namespace takt::sim
