// A recording as a case: its arrivals and deadlines, and for each segment what it took, or is likely to have taken.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "files/service_file.hpp"
#include "sim/case.hpp"
#include "sim/recording.hpp"

namespace takt::sim {

// What the engine asks instead of costs and random numbers. How a segment that was not measured is judged is our own
// choice: its expected time, times what the frame's measured segments took against theirs; of a frame that never ran,
// times what all took on that accelerator.
class Playback {
 public:
  // Of the segment `k` of a subnet on accelerator `a`; `expected` by the profile.
  [[nodiscard]] Duration time(std::size_t task, std::uint32_t frame, std::size_t subnet, std::size_t k, std::size_t a,
                              Duration expected) const;
  // Mean of measured over expected times on an accelerator.
  [[nodiscard]] double ratio(std::size_t a) const { return ratios_[a]; }
  // Whether a child comes to the frame. Where the recorded parent had no result, it is drawn with the rate of those
  // that had.
  [[nodiscard]] bool fires(std::size_t child, std::uint32_t frame) const;

 private:
  friend class ReplayMaker;
  struct Frame {
    std::map<std::pair<std::uint32_t, std::size_t>, Duration>
        measured;      // by variant and accelerator; a batch is shared out
    double ratio = 0;  // measured over expected; 0: nothing ran
    bool has_result = false;
  };
  struct Task {
    std::map<std::uint32_t, Frame> frames;
    std::vector<std::vector<std::uint32_t>> variants;  // by subnet and segment
    std::int32_t parent = -1;
    double trigger_rate = 0;
  };
  std::vector<Task> tasks_;
  std::vector<double> ratios_;  // by accelerator
};

// What came out when it was recorded, counted as the simulator counts: children lost with their parent are released,
// too.
struct RecordedTask {
  std::string name;
  std::uint64_t released = 0, on_time = 0;
};

struct Replay {
  Case scenario;
  Playback playback;
  std::vector<RecordedTask> recorded;  // by task
  std::uint64_t left_out =
      0;                   // frames that no policy could help: cancelled, lost with a broker or an executor, unfinished
  std::uint8_t ahead = 0;  // the most that the configuration lets any accelerator post ahead
};

// `service` is what the recording was made with. Not replayed: accelerators that came and went (all are up), batches
// (each job takes its share of what the batch took), hard streams (they are planned by the policy, as firm). Errors
// name the trace's line.
[[nodiscard]] Parsed<Replay> make_replay(const Recording& recording, const files::Service& service);

}  // namespace takt::sim
