// `takt-train slim`: trains SlimResNet on CIFAR-100, calibrates it, measures its 256 subnets and writes the model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace takt::train {

struct SlimOptions {
  std::filesystem::path data;         // folder of the binary records
  std::filesystem::path out;          // folder of the checkpoint
  std::filesystem::path write_model;  // folder of the finished model; empty: none is written
  std::string device = "cpu";
  std::string machine = "machine not named";  // in words, for accuracy.txt
  int64_t epochs = 12;
  int64_t batch = 128;
  int64_t base_width = 16;
  int64_t random_subnets = 1;  // beside the largest and the smallest
  int64_t held_out = 2500;     // training images at the end that are kept from training
  double learning_rate = 0.1;
  double warm_up_epochs = 1.0;
  double weight_decay = 5e-4;
  double checkpoint_every_s = 240;
  uint64_t seed = 1;
  int threads = 2;
  bool resume = false;
  bool evaluate = false;  // measure the checkpoint instead of training
};

// Returns the exit status: 0 when done or when SIGINT or SIGTERM ended it at a step's end with a checkpoint, 1 after
// saying on stderr what went wrong.
[[nodiscard]] int run_slim(const SlimOptions& options);

}  // namespace takt::train
