// What the peers' programs have in common: how a benchmark starts one for a round and takes its samples.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "support/placement.hpp"

namespace takt::bench {

struct Workload {
  std::size_t bytes = 64;    // of a frame
  int count = 1000;          // frames a round
  std::int64_t pace_ns = 0;  // one frame each; 0: the next one as soon as the last was answered
};

// When one frame was in the consumer's hands and when it had read every byte, after the producer began to hand it in.
struct Handover {
  std::int64_t received = 0, read = 0;
};

// PROGRAM BYTES COUNT PACE_NS PRODUCER_CPU CONSUMER_CPU; prints Handovers, raw.
struct PeerTask {
  Workload workload;
  int producer = 0, consumer = 0;

  static PeerTask parse(int argc, char** argv) {
    if (argc != 6) give_up("a peer takes BYTES COUNT PACE_NS PRODUCER_CPU CONSUMER_CPU");
    return {{std::strtoull(argv[1], nullptr, 10), std::atoi(argv[2]), std::atoll(argv[3])},
            std::atoi(argv[4]),
            std::atoi(argv[5])};
  }
};

// Empty if the program is not there: it is built only where the peer's library is installed.
inline std::vector<Handover> run_peer(const std::string& program, const PeerTask& task) {
  std::vector<Handover> out;
  const auto path = std::filesystem::read_symlink("/proc/self/exe").parent_path() / program;
  if (!std::filesystem::exists(path)) return out;
  const Workload& w = task.workload;
  std::string command = path.string();
  for (const std::int64_t each : {static_cast<std::int64_t>(w.bytes), std::int64_t{w.count}, w.pace_ns,
                                  std::int64_t{task.producer}, std::int64_t{task.consumer}})
    command += " " + std::to_string(each);
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) give_up("cannot start " + program);
  for (Handover h; std::fread(&h, sizeof h, 1, pipe) == 1;) out.push_back(h);
  if (::pclose(pipe) != 0 || out.size() != static_cast<std::size_t>(w.count)) give_up(program + " failed");
  return out;
}

// The producer's loop: `pass(frame number)` writes the pixels, hands them in and returns the consumer's two times.
// The first frames warm up and are not reported.
template <class Pass>
void produce(const Workload& w, Pass pass) {
  constexpr int kWarmUp = 50;
  std::vector<Handover> out;
  std::int64_t due = now_ns();
  for (int i = -kWarmUp; i < w.count; ++i) {
    if (w.pace_ns > 0) sleep_until(due += w.pace_ns);
    const Handover h = pass(static_cast<std::uint64_t>(i + kWarmUp));
    if (i >= 0) out.push_back(h);
  }
  std::fwrite(out.data(), sizeof(Handover), out.size(), stdout);
  std::fflush(stdout);
}

}  // namespace takt::bench
