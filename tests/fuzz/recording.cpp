// Recorded traces: accepted ones hold together, refused ones say where.
#include "sim/recording.hpp"

#include "target.hpp"

namespace takt::fuzz {
namespace {

void check_stream(const sim::Recording& recording, std::size_t index) {
  const sim::RecordedStream& stream = recording.streams[index];
  TAKT_CHECK(!stream.name.empty() && !stream.model.empty() && stream.line > 0);
  TAKT_CHECK(stream.parent < static_cast<std::int32_t>(index));
  for (const auto& [number, frame] : stream.frames) {
    TAKT_CHECK(frame.release >= recording.first && frame.release <= recording.last);
    for (const sim::RecordedSegment& s : frame.segments)
      TAKT_CHECK(s.time >= Duration{0} && s.time <= recording.last - recording.first && s.batch >= 1 && s.line > 0);
  }
}

}  // namespace

std::vector<std::string> seeds() {
  return {source_file("tests/sim/samples/replay/trace.csv")};
}
std::vector<std::string> words() {
  return {"\n",
          ",",
          "=",
          "1010000000,",
          ",start,",
          ",end,",
          ",recall,",
          ",down,-,0,0,fast,-",
          ",open,camera,0,0,-,-,model=plain\n",
          ",drop,",
          ",abort,",
          ",camera,",
          ",closer,",
          ",0,0,fast,full",
          ",0,1,slow,full",
          "parent=camera",
          "deadline_ns=",
          "99999999999999999999",
          "-1",
          "4294967295",
          "65535",
          "nan",
          "inf",
          "\r\n",
          "queue=newest-wins"};
}

}  // namespace takt::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto recording = takt::sim::parse_recording(takt::fuzz::as_text(data, size), "trace.csv");
  if (!recording) {
    takt::fuzz::check_refusal(recording);
    return 0;
  }
  for (std::size_t i = 0; i < recording->streams.size(); ++i) takt::fuzz::check_stream(*recording, i);
  return 0;
}
