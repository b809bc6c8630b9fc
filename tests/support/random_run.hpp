// A seeded run of everything at once: models, accelerators, streams, frames, cancels, losses, updates.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "support/random.hpp"
#include "support/virtual_world.hpp"

namespace takt::test {

struct RunShape {
  std::string policy = "edf";
  std::size_t frames = 150;  // released by clients; children come on top
  bool losses = true;        // accelerators die and come back
  bool changes = true;       // cancels, updates, closes and opens
  bool history = false;
  std::uint32_t least_batch = 1, most_batch = 8;  // most jobs of one launch: a number of these
};

class RandomRun {
 public:
  RandomRun(std::uint64_t seed, RunShape shape);
  // To the end: every stream is closed when the last frame has been released and answered.
  void run();
  [[nodiscard]] VirtualWorld& world() noexcept { return *world_; }

 private:
  void make_models();
  [[nodiscard]] CoreConfig make_core();
  [[nodiscard]] StreamSpec make_spec();
  void open_stream();
  void release_and_go_on();
  void change_something();
  void lose_something();

  Random random_;
  RunShape shape_;
  std::size_t accelerators_;
  Catalog catalog_;
  std::unique_ptr<VirtualWorld> world_;
  std::vector<StreamId> open_;
  std::size_t released_ = 0;
};

}  // namespace takt::test
