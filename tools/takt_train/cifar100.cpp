// CIFAR-100 from its binary records: 3,074 bytes each, two labels and three planes. Batches are gathered by the device.
#include "takt_train/cifar100.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <string>
#include <vector>

#include "slim_resnet/layout.hpp"
#include "support/files.hpp"

namespace takt::train {

using models::slim::kClasses;
using models::slim::kImageChannels;
using models::slim::kImageSide;
using models::slim::kImageValues;

// What the files hold, in the order of the files.
struct Cifar100::Records {
  std::vector<uint8_t> pixels;  // planar
  std::vector<int64_t> labels;
};

namespace {

constexpr int64_t kPlane = kImageSide * kImageSide;
constexpr std::size_t kLabels = 2;  // coarse, then fine; only the fine one is used
constexpr std::size_t kRecord = kLabels + static_cast<std::size_t>(kImageValues);
constexpr int64_t kPadding = 4;

tl::unexpected<InputError> wrong(const std::filesystem::path& file, std::string text) {
  return tl::unexpected(InputError{file.string(), 0, "", std::move(text)});
}

template <class Records>
Parsed<void> append(const std::filesystem::path& folder, std::string_view name, Records& records) {
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
    records.labels.push_back(record[1]);
    records.pixels.insert(records.pixels.end(), record + kLabels, record + kRecord);
  }
  return {};
}

template <class Value>
at::Tensor copied(std::span<const Value> values, at::ScalarType type) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::TensorOptions().dtype(type));
  std::copy(values.begin(), values.end(), static_cast<Value*>(tensor.data_ptr()));
  return tensor;
}

// Pixels [N * 32 * 32, 3] as pictures; the permuted view of HWC is channels-last.
at::Tensor normalised(const at::Tensor& pixels, const at::Tensor& mean, const at::Tensor& deviation) {
  return pixels.to(at::kFloat)
      .div_(255.0)
      .sub_(mean)
      .div_(deviation)
      .view({-1, kImageSide, kImageSide, kImageChannels});
}

}  // namespace

Crop Crop::draw(Random& random) {
  Crop crop;
  crop.down = random.below(2 * kPadding + 1) - kPadding;
  crop.right = random.below(2 * kPadding + 1) - kPadding;
  crop.flip = random.below(2);
  return crop;
}

Cifar100 Cifar100::from(const Records& records) {
  Cifar100 set;
  set.pixels_ = copied<uint8_t>(records.pixels, at::kByte)
                    .view({-1, kImageChannels, kPlane})
                    .permute({0, 2, 1})
                    .contiguous()
                    .view({-1, kImageChannels});
  set.labels_ = copied<int64_t>(records.labels, at::kLong);
  set.line_ = at::arange(kImageSide, at::TensorOptions().dtype(at::kLong));
  set.mean_ = copied<float>(kMean, at::kFloat);
  set.deviation_ = copied<float>(kDeviation, at::kFloat);
  return set;
}

Parsed<Cifar100> Cifar100::read_training(const std::filesystem::path& folder) {
  Records records;
  for (const char* name : {"train-0.bin", "train-1.bin", "train-2.bin", "train-3.bin", "train-4.bin"}) {
    if (auto read = append(folder, name, records); !read) {
      return tl::unexpected(read.error());
    }
  }
  return from(records);
}

Parsed<Cifar100> Cifar100::read_test(const std::filesystem::path& folder) {
  Records records;
  if (auto read = append(folder, "test.bin", records); !read) {
    return tl::unexpected(read.error());
  }
  return from(records);
}

Cifar100 Cifar100::to(at::Device device) const {
  Cifar100 set = *this;
  for (at::Tensor* tensor : {&set.pixels_, &set.labels_, &set.line_, &set.mean_, &set.deviation_}) {
    *tensor = tensor->to(device);
  }
  return set;
}

Cifar100::Batch Cifar100::batch(std::span<const int64_t> indices) const {
  const at::Tensor chosen = copied<int64_t>(indices, at::kLong).to(labels_.device());
  const at::Tensor pixels = pixels_.view({-1, kPlane, kImageChannels}).index_select(0, chosen);
  return {normalised(pixels, mean_, deviation_).permute({0, 3, 1, 2}), labels_.index_select(0, chosen)};
}

Cifar100::Choice Cifar100::choose(std::span<const int64_t> indices, std::span<const Crop> crops) const {
  std::vector<int64_t> rows(indices.begin(), indices.end());
  rows.reserve(4 * indices.size());
  for (const auto member : {&Crop::down, &Crop::right, &Crop::flip}) {
    for (const Crop& crop : crops) {
      rows.push_back(crop.*member);
    }
  }
  return {copied<int64_t>(rows, at::kLong).view({4, -1}).to(labels_.device())};
}

Cifar100::Batch Cifar100::augmented(const Choice& choice) const {
  const at::Tensor index = choice.rows.select(0, 0);
  const auto column = [&](int64_t row) { return choice.rows.select(0, row).unsqueeze(1); };
  const at::Tensor flip = column(3);
  const at::Tensor y = line_.add(column(1));                                                     // [N, 32]
  const at::Tensor x = line_.mul(flip.mul(-2).add(1)).add(flip, kImageSide - 1).add(column(2));  // mirrored if flipped
  const auto inside = [](const at::Tensor& place) { return place.ge(0).logical_and(place.lt(kImageSide)); };
  const at::Tensor place = index.mul(kPlane)
                               .view({-1, 1, 1})
                               .add(y.clamp(0, kImageSide - 1).unsqueeze(2), kImageSide)
                               .add(x.clamp(0, kImageSide - 1).unsqueeze(1));
  const at::Tensor pictures = normalised(pixels_.index_select(0, place.flatten()), mean_, deviation_);
  const at::Tensor seen = inside(y).unsqueeze(2).logical_and(inside(x).unsqueeze(1)).unsqueeze(3);
  return {pictures.mul(seen).permute({0, 3, 1, 2}), labels_.index_select(0, index)};
}

}  // namespace takt::train
