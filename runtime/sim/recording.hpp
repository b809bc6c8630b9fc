// What a live service did, read from the trace that taktd writes: streams, their frames, and when segments ran.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "takt/job.hpp"
#include "takt/result.hpp"
#include "takt/time.hpp"

namespace takt::sim {

// From its start, as the scheduler saw it, to its end: with the way to the executor and back. Jobs of one batch share
// it.
struct RecordedSegment {
  std::uint32_t segment = 0;
  std::string accelerator, subnet;
  Duration time{};
  std::uint32_t batch = 1;
  int line = 0;
};

struct RecordedFrame {
  Instant release{}, deadline = kNever;
  std::optional<Verdict> verdict;  // none: the trace ends before it
  std::vector<RecordedSegment> segments;
};

struct RecordedStream {
  std::string name, model;
  std::int32_t form = -1;
  Criticality criticality = Criticality::soft;
  LateRule late = LateRule::abort;
  QueueRule queue = QueueRule::keep;
  std::uint32_t queue_depth = 8;
  Duration period{}, relative_deadline{};
  float accuracy_floor = 0, accuracy_ceiling = 1;
  std::int32_t parent = -1;                       // position of an earlier stream
  std::map<std::uint32_t, RecordedFrame> frames;  // by number; a child's are its root's
  int line = 0;
};

struct Recording {
  std::string file;                     // for messages
  std::vector<RecordedStream> streams;  // one each time a stream was opened or changed
  Instant first{}, last{};              // of its events
};

// Lines are time_ns,kind,task,frame,segment,accelerator,subnet and, of `open` and `release`, further key=value columns.
// A last line without its end is one that was being written and is left out. Errors name file and line.
[[nodiscard]] Parsed<Recording> parse_recording(std::string_view text, const std::string& file);
// Blocks on the disk.
[[nodiscard]] Parsed<Recording> read_recording(const std::filesystem::path& path);

}  // namespace takt::sim
