// One small scenario whose whole trace is kept as text, to be reviewed in the diff.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "support/virtual_world.hpp"

namespace takt::test {
namespace {

std::string read(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// To renew the file after a wanted change: TAKT_UPDATE_GOLDEN=1, then review the diff.
void expect_golden(const std::string& trace, const std::string& name) {
  const std::string path = std::string(TAKT_SOURCE_DIR) + "/tests/golden/" + name;
  if (std::getenv("TAKT_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << trace;
  EXPECT_EQ(trace, read(path));
}

// A hard camera, a tracker on two subnets that feeds a cascade, and background work in long segments on one accelerator
// with one entry posted ahead; it is lost and returns once.
TEST(GoldenTrace, OfFourStreamsOnOneAccelerator) {
  Catalog catalog;
  const ModelId gaze_model = catalog.chain({ms(1), ms(1)});
  const ModelId nets = catalog.add(
      {{"full", 0.9F, {{"stem", ms(2)}, {"wide", ms(4)}}}, {"half", 0.7F, {{"stem", ms(2)}, {"slim", ms(1)}}}});
  const ModelId pose_model = catalog.chain({ms(1)}), scene_model = catalog.chain({ms(3), ms(3), ms(3)});
  VirtualWorld w(catalog, {.core = serial_core(1, 1), .policy = "edf+early_drop+fit"});
  StreamSpec scene_spec = soft(scene_model, ms(25));
  scene_spec.late = LateRule::finish;
  const StreamId gaze = w.open(hard(gaze_model, ms(10), ms(8)), "gaze"), hand = w.open(soft(nets, ms(12)), "hand");
  StreamSpec pose_spec = soft(pose_model, ms(12));
  pose_spec.parent = hand;
  pose_spec.trigger = {Trigger::Op::greater_equal, 0, 0.5F};
  w.open(pose_spec, "pose");
  const StreamId scene = w.open(scene_spec, "scene");
  for (int i = 0; i < 4; ++i) w.release_at(at(ms(10 * i + 1)), gaze);
  for (int i = 0; i < 3; ++i) w.release_at(at(ms(15 * i)), hand);
  w.release_at(at(ms(0)), scene);
  w.release_at(at(ms(2)), scene);
  w.at(at(us(25500)), [&] { w.down(0); });
  w.at(at(ms(27)), [&] { w.up(0); });
  w.run();
  expect_golden(w.trace(), "four_streams.trace");
  w.expect_settled();
}

}  // namespace
}  // namespace takt::test
