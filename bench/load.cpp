// Load generator on libtakt: streams in open loop on absolute timers or in closed loop; one JSON line per kind of
// stream.
#include <sys/poll.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <map>
#include <sstream>
#include <thread>

#include "live/realtime.hpp"
#include "support/client.hpp"
#include "support/pixels.hpp"
#include "support/placement.hpp"
#include "support/statistics.hpp"

namespace takt::bench {
namespace {

constexpr std::int64_t kMs = 1'000'000, kSecond = 1'000'000'000;

struct StreamKind {
  std::string name = "stream", model;
  takt_class criticality = TAKT_SOFT;
  int count = 1;        // streams of this kind, each with a connection of its own
  double fps = 0;       // open loop
  int outstanding = 1;  // closed loop, if fps is 0
  std::int64_t deadline_ns = 0, cost_ns = 0;
  bool write = false;  // every byte of every frame; else the first eight
};

struct Frame {
  std::int64_t due = 0, answered = 0, end = 0, deadline = 0;
  int verdict = -1;  // -1: skipped, no credit was free
};

struct Window {
  std::int64_t begin, counted_from, end;
};

std::map<std::string, std::string> parse_pairs(const std::string& text) {
  std::map<std::string, std::string> pairs;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos) give_up("`" + part + "` is not key=value");
    pairs[part.substr(0, equals)] = part.substr(equals + 1);
  }
  return pairs;
}

StreamKind parse_stream(const std::string& text) {
  StreamKind k;
  for (const auto& [key, value] : parse_pairs(text)) {
    if (key == "name")
      k.name = value;
    else if (key == "model")
      k.model = value;
    else if (key == "class")
      k.criticality = value == "hard" ? TAKT_HARD : value == "firm" ? TAKT_FIRM : TAKT_SOFT;
    else if (key == "count")
      k.count = std::stoi(value);
    else if (key == "fps")
      k.fps = std::stod(value);
    else if (key == "outstanding")
      k.outstanding = std::stoi(value);
    else if (key == "deadline_ms")
      k.deadline_ns = std::llround(std::stod(value) * kMs);
    else if (key == "cost_ms")
      k.cost_ns = std::llround(std::stod(value) * kMs);
    else if (key == "write")
      k.write = value == "1";
    else
      give_up("unknown key `" + key + "`");
  }
  return k;
}

// One stream on its own connection and thread.
class Source {
 public:
  Source(const std::string& socket, const StreamKind& kind, double phase)
      : kind_(kind), phase_(phase), client_(socket, config(kind)) {}

  void run(const Window& w) {
    live::set_timer_slack();
    frames_.reserve(1 << 16);
    kind_.fps > 0 ? open_loop(w) : closed_loop(w);
    const std::int64_t give_up_at = now_ns() + 10 * kSecond;
    while (in_flight_ > 0 && now_ns() < give_up_at) take(now_ns() + 10 * kMs);
  }
  [[nodiscard]] const std::vector<Frame>& frames() const noexcept { return frames_; }

 private:
  static takt_stream_config config(const StreamKind& k) {
    takt_stream_config c = Client::config(k.model.c_str(), k.criticality);
    c.relative_deadline_ns = k.deadline_ns > 0 ? k.deadline_ns : kSecond;
    c.period_ns = k.fps > 0 ? static_cast<std::int64_t>(1e9 / k.fps) : 0;
    c.slots = static_cast<std::uint32_t>(k.fps > 0 ? 16 : k.outstanding);
    if (k.criticality == TAKT_HARD) c.jitter_ns = kMs;
    return c;
  }

  void open_loop(const Window& w) {
    const auto step = static_cast<std::int64_t>(1e9 / kind_.fps);
    for (auto due = w.begin + static_cast<std::int64_t>(phase_ * static_cast<double>(step)); due < w.end; due += step) {
      while (now_ns() < due) take(due);
      submit(due);
    }
  }
  void closed_loop(const Window& w) {
    sleep_until(w.begin);
    while (now_ns() < w.end) {
      while (in_flight_ < kind_.outstanding) submit(now_ns());
      take(w.end);
    }
  }

  void submit(std::int64_t due) {
    Frame f{.due = due, .deadline = due + (kind_.deadline_ns > 0 ? kind_.deadline_ns : kSecond)};
    if (takt_frame* const frame = client_.try_begin(); frame != nullptr) {
      std::size_t bytes = 0;
      void* const input = takt_frame_input(frame, 0, &bytes);
      write_pixels(input, kind_.write ? bytes : std::min<std::size_t>(bytes, 8), frames_.size());
      // A hard stream's deadline is what was admitted; others count from when the frame was due, as the measurement
      // does.
      client_.submit(frame, frames_.size(), kind_.criticality == TAKT_HARD ? 0 : f.deadline);
      ++in_flight_;
    }
    frames_.push_back(f);
  }

  // Waits for answers until `until` at the latest and books those that are there.
  void take(std::int64_t until) {
    const std::int64_t left = std::max<std::int64_t>(until - now_ns(), 0);
    const timespec timeout{.tv_sec = left / kSecond, .tv_nsec = left % kSecond};
    pollfd entry{.fd = client_.fd(), .events = POLLIN, .revents = 0};
    if (::ppoll(&entry, 1, &timeout, nullptr) <= 0) return;
    client_.take([&](takt_answer& a) {
      if (a.is_notice != 0) return;
      Frame& f = frames_[a.tag];
      if (f.verdict < 0) --in_flight_;
      f.answered = now_ns();
      f.end = a.end_ns;
      f.verdict = a.verdict;
    });
  }

  StreamKind kind_;
  double phase_;
  Client client_;
  std::vector<Frame> frames_;
  int in_flight_ = 0;
};

nlohmann::json in_ms(Samples samples) {
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double share) { return quantile(samples, share) / 1e6; };
  return {{"p50", at(0.5)}, {"p99", at(0.99)}, {"p999", at(0.999)}, {"max", at(1)}, {"n", samples.size()}};
}

nlohmann::json summarise(const StreamKind& k, const std::vector<const Source*>& sources, const Window& w) {
  std::map<std::string, int> verdicts;
  Samples latency, refusal, refusal_since_hopeless, good_at;
  int n = 0, on_time = 0, good_but_late = 0;
  for (const Source* s : sources)
    for (const Frame& f : s->frames()) {
      if (f.due < w.counted_from) continue;
      ++n;
      ++verdicts[f.verdict < 0 ? "skipped" : takt_verdict_name(static_cast<takt_verdict>(f.verdict))];
      if (f.verdict == TAKT_DONE) {
        latency.push_back(f.answered - f.due);
        good_at.push_back(f.answered);
        on_time += f.answered <= f.deadline ? 1 : 0;
        good_but_late += f.end > f.deadline ? 1 : 0;
      } else if (f.verdict >= 0 && f.verdict != TAKT_LATE) {
        refusal.push_back(f.answered - f.due);
        refusal_since_hopeless.push_back(f.answered - std::max(f.due, f.deadline - k.cost_ns));
      }
    }
  std::sort(good_at.begin(), good_at.end());
  std::int64_t gap = 0;
  for (std::size_t i = 1; i < good_at.size(); ++i) gap = std::max(gap, good_at[i] - good_at[i - 1]);
  const double seconds = static_cast<double>(w.end - w.counted_from) / 1e9;
  return {{"name", k.name},
          {"n", n},
          {"on_time", on_time},
          {"good_but_late", good_but_late},
          {"per_s", static_cast<double>(good_at.size()) / seconds},
          {"verdicts", verdicts},
          {"latency_ms", in_ms(latency)},
          {"refusal_ms", in_ms(refusal)},
          {"refusal_since_hopeless_ms", in_ms(refusal_since_hopeless)},
          {"longest_gap_ms", static_cast<double>(gap) / 1e6}};
}

double own_cpu_s() {
  rusage u{};
  ::getrusage(RUSAGE_SELF, &u);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(u.ru_utime) + seconds(u.ru_stime);
}

void run(const std::string& socket, const std::vector<std::string>& texts, double seconds, double warm_up) {
  std::vector<StreamKind> kinds;
  std::vector<std::unique_ptr<Source>> sources;
  std::vector<std::vector<const Source*>> of_kind;
  for (const std::string& text : texts) {
    const StreamKind& k = kinds.emplace_back(parse_stream(text));
    of_kind.emplace_back();
    for (int i = 0; i < k.count; ++i) {
      sources.push_back(std::make_unique<Source>(socket, k, static_cast<double>(i) / k.count));
      of_kind.back().push_back(sources.back().get());
    }
  }
  const std::int64_t begin = now_ns() + 20 * kMs;
  const Window w{begin, begin + std::llround(warm_up * 1e9), begin + std::llround((warm_up + seconds) * 1e9)};
  std::vector<std::thread> threads;
  for (const auto& s : sources) threads.emplace_back([&s, &w] { s->run(w); });
  for (std::thread& t : threads) t.join();
  const double cpu = own_cpu_s();
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    nlohmann::json line = summarise(kinds[k], of_kind[k], w);
    line["client_cpu_s"] = cpu;
    std::printf("%s\n", line.dump().c_str());
  }
}

}  // namespace
}  // namespace takt::bench

int main(int argc, char** argv) {
  CLI::App app("Streams of frames for a takt service; prints what became of them.");
  std::string socket;
  std::vector<std::string> streams;
  double seconds = 5, warm_up = 0.5;
  app.add_option("--socket", socket, "of the service")->required();
  app.add_option("--seconds", seconds, "that count")->capture_default_str();
  app.add_option("--warm-up", warm_up, "seconds before that")->capture_default_str();
  app.add_option("streams", streams,
                 "name=,model=,class=hard|firm|soft,count=,fps= or outstanding=,deadline_ms=,cost_ms=,write=1")
      ->required();
  CLI11_PARSE(app, argc, argv);
  takt::bench::run(socket, streams, seconds, warm_up);
}
