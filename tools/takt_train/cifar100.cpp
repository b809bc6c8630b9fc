// CIFAR-100 from its binary records: 3,074 bytes each, two labels and three planes.
#include "takt_train/cifar100.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <string>

#include "slim_resnet/layout.hpp"
#include "support/files.hpp"

namespace takt::train {
namespace {

using models::slim::kClasses;
using models::slim::kImageSide;
using models::slim::kImageValues;

constexpr int64_t kPlane = kImageSide * kImageSide;
constexpr std::size_t kLabels = 2;  // coarse, then fine; only the fine one is used
constexpr std::size_t kRecord = kLabels + static_cast<std::size_t>(kImageValues);
constexpr int64_t kPadding = 4;

tl::unexpected<InputError> wrong(const std::filesystem::path& file, std::string text) {
  return tl::unexpected(InputError{file.string(), 0, "", std::move(text)});
}

Cifar100::Batch empty_batch(std::size_t size) {
  const auto count = static_cast<int64_t>(size);
  const auto options = at::TensorOptions().dtype(at::kFloat).memory_format(at::MemoryFormat::ChannelsLast);
  return {at::empty({count, 3, kImageSide, kImageSide}, options),
          at::empty({count}, at::TensorOptions().dtype(at::kLong))};
}

}  // namespace

Parsed<void> Cifar100::append(const std::filesystem::path& folder, std::string_view name, Cifar100& set) {
  const std::filesystem::path path = folder / name;
  const auto content = models::read_file(path);
  if (!content) {
    if (std::filesystem::exists(path.string() + ".xz")) {
      return wrong(path, "only the compressed file is there: run `xz -dk " + path.string() + ".xz` first");
    }
    return wrong(path, content.error().text);
  }
  if (content->empty() || content->size() % kRecord != 0) {
    return wrong(path, "not a whole number of CIFAR-100 records (3,074 bytes each)");
  }
  for (std::size_t at = 0; at < content->size(); at += kRecord) {
    const auto* record = reinterpret_cast<const uint8_t*>(content->data() + at);
    if (record[1] >= kClasses) {
      return wrong(path, "a fine label is above 99");
    }
    set.labels_.push_back(record[1]);
    set.pixels_.insert(set.pixels_.end(), record + kLabels, record + kRecord);
  }
  return {};
}

Parsed<Cifar100> Cifar100::read_training(const std::filesystem::path& folder) {
  Cifar100 set;
  for (const char* name : {"train-0.bin", "train-1.bin", "train-2.bin", "train-3.bin", "train-4.bin"}) {
    if (auto read = append(folder, name, set); !read) {
      return tl::unexpected(read.error());
    }
  }
  return set;
}

Parsed<Cifar100> Cifar100::read_test(const std::filesystem::path& folder) {
  Cifar100 set;
  if (auto read = append(folder, "test.bin", set); !read) {
    return tl::unexpected(read.error());
  }
  return set;
}

void Cifar100::write(int64_t index, const Crop& crop, float* out) const {
  const uint8_t* picture = pixels_.data() + index * kImageValues;
  for (int64_t y = 0; y < kImageSide; ++y) {
    for (int64_t x = 0; x < kImageSide; ++x) {
      const int64_t from_y = y + crop.down;
      const int64_t from_x = (crop.flip ? kImageSide - 1 - x : x) + crop.right;
      const bool inside = from_y >= 0 && from_y < kImageSide && from_x >= 0 && from_x < kImageSide;
      for (std::size_t c = 0; c < kMean.size(); ++c) {
        const int64_t place = static_cast<int64_t>(c) * kPlane + from_y * kImageSide + from_x;
        *out++ = inside ? (static_cast<float>(picture[place]) / 255.0F - kMean[c]) / kDeviation[c] : 0.0F;
      }
    }
  }
}

Cifar100::Batch Cifar100::batch(std::span<const int64_t> indices) const {
  Batch batch = empty_batch(indices.size());
  auto* pictures = static_cast<float*>(batch.pictures.data_ptr());
  auto* labels = static_cast<int64_t*>(batch.labels.data_ptr());
  for (const int64_t index : indices) {
    write(index, {}, pictures);
    pictures += kImageValues;
    *labels++ = labels_[static_cast<std::size_t>(index)];
  }
  return batch;
}

Cifar100::Batch Cifar100::augmented(std::span<const int64_t> indices, Random& random) const {
  Batch batch = empty_batch(indices.size());
  auto* pictures = static_cast<float*>(batch.pictures.data_ptr());
  auto* labels = static_cast<int64_t*>(batch.labels.data_ptr());
  for (const int64_t index : indices) {
    Crop crop;
    crop.down = random.below(2 * kPadding + 1) - kPadding;
    crop.right = random.below(2 * kPadding + 1) - kPadding;
    crop.flip = random.below(2) == 1;
    write(index, crop, pictures);
    pictures += kImageValues;
    *labels++ = labels_[static_cast<std::size_t>(index)];
  }
  return batch;
}

}  // namespace takt::train
