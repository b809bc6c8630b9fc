// CIFAR-100 from its binary records, and batches of normalised pictures from it.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "takt/result.hpp"
#include "takt_train/random.hpp"

namespace takt::train {

// The official figures of the training set, for pixels scaled to 0..1; in text they go to model.xml as they are.
inline constexpr std::array<float, 3> kMean{0.50708F, 0.48655F, 0.44092F};
inline constexpr std::array<float, 3> kDeviation{0.26733F, 0.25644F, 0.27615F};
inline constexpr std::string_view kMeanText = "0.50708 0.48655 0.44092";
inline constexpr std::string_view kDeviationText = "0.26733 0.25644 0.27615";

class Cifar100 {
 public:
  // Reads `train-0.bin` to `train-4.bin`, or `test.bin`, of `folder`; blocks.
  [[nodiscard]] static Parsed<Cifar100> read_training(const std::filesystem::path& folder);
  [[nodiscard]] static Parsed<Cifar100> read_test(const std::filesystem::path& folder);

  [[nodiscard]] int64_t size() const { return static_cast<int64_t>(labels_.size()); }

  struct Batch {
    at::Tensor pictures;  // float [N, 3, 32, 32], channels-last
    at::Tensor labels;    // int64 [N]
  };
  // Pictures as they are.
  [[nodiscard]] Batch batch(std::span<const int64_t> indices) const;
  // Pictures cropped at random from a border of 4 zero pixels (of the normalised picture) and flipped at random.
  [[nodiscard]] Batch augmented(std::span<const int64_t> indices, Random& random) const;

 private:
  struct Crop {
    int64_t down = 0;
    int64_t right = 0;
    bool flip = false;
  };
  static Parsed<void> append(const std::filesystem::path& folder, std::string_view name, Cifar100& set);
  void write(int64_t index, const Crop& crop, float* out) const;

  std::vector<uint8_t> pixels_;  // planar, as in the file
  std::vector<uint8_t> labels_;
};

}  // namespace takt::train
