// Replays: the fixture in samples/replay, whose times can be added up by hand. fast: 2 ms a segment by its profile, 3
// measured (8 once); slow: 4 by its profile, 6 measured.
#include "sim/replay.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <sstream>

#include "policies/support/compose.hpp"
#include "sim/engine.hpp"

namespace takt::sim {
namespace {

using namespace std::chrono_literals;

const std::string kFolder = TAKT_SOURCE_DIR "/tests/sim/samples/replay/";

std::string good() {
  std::ifstream file(kFolder + "trace.csv");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

const files::Service& service() {
  static const auto service = files::load_service(kFolder + "takt.xml");
  EXPECT_TRUE(service) << service.error().to_string();
  return *service;
}

Replay replay_of(const std::string& text) {
  const auto recording = parse_recording(text, "trace.csv");
  EXPECT_TRUE(recording) << recording.error().to_string();
  auto replay = make_replay(*recording, service());
  EXPECT_TRUE(replay) << replay.error().to_string();
  return std::move(*replay);
}

Outcome run(const Replay& replay, const std::string& policy = "edf") {
  auto composed = compose_policy(policy);
  EXPECT_TRUE(composed);
  return simulate(replay.scenario, **composed, policy, {.playback = &replay.playback});
}

TEST(Recording, ReadsStreamsFramesAndTimes) {
  const auto recording = parse_recording(good(), "trace.csv");
  ASSERT_TRUE(recording) << recording.error().to_string();
  ASSERT_EQ(recording->streams.size(), 2u);
  const RecordedStream& camera = recording->streams[0];
  EXPECT_EQ(camera.model, "plain");
  EXPECT_EQ(camera.relative_deadline, 20ms);
  EXPECT_EQ(recording->streams[1].parent, 0);
  EXPECT_EQ(recording->streams[1].late, LateRule::finish);
  ASSERT_EQ(camera.frames.size(), 6u);
  const RecordedFrame& first = camera.frames.at(0);
  EXPECT_EQ(first.deadline - first.release, 20ms);
  EXPECT_EQ(first.verdict, Verdict::done);
  ASSERT_EQ(first.segments.size(), 2u);
  EXPECT_EQ(first.segments[1].time, 3ms);
  EXPECT_EQ(camera.frames.at(4).verdict, Verdict::missed);
  EXPECT_FALSE(camera.frames.at(5).verdict);
}

TEST(Recording, KeepsStreamsOfOneNameApart) {
  std::string text = good();
  text +=
      "1080000000,open,camera,0,0,-,-,model=plain\n1090000000,release,camera,0,0,-,full\n1091000000,drop,camera,0,0,-,"
      "full\n";
  const Replay replay = replay_of(text);
  ASSERT_EQ(replay.scenario.tasks.size(), 3u);
  EXPECT_EQ(replay.scenario.tasks[2].name, "camera/2");
  EXPECT_EQ(replay.recorded[2].released, 1u);
}

TEST(Recording, SharesABatchOut) {
  std::string text = with(good(), "1030000000,drop,camera,1,0,-,full\n", "");
  text = with(text, "1040000000,start,camera,2,0,fast,full\n",
              "1040000000,start,camera,2,0,fast,full\n1040000000,start,camera,1,0,fast,full\n");
  text = with(
      text, "1043000000,end,camera,2,0,fast,full\n",
      "1043000000,end,camera,2,0,fast,full\n1043000000,end,camera,1,0,fast,full\n1043000000,abort,camera,1,1,-,full\n");
  const Replay replay = replay_of(text);
  EXPECT_EQ(replay.playback.time(0, 1, 0, 0, 0, 2ms), 1500us);
  EXPECT_EQ(replay.playback.time(0, 2, 0, 0, 0, 2ms), 1500us);
}

TEST(Recording, ForgetsWhatWasRecalledOrLost) {
  std::string text =
      with(good(), "1040000000,start,camera,2,0,fast,full\n",
           "1039000000,start,camera,1,0,fast,full\n1039500000,recall,camera,1,0,fast,full\n"
           "1039600000,start,camera,2,0,fast,full\n1039700000,down,-,0,0,fast,-\n1039800000,up,-,0,0,fast,-\n"
           "1040000000,start,camera,2,0,fast,full\n");
  EXPECT_EQ(replay_of(text).playback.time(0, 2, 0, 0, 0, 2ms), 3ms);
}

TEST(Recording, LeavesOutALineThatWasBeingWritten) {
  EXPECT_TRUE(parse_recording(good() + "10950000", "trace.csv"));
}

void expect_refused(const std::string& from, const std::string& to, const std::string& said) {
  const std::string text = with(good(), from, to);
  const auto line =
      static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(text.find(to)), '\n')) + 1;
  const auto recording = parse_recording(text, "trace.csv");
  ASSERT_FALSE(recording) << to;
  EXPECT_EQ(recording.error().line, line) << to;
  EXPECT_NE(recording.error().to_string().find(said), std::string::npos) << recording.error().to_string();
}

TEST(Recording, RefusesWhatTaktdDoesNotWrite) {
  expect_refused("1010000000,start,camera,0,0,fast,full", "1010000000,start,camera,0,0,fast", "seven columns");
  expect_refused("1010000000,start", "soon,start", "time_ns");
  expect_refused("1010000000,start", "-1,start", "time_ns");
  expect_refused("1010000000,start", "9223372036854775807,start", "time_ns");
  expect_refused("1010000000,start,camera,0,0,fast,full", "1010000000,begin,camera,0,0,fast,full", "kind");
  expect_refused("1010000000,start,camera,0", "1010000000,start,camera,zero", "frame");
  expect_refused("1013000000,end,camera,0,0", "1013000000,end,camera,0,70000", "segment");
  expect_refused("1013000000,end,camera,0,0", "1013000000,end,camera,0,1", "did not start");
  expect_refused("1013000000,end,camera,0,0", "1009000000,end,camera,0,0", "before");
  expect_refused("1010000000,start,camera,0", "1010000000,start,camera,7", "not released");
  expect_refused("1030000000,release,camera,1", "1030000000,release,camera,0", "released before");
  expect_refused("1030000000,release,camera,1", "1030000000,release,nobody,1", "not opened");
  expect_refused("deadline_ns=1030000000", "deadline_ns=x", "deadline_ns");
  expect_refused("parent=camera", "parent=nobody", "parent");
  expect_refused("late=finish", "late=never", "late");
  expect_refused("model=plain", "color=red", "color");
  EXPECT_FALSE(parse_recording("", "trace.csv"));
}

TEST(Replay, RefusesWhatTheConfigurationDoesNotHaveAtTheLineOfTheTrace) {
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"model=plain", "model=other"},
                                 {"camera,0,0,fast,full\n1013", "camera,0,0,else,full\n1013"},
                                 {"1013000000,end,camera,0,0,fast,full", "1013000000,end,camera,0,0,fast,half"}}) {
    std::string text = with(good(), from, to);
    if (to.find("else") != std::string::npos)
      text = with(text, "1013000000,end,camera,0,0,fast", "1013000000,end,camera,0,0,else");
    const auto recording = parse_recording(text, "trace.csv");
    ASSERT_TRUE(recording) << recording.error().to_string();
    const auto replay = make_replay(*recording, service());
    ASSERT_FALSE(replay) << to;
    EXPECT_EQ(replay.error().file, "trace.csv");
    EXPECT_GT(replay.error().line, 2);
  }
}

// By the rules in replay.hpp: measured where it ran; else the profile's time by the frame's own ratio (1.5 of frames 0
// and 2); of frame 1, which never ran, by the accelerator's: 20 ms measured for 10 on fast, 12 for 8 on slow.
TEST(Replay, TakesMeasuredTimesAndScalesTheOthers) {
  const Replay replay = replay_of(good());
  EXPECT_EQ(replay.playback.time(0, 0, 0, 1, 0, 2ms), 3ms);
  EXPECT_EQ(replay.playback.time(0, 4, 0, 0, 0, 2ms), 8ms);
  EXPECT_EQ(replay.playback.time(0, 4, 0, 1, 0, 2ms), 8ms);
  EXPECT_EQ(replay.playback.time(0, 0, 0, 0, 1, 4ms), 6ms);
  EXPECT_EQ(replay.playback.time(0, 1, 0, 0, 0, 2ms), 4ms);
  EXPECT_EQ(replay.playback.time(0, 1, 0, 0, 1, 4ms), 6ms);
}

// camera 3 was cancelled and 5 had no end yet. Frame 1 was dropped before its child came; every frame with a result had
// one but for frame 2.
TEST(Replay, CountsTheRecordedOutcomeAsTheSimulatorDoes) {
  const Replay replay = replay_of(good());
  EXPECT_EQ(replay.left_out, 2u);
  EXPECT_EQ(replay.recorded[0].released, 4u);
  EXPECT_EQ(replay.recorded[0].on_time, 2u);
  const Outcome outcome = run(replay);
  EXPECT_EQ(outcome.tasks[0].released, 4u);
  EXPECT_EQ(outcome.tasks[1].released, replay.recorded[1].released);
}

TEST(Replay, TellsWhatAnotherPolicyWouldHaveDone) {
  const Outcome outcome = run(replay_of(good()));
  EXPECT_EQ(outcome.tasks[0].on_time, 3u) << "the recorded policy dropped frame 1";
  EXPECT_EQ(outcome.tasks[0].aborted, 1u);
  EXPECT_EQ(outcome.duration_ns, 70'000'000);
}

TEST(Replay, ReleasesChildrenAsRecordedWhereTheirParentHadAResult) {
  const Replay replay = replay_of(good());
  EXPECT_TRUE(replay.playback.fires(1, 0));
  EXPECT_FALSE(replay.playback.fires(1, 2));
}

}  // namespace
}  // namespace takt::sim
