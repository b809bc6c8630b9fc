// CIFAR-100 from its binary records, whole in the memory of one device, and batches of normalised pictures from it.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "takt/result.hpp"
#include "takt_train/random.hpp"

namespace takt::train {

// The official figures of the training set, for pixels scaled to 0..1; in text they go to model.xml as they are.
inline constexpr std::array<float, 3> kMean{0.50708F, 0.48655F, 0.44092F};
inline constexpr std::array<float, 3> kDeviation{0.26733F, 0.25644F, 0.27615F};
inline constexpr std::string_view kMeanText = "0.50708 0.48655 0.44092";
inline constexpr std::string_view kDeviationText = "0.26733 0.25644 0.27615";

// How a picture is cut out of its border of zeros.
struct Crop {
  int64_t down = 0;
  int64_t right = 0;
  int64_t flip = 0;  // 0 or 1

  // Up to 4 pixels in each direction, flipped or not.
  [[nodiscard]] static Crop draw(Random& random);
};

class Cifar100 {
 public:
  // Reads `train-0.bin` to `train-4.bin`, or `test.bin`, of `folder` into the CPU's memory; blocks.
  [[nodiscard]] static Parsed<Cifar100> read_training(const std::filesystem::path& folder);
  [[nodiscard]] static Parsed<Cifar100> read_test(const std::filesystem::path& folder);

  // The same set on another device, 3 KB a picture; throws c10::Error if the device refuses.
  [[nodiscard]] Cifar100 to(at::Device device) const;

  [[nodiscard]] int64_t size() const { return labels_.size(0); }
  [[nodiscard]] at::Device device() const { return labels_.device(); }

  // On the set's device.
  struct Batch {
    at::Tensor pictures;  // float [N, 3, 32, 32], channels-last
    at::Tensor labels;    // int64 [N]
  };
  // Pictures as they are.
  [[nodiscard]] Batch batch(std::span<const int64_t> indices) const;

  // Which pictures, and how each is cropped, on the set's device: made once, used in slices of a batch each.
  struct Choice {
    at::Tensor rows;  // int64 [4, N]: index, down, right, flip
    [[nodiscard]] Choice part(int64_t begin, int64_t count) const { return {rows.narrow(1, begin, count)}; }
  };
  // `crops` is as long as `indices`.
  [[nodiscard]] Choice choose(std::span<const int64_t> indices, std::span<const Crop> crops) const;
  // Pictures cropped from a border of zeros (of the normalised picture) and flipped. Nothing here waits for the device.
  [[nodiscard]] Batch augmented(const Choice& choice) const;

 private:
  Cifar100() = default;
  struct Records;
  static Cifar100 from(const Records& records);

  at::Tensor pixels_;     // u8 [N * 32 * 32, 3]
  at::Tensor labels_;     // int64 [N]
  at::Tensor line_;       // 0 .. 31, int64
  at::Tensor mean_;       // [3]
  at::Tensor deviation_;  // [3]
};

}  // namespace takt::train
