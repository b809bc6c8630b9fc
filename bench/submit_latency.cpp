// How long from a submit to the decision and to the segment's start in takt-exec (P1), and does a 4 MB frame take
// longer than one of 64 B (P2)? Divided by a bare SOCK_SEQPACKET hop and a ring wake between the same three processes.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>

#include "support/bare_chain.hpp"
#include "support/client.hpp"
#include "support/peer.hpp"
#include "support/pixels.hpp"
#include "support/service.hpp"
#include "support/statistics.hpp"
#include "support/timer_wake.hpp"
#include "wire/protocol.hpp"

namespace takt::bench {
namespace {

constexpr std::size_t kSmall = 64, kLarge = std::size_t{4} << 20;
constexpr std::size_t kMessage = sizeof(wire::Submit) + sizeof(TensorDesc);  // what a frame of one tensor sends

struct Options {
  int rounds = 7, frames = 1000, large_frames = 150;
  std::string json, programs;
};

// One way of passing frames on, measured into named series of nanoseconds since the submit.
class Bare {
 public:
  Bare(std::string name, const BareOptions& options) : name_(std::move(name)), options_(options) {}
  void round(Rounds& rounds, const Workload& w) {
    BareOptions options = options_;
    options.message = kMessage;
    options.frame = w.bytes;
    BareChain chain(options);
    Samples hop, start, read, reading;
    std::int64_t due = now_ns();
    for (int i = -kWarmUp; i < w.count; ++i) {
      if (w.pace_ns > 0) sleep_until(due += w.pace_ns);
      write_pixels(chain.frame(), w.bytes, static_cast<std::uint64_t>(i));
      const std::int64_t begin = now_ns();
      const BareTimes t = chain.pass();
      if (i < 0) continue;
      hop.push_back(t.received - begin), start.push_back(t.started - begin), read.push_back(t.read - begin);
      reading.push_back(t.read - t.started);
    }
    rounds.add(name_ + " hop", hop);
    rounds.add(name_ + " start", start);
    rounds.add(name_ + " read", read);
    rounds.add(name_ + " reading", reading);
  }

 private:
  static constexpr int kWarmUp = 50;
  std::string name_;
  BareOptions options_;
};

class Takt {
 public:
  Takt(std::string name, const Service& service, const char* model, takt_class criticality)
      : name_(std::move(name)),
        page_(service.probe(service.broker())),
        client_(service.socket(), Client::config(model, criticality)) {
    if (page_ == nullptr) give_up("taktd runs without its probe: is libbench-probe.so built?");
  }
  void round(Rounds& rounds, const Workload& w) {
    Samples awake, decided, start, read, answered;
    std::int64_t due = now_ns();
    for (int i = -kWarmUp; i < w.count; ++i) {
      if (w.pace_ns > 0) sleep_until(due += w.pace_ns);
      void* input = nullptr;
      std::size_t bytes = 0;
      takt_frame* const frame = client_.begin(input, bytes);
      write_pixels(input, bytes, static_cast<std::uint64_t>(i));
      const std::int64_t begin = now_ns();
      client_.submit(frame);
      takt_answer a = client_.answer();
      const std::int64_t end = now_ns();
      client_.release(a);
      if (a.verdict != TAKT_DONE) give_up(std::string("a frame was answered ") + takt_verdict_name(a.verdict));
      if (i < 0) continue;
      awake.push_back(a.release_ns - begin), start.push_back(a.start_ns - begin);
      read.push_back(a.start_ns + a.executed_ns - begin), answered.push_back(end - begin);
      // No wake where the worker was still awake: then the start itself bounds the decision.
      decided.push_back(wake_between(begin, a.start_ns).value_or(a.start_ns) - begin);
    }
    rounds.add(name_ + " awake", awake);
    rounds.add(name_ + " decision", decided);
    rounds.add(name_ + " start", start);
    rounds.add(name_ + " read", read);
    rounds.add(name_ + " answer", answered);
  }

 private:
  static constexpr int kWarmUp = 50;

  // The last futex wake of the broker in the interval.
  [[nodiscard]] std::optional<std::int64_t> wake_between(std::int64_t from, std::int64_t to) const {
    const std::uint64_t n = page_->wakes.load(std::memory_order_acquire);
    for (std::uint64_t i = n; i > 0 && n - i < 8; --i) {
      const std::int64_t at = page_->wake_ns[(i - 1) % ProbePage::kWakes].load(std::memory_order_relaxed);
      if (at >= from && at <= to) return at;
    }
    return std::nullopt;
  }

  std::string name_;
  const ProbePage* page_;
  Client client_;
};

void peer_round(Rounds& rounds, const std::string& name, const char* program, const Workload& w, const Placement& p) {
  Samples received, read;
  for (const Handover& h : run_peer(program, {w, p.client, p.broker})) {
    received.push_back(h.received);
    read.push_back(h.read);
  }
  if (received.empty()) return;
  rounds.add(name + " start", received);
  rounds.add(name + " read", read);
}

struct Row {
  const char *label, *series, *limit, *target;
};

// A table of series, each over its limit; the same goes into the report.
void print(const Rounds& rounds, std::span<const Row> rows, nlohmann::json& out) {
  std::printf("  %-54s %8s %8s %8s   %s\n", "us", "p50", "p99", "p99.9", "over its limit: p50 p99 p99.9");
  for (const Row& row : rows) {
    if (!rounds.has(row.series)) {
      std::printf("  %-54s  not measured: its library was not there when this was built\n", row.label);
      continue;
    }
    const Quantiles q = rounds.of(row.series);
    std::printf("  %-54s %8.1f %8.1f %8.1f", row.label, q.p50 / 1e3, q.p99 / 1e3, q.p999 / 1e3);
    nlohmann::json entry = {
        {"what", row.label}, {"p50_us", q.p50 / 1e3}, {"p99_us", q.p99 / 1e3}, {"p999_us", q.p999 / 1e3}};
    if (row.limit != nullptr && rounds.has(row.limit)) {
      const Quantiles r = rounds.ratio(row.series, row.limit);
      std::printf("   %6.3f %6.3f %6.3f of %s%s%s", r.p50, r.p99, r.p999, row.limit,
                  row.target[0] != '\0' ? "; target " : "", row.target);
      entry["over"] = {{"limit", row.limit}, {"p50", r.p50}, {"p99", r.p99}, {"p999", r.p999}, {"target", row.target}};
    }
    std::printf("\n");
    out.push_back(entry);
  }
  std::fflush(stdout);
}

ServiceOptions service_options(const Options& o, const Placement& p) {
  ServiceOptions s;
  s.programs = o.programs;
  s.models = {{.name = "small", .bytes = kSmall}, {.name = "large", .bytes = kLarge}};
  s.broker_core = p.broker;
  s.executor_core = p.worker;
  s.probe = true;
  s.environment = {"TAKT_NULL_READ=1"};
  return s;
}

void submit_to_start(const Options& o, const Placement& p, std::int64_t pace_ns, nlohmann::json& report) {
  const Service service(service_options(o, p));
  const Workload w{.bytes = kSmall, .count = o.frames, .pace_ns = pace_ns};
  Bare bare("bare", {.placement = p});
  Bare bare_fifo("bare FIFO", {.placement = p, .worker_priority = kWorkerPriority});
  Bare bare_epoll("bare epoll", {.placement = p, .wait = Wait::epoll});
  Takt soft("soft", service, "small", TAKT_SOFT), hard("hard", service, "small", TAKT_HARD);
  Rounds rounds;
  for (int r = 0; r < o.rounds; ++r) {
    rounds.add("timer", timer_wakes(p.broker, std::min(o.frames, 500), 1'000'000));
    bare.round(rounds, w);
    soft.round(rounds, w);
    bare_fifo.round(rounds, w);
    hard.round(rounds, w);
    bare_epoll.round(rounds, w);
    peer_round(rounds, "zeromq", "bench-submit-latency-zeromq", w, p);
    peer_round(rounds, "grpc", "bench-submit-latency-grpc", w, p);
  }
  std::printf("\nP1, 64 B, %s, %s\n", p.name, pace_ns > 0 ? "a frame each 1 ms" : "the next frame at once");
  constexpr std::array kRows{Row{"timer wake-up (as cyclictest)", "timer", nullptr, ""},
                             Row{"bare hop, epoll and recvmsg with room for descriptors", "bare epoll hop", "bare hop", ""},
                             Row{"bare hop, blocking recv: limit a", "bare hop", nullptr, ""},
                             Row{"takt: broker awake", "soft awake", "bare hop", ""},
                             Row{"takt: decided (a)", "soft decision", "bare hop", "1.4 / 1.6"},
                             Row{"takt: decided, over that hop", "soft decision", "bare epoll hop", ""},
                             Row{"bare hop and ring wake: limit b", "bare start", nullptr, ""},
                             Row{"takt: segment starts (b)", "soft start", "bare start", "1.4"},
                             Row{"takt: answer at the client", "soft answer", "bare read", ""},
                             Row{"bare hop, FIFO worker", "bare FIFO hop", nullptr, ""},
                             Row{"takt, hard stream: decided (a)", "hard decision", "bare FIFO hop", "1.4 / 1.6"},
                             Row{"bare hop and ring wake, FIFO worker", "bare FIFO start", nullptr, ""},
                             Row{"takt, hard stream: segment starts (b)", "hard start", "bare FIFO start", "1.4"},
                             Row{"ZeroMQ ipc: received", "zeromq start", nullptr, ""},
                             Row{"gRPC, UNIX socket: received", "grpc start", nullptr, ""},
                             Row{"takt: segment starts, over ZeroMQ", "soft start", "zeromq start", ""},
                             Row{"takt: segment starts, over gRPC", "soft start", "grpc start", "0.8"}};
  print(rounds, kRows, report[std::string("P1 ") + p.name + (pace_ns > 0 ? ", paced" : ", at once")]);
}

void large_over_small(const Options& o, const Placement& p, nlohmann::json& report) {
  constexpr std::int64_t kPace = 8'000'000;
  const Service service(service_options(o, p));
  const Workload small{.bytes = kSmall, .count = o.large_frames, .pace_ns = kPace};
  const Workload large{.bytes = kLarge, .count = o.large_frames, .pace_ns = kPace};
  Bare bare_small("bare 64 B", {.placement = p}), bare_large("bare 4 MB", {.placement = p});
  Takt takt_small("takt 64 B", service, "small", TAKT_SOFT), takt_large("takt 4 MB", service, "large", TAKT_SOFT);
  Rounds rounds;
  for (int r = 0; r < o.rounds; ++r) {
    bare_small.round(rounds, small);
    bare_large.round(rounds, large);
    takt_small.round(rounds, small);
    takt_large.round(rounds, large);
    for (const auto& [name, program] :
         {std::pair{"zeromq", "bench-submit-latency-zeromq"}, std::pair{"grpc", "bench-submit-latency-grpc"}}) {
      peer_round(rounds, std::string(name) + " 64 B", program, small, p);
      peer_round(rounds, std::string(name) + " 4 MB", program, large, p);
    }
  }
  std::printf("\nP2 and P1 at 4 MB, %s, a frame each 8 ms; producers write, consumers read every byte\n", p.name);
  constexpr std::array kRows{
      Row{"bare 64 B: starts", "bare 64 B start", nullptr, ""},
      Row{"bare 4 MB: starts", "bare 4 MB start", "bare 64 B start", ""},
      Row{"bare 4 MB: the reading alone", "bare 4 MB reading", nullptr, ""},
      Row{"takt 64 B: segment starts", "takt 64 B start", "bare 64 B start", ""},
      Row{"takt 4 MB: segment starts (P2)", "takt 4 MB start", "takt 64 B start", "1.10"},
      Row{"takt 4 MB: segment starts, over the bare one", "takt 4 MB start", "bare 4 MB start", "1.4"},
      Row{"takt 4 MB: every byte read", "takt 4 MB read", "bare 4 MB read", ""},
      Row{"ZeroMQ 4 MB: received", "zeromq 4 MB start", "zeromq 64 B start", ""},
      Row{"gRPC 4 MB: received", "grpc 4 MB start", "grpc 64 B start", ""},
      Row{"takt 4 MB: segment starts, over ZeroMQ", "takt 4 MB start", "zeromq 4 MB start", ""},
      Row{"takt 4 MB: segment starts, over gRPC", "takt 4 MB start", "grpc 4 MB start", "0.02"},
      Row{"takt 4 MB: every byte read, over gRPC", "takt 4 MB read", "grpc 4 MB read", ""}};
  print(rounds, kRows, report[std::string("P2 ") + p.name]);
}

void run(const Options& o) {
  nlohmann::json report = {{"program", "submit_latency"}, {"rounds", o.rounds}, {"frames", o.frames}};
  report["machine"] = describe_machine();
  print_machine(report["machine"]);
  std::printf("median of %d rounds, limit, takt and peers in turn, %d frames each; brokers SCHED_FIFO %d\n", o.rounds,
              o.frames, kBrokerPriority);
  for (const Placement& p : {kOneCpu, kTwoCpus}) {
    if (p.client != p.broker && std::thread::hardware_concurrency() < 2) continue;
    place_thread(p.client);
    submit_to_start(o, p, 1'000'000, report);
    submit_to_start(o, p, 0, report);
    large_over_small(o, p, report);
  }
  save(o.json, report);
}

}  // namespace
}  // namespace takt::bench

int main(int argc, char** argv) {
  CLI::App app("Submit to decision and to the segment's start, beside a bare hop, ZeroMQ and gRPC (P1, P2).");
  takt::bench::Options o;
  app.add_option("--rounds", o.rounds, "rounds; every figure is their median")->capture_default_str();
  app.add_option("--frames", o.frames, "frames a round")->capture_default_str();
  app.add_option("--large-frames", o.large_frames, "frames a round in the 4 MB part")->capture_default_str();
  app.add_option("--programs", o.programs, "folder of taktd and takt-exec (default: this program's)");
  app.add_option("--json", o.json, "also write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  takt::bench::run(o);
}
