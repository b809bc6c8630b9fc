// The demo's record of a stream: one JSON object a line, first the stream, then every frame once, then the end.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "takt/takt.h"

namespace demo {

struct FrameNote {
  std::uint64_t tag = 0;
  std::size_t image = 0;  // in the sample file
  int label = -1;
  std::int64_t due_ns = 0;        // when the schedule wanted it
  std::int64_t submitted_ns = 0;  // when it was handed in, or refused
};

class AnswerLog {
 public:
  // Null if the file cannot be written.
  [[nodiscard]] static std::unique_ptr<AnswerLog> create(const std::string& path);

  void opened(const takt_stream_config& config, double fps, const takt_admission& admission);
  // A frame that was not accepted (`what`: no_credit, disconnected) or that nobody answered (unanswered).
  void without_answer(const FrameNote& frame, const char* what);
  void answered(const FrameNote& frame, const takt_answer& answer, int top1, std::int64_t seen_ns);
  // A second answer to one frame, or one to a frame that was never handed in: must not happen.
  void stray(std::uint64_t tag, takt_verdict verdict);
  void closed(std::uint64_t reconnects, std::int64_t longest_gap_ns);

 private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  explicit AnswerLog(std::FILE* file) : file_(file) {}
  void begin(const FrameNote& frame, const char* verdict);
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace demo
