// Writes the demo's record of a stream as JSON lines; names in it need no escaping, they are checked names of takt.
#include "answer_log.hpp"

namespace demo {
namespace {

const char* outcome_name(const takt_admission& a) {
  return a.outcome == takt_admission::TAKT_ACCEPTED  ? "accepted"
         : a.outcome == takt_admission::TAKT_LIGHTER ? "lighter"
                                                     : "refused";
}

const char* class_name(takt_class c) {
  return c == TAKT_HARD ? "hard" : c == TAKT_FIRM ? "firm" : "soft";
}

// printf knows long long by a plain word.
long long wide(std::int64_t value) {
  return value;
}
unsigned long long wide(std::uint64_t value) {
  return value;
}

}  // namespace

std::unique_ptr<AnswerLog> AnswerLog::create(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "we");
  if (file == nullptr) return nullptr;
  std::setvbuf(file, nullptr, _IOFBF, 1 << 20);  // the disk stays out of the loop
  return std::unique_ptr<AnswerLog>(new AnswerLog(file));
}

void AnswerLog::opened(const takt_stream_config& c, double fps, const takt_admission& a) {
  std::fprintf(file_.get(), R"({"event":"open","stream":"%s","class":"%s","fps":%.9g,"deadline_ns":%lld,)", c.name,
               class_name(c.criticality), fps, wide(c.relative_deadline_ns));
  std::fprintf(file_.get(), R"("picture":"%s","width":%u,"height":%u,)", c.picture == TAKT_RGB ? "rgb" : "nv12",
               c.width, c.height);
  std::fprintf(file_.get(), R"("admission":"%s","reason":%d,"bound_ns":%lld,"subnet":"%s","accelerator":"%s"})",
               outcome_name(a), static_cast<int>(a.reason), wide(a.bound_ns), a.subnet, a.accelerator);
  std::fputc('\n', file_.get());
  std::fflush(file_.get());  // the demo reads this line while the stream runs
}

void AnswerLog::begin(const FrameNote& frame, const char* verdict) {
  std::fprintf(file_.get(), R"({"tag":%llu,"image":%zu,"label":%d,"due_ns":%lld,"submitted_ns":%lld,"verdict":"%s")",
               wide(frame.tag), frame.image, frame.label, wide(frame.due_ns), wide(frame.submitted_ns), verdict);
}

void AnswerLog::without_answer(const FrameNote& frame, const char* what) {
  begin(frame, what);
  std::fputs("}\n", file_.get());
}

void AnswerLog::answered(const FrameNote& frame, const takt_answer& answer, int top1, std::int64_t seen_ns) {
  // What the library itself answers for a broker that is gone carries no times of the broker.
  const std::int64_t latency_ns = answer.end_ns > 0 ? answer.end_ns - frame.submitted_ns : seen_ns;
  begin(frame, takt_verdict_name(answer.verdict));
  std::fprintf(file_.get(), R"(,"latency_ns":%lld,"seen_ns":%lld,"subnet":"%s","top1":%d,"accelerator":%d,"batch":%u)",
               wide(latency_ns), wide(seen_ns), answer.subnet, top1, static_cast<int>(answer.accelerator),
               answer.largest_batch);
  std::fprintf(file_.get(), R"(,"start_ns":%lld,"end_ns":%lld,"deadline_ns":%lld,"executed_ns":%lld})",
               wide(answer.start_ns), wide(answer.end_ns), wide(answer.deadline_ns), wide(answer.executed_ns));
  std::fputc('\n', file_.get());
}

void AnswerLog::stray(std::uint64_t tag, takt_verdict verdict) {
  std::fprintf(file_.get(), R"({"event":"stray","tag":%llu,"verdict":"%s"})", wide(tag), takt_verdict_name(verdict));
  std::fputc('\n', file_.get());
}

void AnswerLog::closed(std::uint64_t reconnects, std::int64_t longest_gap_ns) {
  std::fprintf(file_.get(), R"({"event":"close","reconnects":%llu,"disconnected_ns":%lld})", wide(reconnects),
               wide(longest_gap_ns));
  std::fputc('\n', file_.get());
}

}  // namespace demo
