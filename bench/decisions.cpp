// What does one decision cost (P5), and how does it grow with the number of jobs (P6)? Real policies, composed by name,
// on the core's own waiting set; the limit is a bare scan for the best of as many scores, in turn with them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/scheduler.hpp"
#include "policies/support/compose.hpp"
#include "support/allocation_counter.hpp"
#include "support/catalog.hpp"
#include "support/decision_world.hpp"
#include "support/machine.hpp"
#include "support/statistics.hpp"
#include "support/timetable_turns.hpp"

namespace takt::bench {
namespace {

struct Options {
  std::vector<std::string> policies = {"fcfs", "edf", "llf", "sjf", "sdrm3", "reserve"};
  std::vector<std::string> ordered = {"fcfs", "edf", "llf", "sjf"};
  int rounds = 9, decisions = 2000, timetables = 500;
  std::string json;
};

constexpr std::size_t kAccelerators = 4;
constexpr double kMostGrowth = 2.5;

[[nodiscard]] std::int64_t nanoseconds() noexcept {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

// One policy at one size: each step is a decision, its effect, and a new job in the place of the one that started.
class Case {
 public:
  Case(const std::string& policy, std::size_t jobs, std::size_t idle)
      : world_(jobs, kAccelerators, idle), plan_(jobs, kAccelerators) {
    auto made = compose_policy(policy);
    if (!made) give_up(made.error());
    policy_ = std::move(*made);
    policy_->prepare({.jobs = world_.capacity(), .streams = world_.streams(), .accelerators = kAccelerators});
  }

  void decisions(int count, Samples& out) {
    for (int n = 0; n < count; ++n) {
      world_.advance();
      plan_.clear();
      const Snapshot& s = world_.snapshot();
      const std::int64_t before = nanoseconds();
      policy_->decide(s, plan_);
      out.push_back(nanoseconds() - before);
      world_.replace(picked());
    }
  }
  // The new job enters and the next to go leaves, the decision included.
  void run(int count, Samples& out) {
    for (int n = 0; n < count; ++n) {
      world_.advance();
      const WaitingSet::Item item = world_.make_item();
      plan_.clear();
      const std::int64_t before = nanoseconds();
      world_.add(item);
      policy_->decide(world_.snapshot(), plan_);
      const JobId job = picked();
      world_.remove(job);
      out.push_back(nanoseconds() - before);
      world_.forget(job);
    }
  }
  [[nodiscard]] std::uint64_t started() const noexcept { return started_; }

 private:
  [[nodiscard]] JobId picked() noexcept {
    started_ += plan_.starts.size();
    return plan_.starts.empty() ? world_.any() : plan_.starts.items()[0].job;
  }

  test::DecisionWorld world_;
  std::unique_ptr<Policy> policy_;
  Plan plan_;
  std::uint64_t started_ = 0;
};

// The limit of P5: the largest of so many scores that are there already, as fast as the CPU can.
class Scan {
 public:
  explicit Scan(std::size_t scores) : scores_(scores) {
    test::Random random(1);
    for (double& s : scores_) s = random.unit();
  }
  void run(int count, Samples& out) {
    for (int n = 0; n < count; ++n) {
      scores_[static_cast<std::size_t>(n) * 97 % scores_.size()] += 1;
      const std::int64_t before = nanoseconds();
      most_ = largest(scores_);
      out.push_back(nanoseconds() - before);
    }
  }

 private:
  static constexpr std::size_t kLanes = 8, kChains = 4;  // chains of maxima hide each other's latency
  using Lanes [[gnu::vector_size(kLanes * sizeof(double))]] = double;

  __attribute__((target_clones("default", "avx2", "avx512f"))) static double largest(
      std::span<const double> scores) noexcept {
    std::array<Lanes, kChains> best{};
    for (std::size_t i = 0; i + kLanes * kChains <= scores.size(); i += kLanes * kChains) {
      for (std::size_t c = 0; c < kChains; ++c) {
        Lanes x;
        __builtin_memcpy(&x, scores.data() + i + c * kLanes, sizeof x);
        best[c] = x > best[c] ? x : best[c];
      }
    }
    double most = 0;
    for (const Lanes& b : best)
      for (std::size_t k = 0; k < kLanes; ++k) most = std::max(most, b[k]);
    return most;
  }
  std::vector<double> scores_;
  volatile double most_ = 0;
};

// The scheduler itself with one accelerator and so many frames waiting: a frame comes, the running one ends, the next
// starts.
class CoreTurns final : public Port {
 public:
  CoreTurns(const std::string& policy, std::size_t waiting) : catalog_(1) {
    const ModelId model = catalog_.chain({test::ms(1)});
    costs_ = catalog_.costs();
    auto made = compose_policy(policy);
    if (!made) give_up(made.error());
    policy_ = std::move(*made);
    CoreConfig config;
    config.max_jobs = waiting + 8;
    config.max_batch = 1;
    config.accelerators = {{.pool = SlotPoolId{0u}}};
    config.slot_pools = {8};
    core_ = std::make_unique<Scheduler>(config, catalog_.models(), costs_, *policy_, *this, nullptr);
    core_->accelerator_up(AcceleratorId{0u}, now_);
    StreamSpec spec = test::soft(model, test::ms(100));
    spec.late = LateRule::finish;
    stream_ = core_->open_stream(spec, now_).stream;
    for (std::size_t n = 0; n <= waiting; ++n) release();
    core_->decide(now_);
  }
  void run(int count, Samples& out) {
    for (int n = 0; n < count; ++n) {
      now_ += Duration{1000};
      const std::int64_t before = nanoseconds();
      release();
      core_->completed(AcceleratorId{0u}, Lane::normal,
                       {.sequence = posted_, .started = now_, .ended = now_, .metrics = {}}, now_);
      core_->decide(now_);
      out.push_back(nanoseconds() - before);
    }
  }

  void post(const LaunchOrder& order) noexcept override { posted_ = order.sequence; }
  bool recall(AcceleratorId, Lane, std::uint64_t) noexcept override { return false; }
  void answer(JobId, const Answer&) noexcept override {}
  void notice(JobId) noexcept override {}
  bool child_released(JobId, JobId) noexcept override { return true; }
  void stream_moved(StreamId, AcceleratorId, RouteId) noexcept override {}
  void stream_ended(StreamId) noexcept override {}

 private:
  void release() {
    const Duration window = random_.between(test::ms(1'000'000), test::ms(2'000'000));
    if (!core_->release(stream_, now_, now_ + window)) give_up("the scheduler refuses a frame");
  }

  test::Catalog catalog_;
  CostTable costs_;
  std::unique_ptr<Policy> policy_;
  std::unique_ptr<Scheduler> core_;
  test::Random random_{1};
  StreamId stream_;
  Instant now_{Duration{1'000'000}};
  std::uint64_t posted_ = 0;
};

class Benchmark {
 public:
  explicit Benchmark(const Options& o) : o_(o) {
    report_ = {{"program", "decisions"}, {"machine", describe_machine()}};
    print_machine(report_["machine"]);
    samples_.reserve(static_cast<std::size_t>(o.decisions));
  }

  void decisions(std::size_t jobs, std::size_t idle, double target_us) {
    std::printf("\nP5: %zu ready jobs x %zu accelerators, %zu idle; p99 at most %.1f us\n", jobs, kAccelerators, idle,
                target_us);
    std::printf("%-16s %10s %10s %10s %12s %8s\n", "", "p50 ns", "p99 ns", "p99.9 ns", "p50 / scan", "target");
    Rounds rounds;
    Scan scan(jobs * kAccelerators);
    std::vector<std::unique_ptr<Case>> cases;
    for (const std::string& p : o_.policies) cases.push_back(std::make_unique<Case>(p, jobs, idle));
    const std::uint64_t allocations = test::allocations_seen();
    for (int r = -1; r < o_.rounds; ++r) {  // the first warms up
      measure(r, rounds, "clock", [&](int n, Samples& out) {
        for (int i = 0; i < n; ++i) {
          const auto t = nanoseconds();
          out.push_back(nanoseconds() - t);
        }
      });
      measure(r, rounds, "scan", [&](int n, Samples& out) { scan.run(n, out); });
      for (std::size_t c = 0; c < cases.size(); ++c)
        measure(r, rounds, o_.policies[c], [&](int n, Samples& out) { cases[c]->decisions(n, out); });
    }
    for (const char* bare : {"clock", "scan"}) print(rounds, bare, 0);
    for (const std::string& p : o_.policies) print(rounds, p, target_us * 1e3);
    std::printf("heap allocations in all decisions: %llu\n",
                static_cast<unsigned long long>(test::allocations_seen() - allocations));
    keep(rounds, jobs, idle);
  }

  template <class Turns, class Make>
  void growth(const char* what, Make make) {
    std::printf("\nP6: %s, 4,096 waiting over 64; at most 2.5x\n", what);
    std::printf("%-16s %10s %10s %8s %8s\n", "", "64 ns", "4,096 ns", "ratio", "target");
    for (const std::string& p : o_.ordered) {
      const std::unique_ptr<Turns> few = make(p, 64), many = make(p, 4096);
      Rounds rounds;
      for (int r = -1; r < o_.rounds; ++r) {
        measure(r, rounds, "few", [&](int n, Samples& out) { few->run(n, out); });
        measure(r, rounds, "many", [&](int n, Samples& out) { many->run(n, out); });
      }
      const double ratio = rounds.ratio("many", "few").p50;
      std::printf("%-16s %10.0f %10.0f %8.2f %8s\n", p.c_str(), rounds.of("few").p50, rounds.of("many").p50, ratio,
                  ratio <= kMostGrowth ? "met" : "missed");
      report_["growth"][what][p] = {
          {"few_ns", rounds.of("few").p50}, {"many_ns", rounds.of("many").p50}, {"ratio", ratio}};
    }
  }
  // takt keeps a timetable: most decisions follow it, an arrival draws it up anew.
  void timetables() {
    std::printf("\nP5, takt: %zu accelerators; a decision that follows the timetable, one that draws it up\n",
                TimetableTurns::kAccelerators);
    std::printf("%5s %9s %9s %6s %10s %10s %8s %12s %12s\n", "jobs", "segments", "deadlines", "lost", "p50 ns",
                "p99 ns", "target", "drawn p50 us", "p99 us");
    const std::uint64_t allocations = test::allocations_seen();
    for (const double window : {3.0, 0.7})
      for (const std::size_t segments : {std::size_t{10}, std::size_t{60}})
        for (const std::size_t jobs : {std::size_t{4}, std::size_t{16}, std::size_t{64}})
          timetable(jobs, segments, window);
    std::printf("heap allocations in all decisions: %llu\n",
                static_cast<unsigned long long>(test::allocations_seen() - allocations));
  }
  void save() const { bench::save(o_.json, report_); }

 private:
  void timetable(std::size_t jobs, std::size_t segments, double window) {
    TimetableTurns turns(nanoseconds, jobs, segments, window);
    Rounds rounds;
    for (int r = -1; r < o_.rounds; ++r) {
      turns.run(static_cast<std::size_t>(o_.timetables));
      if (r < 0) continue;
      rounds.add("drawn", turns.drawn());
      rounds.add("followed", turns.followed());
    }
    const Quantiles drawn = rounds.of("drawn"), followed = rounds.of("followed");
    const char* loose = window > 1 ? "ample" : "tight";
    std::printf("%5zu %9zu %9s %5.1f%% %10.0f %10.0f %8s %12.1f %12.1f\n", jobs, segments, loose, 100 * turns.lost(),
                followed.p50, followed.p99, followed.p99 <= 500 ? "met" : "missed", drawn.p50 / 1e3, drawn.p99 / 1e3);
    report_["timetables"].push_back({{"jobs", jobs},
                                     {"segments", segments},
                                     {"deadlines", loose},
                                     {"lost", turns.lost()},
                                     {"followed_p50_ns", followed.p50},
                                     {"followed_p99_ns", followed.p99},
                                     {"drawn_p50_ns", drawn.p50},
                                     {"drawn_p99_ns", drawn.p99}});
  }
  template <class Run>
  void measure(int round, Rounds& rounds, const std::string& name, Run run) {
    samples_.clear();
    {
      const test::WatchAllocations watch;
      run(o_.decisions, samples_);
    }
    if (round >= 0) rounds.add(name, samples_);
  }
  static void print(const Rounds& rounds, const std::string& name, double target_ns) {
    const Quantiles q = rounds.of(name);
    std::printf("%-16s %10.0f %10.0f %10.0f %12.2f %8s\n", name.c_str(), q.p50, q.p99, q.p999,
                rounds.ratio(name, "scan").p50,
                target_ns == 0       ? ""
                : q.p99 <= target_ns ? "met"
                                     : "missed");
  }
  void keep(const Rounds& rounds, std::size_t jobs, std::size_t idle) {
    nlohmann::json& out = report_["decisions"][std::to_string(jobs) + " jobs, " + std::to_string(idle) + " idle"];
    for (const std::string& p : o_.policies) out[p] = {{"p50_ns", rounds.of(p).p50}, {"p99_ns", rounds.of(p).p99}};
    out["scan"] = {{"p50_ns", rounds.of("scan").p50}, {"p99_ns", rounds.of("scan").p99}};
  }

  const Options& o_;
  nlohmann::json report_;
  Samples samples_;
};

}  // namespace
}  // namespace takt::bench

int main(int argc, char** argv) {
  CLI::App app("The cost of one decision and how it grows (P5, P6).");
  takt::bench::Options o;
  app.add_option("--policy", o.policies, "policies of P5")->capture_default_str();
  app.add_option("--ordered", o.ordered, "policies of P6")->capture_default_str();
  app.add_option("--rounds", o.rounds, "rounds, beside one that warms up")->capture_default_str();
  app.add_option("--decisions", o.decisions, "decisions a round")->capture_default_str();
  app.add_option("--timetables", o.timetables, "timetables of takt a round; 0: none")->capture_default_str();
  app.add_option("--json", o.json, "also write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  takt::bench::Benchmark b(o);
  for (const std::size_t idle : {takt::bench::kAccelerators, std::size_t{1}}) {
    b.decisions(64, idle, 0.5);
    b.decisions(1024, idle, 2);
  }
  using takt::bench::Case, takt::bench::CoreTurns, takt::bench::kAccelerators;
  b.growth<Case>("a job enters and the next leaves",
                 [](const std::string& p, std::size_t n) { return std::make_unique<Case>(p, n, kAccelerators); });
  b.growth<CoreTurns>("through the core: a frame comes, one ends, the next starts",
                      [](const std::string& p, std::size_t n) { return std::make_unique<CoreTurns>(p, n); });
  if (o.timetables > 0) b.timetables();
  b.save();
}
