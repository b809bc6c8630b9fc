// `takt-train slim`: trains SlimResNet on CIFAR-100, calibrates it, measures its 256 subnets and writes the model.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace takt::train {

inline constexpr std::array<std::string_view, 3> kPrecisions{"bf16", "tf32", "single"};

struct SlimOptions {
  std::filesystem::path data;         // folder of the binary records
  std::filesystem::path out;          // folder of the checkpoint
  std::filesystem::path write_model;  // folder of the finished model; empty: none is written
  std::string device = "cpu";         // or cuda
  // Of pictures, activations and the convolutions' weights in a step: bf16, tf32 (cuda) or single; empty: bf16 on cuda,
  // single on the CPU. Weights, gradients, momentum and batch norm are single always.
  std::string precision;
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
  double stop_after_s = 0;  // ends with a checkpoint at the first step after that long; 0: never
  uint64_t seed = 1;
  int threads = 2;
  bool try_algorithms = false;  // cuDNN measures its algorithms for each shape
  bool resume = false;          // from the checkpoint, if there is one
  bool evaluate = false;        // measure the checkpoint instead of training
};

// Returns the exit status: 0 when done or when SIGINT, SIGTERM or stop_after_s ended it at a step's end with a
// checkpoint, 1 after saying on stderr what went wrong.
[[nodiscard]] int run_slim(const SlimOptions& options);

}  // namespace takt::train
