// A made-up CIFAR-100 for tests of training, and runs that are short on it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "models/temporary_folder.hpp"
#include "slim_resnet/weights.hpp"
#include "takt_train/random.hpp"
#include "takt_train/slim.hpp"
#include "takt_train/slim_trainer.hpp"

namespace takt::test {

inline constexpr std::size_t kRecord = 3074;

// `count` records whose picture says its label: class k is a grey of its own with a little noise.
inline void write_records(const std::filesystem::path& path, int count, uint64_t seed) {
  train::Random random(seed, train::Random::Purpose::order, 0);
  std::string text;
  for (int i = 0; i < count; ++i) {
    const auto label = static_cast<char>(i % 4);
    text += std::string{'\0', label};
    for (std::size_t p = 0; p < kRecord - 2; ++p) {
      text += static_cast<char>(20 + 60 * (i % 4) + static_cast<int>(random.below(20)));
    }
  }
  std::ofstream(path, std::ios::binary) << text;
}

inline void write_data(const TemporaryFolder& folder) {
  uint64_t seed = 1;
  for (const char* name : {"train-0.bin", "train-1.bin", "train-2.bin", "train-3.bin", "train-4.bin", "test.bin"}) {
    write_records(folder / name, 16, seed++);
  }
}

inline train::SlimOptions small_run(const TemporaryFolder& folder) {
  train::SlimOptions options;
  options.data = folder.path();
  options.out = folder.path();
  options.base_width = 4;
  options.batch = 8;
  options.held_out = 16;
  options.epochs = 2;
  options.precision = "single";
  return options;
}

inline train::TrainingState fresh(const train::SlimOptions& options) {
  return {models::slim::make_weights(options.base_width, options.seed), {}, 0};
}

inline train::SlimTrainer::Report step(train::SlimTrainer& trainer) {
  trainer.step();
  return trainer.report();
}

}  // namespace takt::test
