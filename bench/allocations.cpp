// Does a frame cost a heap allocation in taktd or takt-exec, and does their memory grow (P20)? Both run with a
// preloaded counter; frames go through in a closed loop, and only what comes after the warm-up counts.
#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <thread>

#include "support/client.hpp"
#include "support/service.hpp"
#include "support/statistics.hpp"

namespace takt::bench {
namespace {

struct Options {
  std::int64_t frames = 1'000'000, warm_up = 20'000;
  int in_flight = 8;
  std::string json, programs;
};

// Frames of one stream, always `in_flight` of them on their way.
class Load {
 public:
  Load(const Service& service, int in_flight, takt_class criticality)
      : client_(service.socket(), config(in_flight, criticality)), in_flight_(in_flight) {}
  void run(std::int64_t frames) {
    std::int64_t sent = 0;
    for (std::int64_t answered = 0; answered < frames; ++answered) {
      for (; sent < frames && sent - answered < in_flight_; ++sent) {
        void* input = nullptr;
        std::size_t bytes = 0;
        client_.submit(client_.begin(input, bytes));
      }
      takt_answer a = client_.answer();
      if (a.verdict != TAKT_DONE) ++other_;
      client_.release(a);
    }
  }
  [[nodiscard]] std::int64_t other_verdicts() const noexcept { return other_; }

 private:
  static takt_stream_config config(int in_flight, takt_class criticality) {
    takt_stream_config c = Client::config("small", criticality);
    c.slots = static_cast<std::uint32_t>(in_flight);
    return c;
  }
  Client client_;
  int in_flight_;
  std::int64_t other_ = 0;
};

struct Reading {
  std::uint64_t allocations, frees;
  std::int64_t resident_kib;
};

struct Watched {
  const char* name;
  pid_t pid;
  const ProbePage* page;
  Reading before{};

  [[nodiscard]] Reading read() const { return {page->allocations.load(), page->frees.load(), resident_kib(pid)}; }
};

nlohmann::json measure(const Options& o, const Service& service, const char* what, takt_class criticality) {
  Load load(service, o.in_flight, criticality);
  load.run(o.warm_up);
  std::array watched{Watched{"taktd", service.broker(), service.probe(service.broker())},
                     Watched{"takt-exec", service.executor(), service.probe(service.executor())}};
  for (Watched& w : watched) {
    if (w.page == nullptr) give_up(std::string(w.name) + " runs without its probe: is libbench-probe.so built?");
    w.before = w.read();
  }
  load.run(o.frames);
  nlohmann::json out;
  for (const Watched& w : watched) {
    const Reading now = w.read();
    const auto allocations = now.allocations - w.before.allocations, frees = now.frees - w.before.frees;
    const auto growth = now.resident_kib - w.before.resident_kib;
    std::printf("%-12s %-10s %12lld %14llu %14llu %16.6f %12lld KiB %12lld KiB\n", what, w.name,
                static_cast<long long>(o.frames), static_cast<unsigned long long>(allocations),
                static_cast<unsigned long long>(frees),
                static_cast<double>(allocations) / static_cast<double>(o.frames),
                static_cast<long long>(now.resident_kib), static_cast<long long>(growth));
    out.push_back({{"streams", what},
                   {"process", w.name},
                   {"frames", o.frames},
                   {"allocations", allocations},
                   {"frees", frees},
                   {"resident_kib", now.resident_kib},
                   {"growth_kib", growth}});
  }
  std::fflush(stdout);
  if (load.other_verdicts() > 0)
    std::printf("  %lld frames were not answered `done`\n", static_cast<long long>(load.other_verdicts()));
  return out;
}

void run(const Options& o) {
  nlohmann::json report = {{"program", "allocations"}, {"machine", describe_machine()}};
  print_machine(report["machine"]);
  std::printf("target: 0 allocations a frame, growth of at most 1 MiB over 10^7 frames\n");
  ServiceOptions s;
  s.programs = o.programs;
  s.models = {{.name = "small", .segments = 2}};
  s.executor_core = static_cast<int>(std::thread::hardware_concurrency()) - 1;
  s.probe = true;
  s.environment = {"TAKT_NULL_MODE=spin"};
  const Service service(s);
  std::printf("%-12s %-10s %12s %14s %14s %16s %16s %16s\n", "streams", "process", "frames", "allocations", "frees",
              "a frame", "resident", "growth");
  for (const auto& [what, criticality] : {std::pair{"soft", TAKT_SOFT}, std::pair{"hard", TAKT_HARD}})
    report["processes"].push_back(measure(o, service, what, criticality));
  save(o.json, report);
}

}  // namespace
}  // namespace takt::bench

int main(int argc, char** argv) {
  CLI::App app("Heap allocations a frame and memory growth of taktd and takt-exec (P20).");
  takt::bench::Options o;
  app.add_option("--frames", o.frames, "frames after the warm-up, for each class")->capture_default_str();
  app.add_option("--in-flight", o.in_flight, "frames on their way at once")->capture_default_str();
  app.add_option("--programs", o.programs, "folder of taktd and takt-exec (default: this program's)");
  app.add_option("--json", o.json, "also write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  takt::bench::run(o);
}
