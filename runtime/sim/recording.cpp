// The reader of live traces, line by line; see recording.hpp.
#include "sim/recording.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <utility>

#include "sim/csv.hpp"
#include "takt/trace.hpp"

namespace takt::sim {
namespace {

constexpr std::size_t kColumns = 7;
constexpr std::size_t kMaxStreams = 65536;

template <class T>
bool read_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

// A time or duration: not negative, and not so large that sums overflow.
bool read_time(std::string_view text, std::int64_t& ns) {
  return read_number(text, ns) && ns >= 0 && ns <= to_ns(kForever);
}

std::optional<TraceKind> kind_of(std::string_view word) {
  for (int k = 0; k <= static_cast<int>(TraceKind::down); ++k)
    if (word == to_string(static_cast<TraceKind>(k))) return static_cast<TraceKind>(k);
  return std::nullopt;
}

std::optional<Verdict> verdict_of(TraceKind kind) {
  switch (kind) {
    case TraceKind::done: return Verdict::done;
    case TraceKind::late: return Verdict::late;
    case TraceKind::abort: return Verdict::missed;
    case TraceKind::drop: return Verdict::dropped;
    case TraceKind::supersede: return Verdict::superseded;
    case TraceKind::cancel: return Verdict::cancelled;
    case TraceKind::restart: return Verdict::restarted;
    case TraceKind::error: return Verdict::error;
    default: return std::nullopt;
  }
}

template <class E, std::size_t N>
bool read_word(std::string_view text, E& value, const std::array<std::pair<std::string_view, E>, N>& words) {
  for (const auto& [word, meant] : words)
    if (word == text) return value = meant, true;
  return false;
}

constexpr std::array<std::pair<std::string_view, Criticality>, 3> kClasses{
    {{"hard", Criticality::hard}, {"firm", Criticality::firm}, {"soft", Criticality::soft}}};
constexpr std::array<std::pair<std::string_view, LateRule>, 2> kLateRules{
    {{"abort", LateRule::abort}, {"finish", LateRule::finish}}};
constexpr std::array<std::pair<std::string_view, QueueRule>, 3> kQueueRules{
    {{"keep", QueueRule::keep}, {"newest-wins", QueueRule::newest_wins}, {"drop-oldest", QueueRule::drop_oldest}}};

// Keeps what it reads in a Recording; the first thing that is wrong ends it.
class Reader {
 public:
  explicit Reader(const std::string& file) { recording_.file = file; }

  Parsed<Recording> read(std::string_view text) {
    const std::size_t whole = text.rfind('\n');
    text = whole == std::string_view::npos ? std::string_view{} : text.substr(0, whole + 1);
    for (const CsvLine& line : csv_lines(text)) {
      line_ = line.number;
      read_line(line.cells);
      if (wrong_) return tl::unexpected<InputError>(*wrong_);
    }
    if (recording_.streams.empty()) {
      refuse("open", "no stream was opened: is this a trace that taktd wrote?");
      return tl::unexpected<InputError>(*wrong_);
    }
    count_batches();
    return std::move(recording_);
  }

 private:
  struct Began {
    std::size_t stream = 0;
    std::uint32_t frame = 0, segment = 0;
    std::int64_t at = 0;
  };
  using Cells = std::vector<std::string_view>;

  void refuse(std::string key, std::string text) {
    if (!wrong_) wrong_ = InputError{recording_.file, std::max(line_, 1), std::move(key), std::move(text)};
  }

  void read_line(const Cells& cells) {
    if (cells.size() < kColumns)
      return refuse("", "has fewer than the seven columns time_ns,kind,task,frame,segment,accelerator,subnet");
    std::int64_t at = 0;
    std::uint32_t frame = 0, segment = 0;
    const std::optional<TraceKind> kind = kind_of(cells[1]);
    if (!read_time(cells[0], at)) return refuse("time_ns", "is no time in nanoseconds");
    if (!kind) return refuse("kind", "'" + std::string(cells[1]) + "' is no kind of event");
    if (!read_number(cells[3], frame)) return refuse("frame", "is no whole number");
    if (!read_number(cells[4], segment) || segment > UINT16_MAX)
      return refuse("segment", "is no whole number up to 65535");
    if (cells.size() > kColumns && *kind != TraceKind::open && *kind != TraceKind::release)
      return refuse("", "has more than seven columns, as only open and release may");
    note_time(instant_ns(at));
    switch (*kind) {
      case TraceKind::open: return open(cells);
      case TraceKind::release: return release(cells, at, frame);
      case TraceKind::start: return start(cells, at, frame, segment);
      case TraceKind::end: return end(cells, at, frame, segment);
      case TraceKind::recall: return recall(cells, frame, segment);
      case TraceKind::down: running_.erase(std::string(cells[5])); return;  // what ran there is lost
      default:
        if (const auto verdict = verdict_of(*kind)) answered(cells, *verdict, frame);
    }
  }

  void note_time(Instant at) {
    recording_.first = seen_ ? std::min(recording_.first, at) : at;
    recording_.last = std::max(recording_.last, at);
    seen_ = true;
  }

  void open(const Cells& cells) {
    if (recording_.streams.size() == kMaxStreams) return refuse("open", "more streams than 65536");
    RecordedStream s;
    s.name = cells[2];
    s.line = line_;
    for (std::size_t c = kColumns; c < cells.size(); ++c) {
      const std::size_t equals = std::min(cells[c].find('='), cells[c].size());
      const std::string_view key = cells[c].substr(0, equals),
                             value = cells[c].substr(std::min(equals + 1, cells[c].size()));
      if (!property(s, key, value))
        return refuse(std::string(key), "'" + std::string(value) + "' is not what taktd writes there");
    }
    if (s.name.empty() || s.model.empty())
      return refuse("model", "is missing: an opened stream has a name and a model");
    latest_[s.name] = recording_.streams.size();
    recording_.streams.push_back(std::move(s));
  }

  bool property(RecordedStream& s, std::string_view key, std::string_view value) {
    std::int64_t ns = 0;
    if (key == "model") return s.model = value, true;
    if (key == "form") return read_number(value, s.form) && s.form >= -1;
    if (key == "class") return read_word(value, s.criticality, kClasses);
    if (key == "late") return read_word(value, s.late, kLateRules);
    if (key == "queue") return read_word(value, s.queue, kQueueRules);
    if (key == "queue_depth") return read_number(value, s.queue_depth);
    if (key == "period_ns") return read_time(value, ns) && (s.period = Duration{ns}, true);
    if (key == "deadline_ns") return read_time(value, ns) && (s.relative_deadline = Duration{ns}, true);
    if (key == "accuracy_floor") return read_number(value, s.accuracy_floor) && std::isfinite(s.accuracy_floor);
    if (key == "accuracy_ceiling") return read_number(value, s.accuracy_ceiling) && std::isfinite(s.accuracy_ceiling);
    if (key != "parent") return false;
    const auto parent = latest_.find(std::string(value));
    if (parent == latest_.end()) return false;
    s.parent = static_cast<std::int32_t>(parent->second);
    return true;
  }

  void release(const Cells& cells, std::int64_t at, std::uint32_t frame) {
    const auto found = latest_.find(std::string(cells[2]));
    if (found == latest_.end()) return refuse("task", "'" + std::string(cells[2]) + "' was not opened above this line");
    RecordedFrame f;
    f.release = instant_ns(at);
    if (cells.size() > kColumns) {
      constexpr std::string_view kKey = "deadline_ns=";
      std::int64_t deadline = 0;
      if (cells.size() > kColumns + 1 || !cells[kColumns].starts_with(kKey) ||
          !read_time(cells[kColumns].substr(kKey.size()), deadline))
        return refuse("deadline_ns", "is no time in nanoseconds");
      f.deadline = instant_ns(deadline);
    }
    if (!recording_.streams[found->second].frames.emplace(frame, std::move(f)).second)
      refuse("frame", "was released before: the stream was opened once only");
  }

  // The stream that the frame is of: the latest of that name that has released it.
  std::optional<std::size_t> find(std::string_view task, std::uint32_t frame) const {
    const auto latest = latest_.find(std::string(task));
    if (latest == latest_.end()) return std::nullopt;
    for (std::size_t i = latest->second + 1; i-- > 0;)
      if (recording_.streams[i].name == task && recording_.streams[i].frames.contains(frame)) return i;
    return std::nullopt;
  }
  void refuse_unreleased() {
    refuse("frame", "was not released above this line: give the trace more room, <trace events>");
  }

  void start(const Cells& cells, std::int64_t at, std::uint32_t frame, std::uint32_t segment) {
    const auto stream = find(cells[2], frame);
    if (!stream) return refuse_unreleased();
    running_[std::string(cells[5])].push_back({*stream, frame, segment, at});
    ++batches_[{std::string(cells[5]), at}];
  }

  void end(const Cells& cells, std::int64_t at, std::uint32_t frame, std::uint32_t segment) {
    const auto stream = find(cells[2], frame);
    if (!stream) return refuse_unreleased();
    std::vector<Began>& running = running_[std::string(cells[5])];
    const auto began = std::find_if(running.begin(), running.end(), [&](const Began& b) {
      return b.stream == *stream && b.frame == frame && b.segment == segment;
    });
    if (began == running.end()) return refuse("segment", "ends but did not start on this accelerator");
    if (began->at > at) return refuse("time_ns", "is before the segment's start");
    recording_.streams[*stream].frames.at(frame).segments.push_back(
        {segment, std::string(cells[5]), std::string(cells[6]), Duration{at - began->at}, 1, line_});
    starts_.push_back({*stream, frame, segment, began->at});
    running.erase(began);
  }

  // Of what was posted ahead; of what nobody had claimed yet also if it counted as started.
  void recall(const Cells& cells, std::uint32_t frame, std::uint32_t segment) {
    const auto stream = find(cells[2], frame);
    if (!stream) return refuse_unreleased();
    std::vector<Began>& running = running_[std::string(cells[5])];
    std::erase_if(running,
                  [&](const Began& b) { return b.stream == *stream && b.frame == frame && b.segment == segment; });
  }

  // Frames that never came to wait (a hard stream's turn had not come) may end without having been released.
  void answered(const Cells& cells, Verdict verdict, std::uint32_t frame) {
    if (const auto stream = find(cells[2], frame)) {
      recording_.streams[*stream].frames.at(frame).verdict = verdict;
    } else if (verdict == Verdict::done || verdict == Verdict::late || verdict == Verdict::missed) {
      refuse_unreleased();
    }
  }

  // Segments that started together on an accelerator are one launch. Known when all have started.
  void count_batches() {
    std::map<std::pair<std::size_t, std::uint32_t>, std::size_t> next;
    for (const Began& b : starts_) {
      RecordedSegment& s = recording_.streams[b.stream].frames.at(b.frame).segments[next[{b.stream, b.frame}]++];
      s.batch = batches_.at({s.accelerator, b.at});
    }
  }

  Recording recording_;
  std::map<std::string, std::size_t> latest_;          // by name
  std::map<std::string, std::vector<Began>> running_;  // by accelerator
  std::vector<Began> starts_;                          // of segments that ended, in order of their ends
  std::map<std::pair<std::string, std::int64_t>, std::uint32_t> batches_;
  std::optional<InputError> wrong_;
  int line_ = 0;
  bool seen_ = false;
};

}  // namespace

Parsed<Recording> parse_recording(std::string_view text, const std::string& file) {
  return Reader(file).read(text);
}

Parsed<Recording> read_recording(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream || std::filesystem::is_directory(path))
    return tl::unexpected<InputError>(InputError{path.string(), 0, "", "cannot be read"});
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  return parse_recording(text, path.string());
}

}  // namespace takt::sim
