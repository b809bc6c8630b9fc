// The weights of SlimResNet: names, shapes, initial values, file.
#include "slim_resnet/weights.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <charconv>
#include <cmath>
#include <random>
#include <span>
#include <utility>

#include "support/files.hpp"
#include "support/safetensors.hpp"
#include "support/stored_tensor.hpp"

namespace takt::models::slim {
namespace {

constexpr std::string_view kFormat = "takt.slim_resnet.1";
// More than a tensor's entry in the header takes, and more than the rest of the header.
constexpr std::size_t kEntryBytes = 256;
constexpr std::size_t kHeaderBytes = 4096;

std::size_t index_of(int value) {
  return static_cast<std::size_t>(value);
}

void visit_norm(Convolution& convolution, int64_t base_width, int segment, const std::string& name,
                const Visitor& visitor) {
  for (int out = 0; out < kWidths; ++out) {
    const std::vector<int64_t> shape{channels(base_width, segment, out)};
    const std::string width = "." + std::to_string(out);
    visitor(name + ".scale" + width, convolution.scale[index_of(out)], shape, Role::vector);
    visitor(name + ".shift" + width, convolution.shift[index_of(out)], shape, Role::vector);
    for (int in = 0; in < widths_in(segment); ++in) {
      const std::string widths = "." + std::to_string(in) + width;
      visitor(name + ".mean" + widths, convolution.mean[index_of(in)][index_of(out)], shape, Role::statistic);
      visitor(name + ".variance" + widths, convolution.variance[index_of(in)][index_of(out)], shape, Role::statistic);
    }
  }
}

at::Tensor random_normal(const std::vector<int64_t>& shape, double deviation, std::mt19937_64& random) {
  at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(at::kFloat));
  std::normal_distribution<double> normal(0.0, deviation);
  auto* values = static_cast<float*>(tensor.data_ptr());
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    values[i] = static_cast<float>(normal(random));
  }
  return tensor;
}

bool valid_base_width(int64_t base_width) {
  return base_width >= 4 && base_width <= 256 && base_width % 4 == 0;
}

Result<int64_t> parse_base_width(const Metadata& metadata) {
  const auto format = metadata.find("format");
  if (format == metadata.end() || format->second != kFormat) {
    return fail(Code::corrupt, "weights: not a takt.slim_resnet.1 file");
  }
  const auto text = metadata.find("base_width");
  int64_t base_width = 0;
  if (text != metadata.end()) {
    const char* end = text->second.data() + text->second.size();
    if (std::from_chars(text->second.data(), end, base_width).ptr != end) {
      base_width = 0;  // text behind the number
    }
  }
  if (!valid_base_width(base_width)) {
    return fail(Code::corrupt, "weights: base_width is not a multiple of 4 from 4 to 256");
  }
  return base_width;
}

// A NaN would run through every picture, and a negative variance would become one.
bool usable(const at::Tensor& tensor, bool variance) {
  const auto* values = static_cast<const float*>(tensor.data_ptr());
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    if (!std::isfinite(values[i]) || (variance && values[i] < 0)) {
      return false;
    }
  }
  return true;
}

// "2 of 3"; nothing for weights in one file.
std::string part_text(std::size_t part, std::size_t parts) {
  return parts == 1 ? "" : std::to_string(part) + " of " + std::to_string(parts);
}

// Files of one training run say the same but for their place.
Result<void> check_parts(std::span<const SafetensorsFile> files) {
  for (std::size_t i = 0; i < files.size(); ++i) {
    Metadata metadata = files[i].metadata();
    const std::string place = metadata["part"];
    Metadata first = files.front().metadata();
    first["part"] = place;
    if (metadata != first || place != part_text(i + 1, files.size())) {
      return fail(Code::corrupt, "weights: the parts do not belong together, or one is in another's place");
    }
  }
  return {};
}

const StoredTensor* find(std::span<const SafetensorsFile> files, std::string_view name) {
  for (const SafetensorsFile& file : files) {
    if (const StoredTensor* stored = file.find(name); stored != nullptr) {
      return stored;
    }
  }
  return nullptr;
}

Result<void> fill(Weights& weights, std::span<const SafetensorsFile> files) {
  std::size_t used = 0;
  std::size_t there = 0;
  for (const SafetensorsFile& file : files) {
    there += file.tensors().size();
  }
  Error error{Code::corrupt, nullptr, 0};
  visit(weights, [&](const std::string& name, at::Tensor& tensor, const std::vector<int64_t>& shape, Role role) {
    const StoredTensor* stored = error.text == nullptr ? find(files, name) : nullptr;
    if (stored == nullptr) {
      error.text = error.text != nullptr ? error.text : "weights: a tensor is missing";
      return;
    }
    if (stored->shape != shape) {
      error.text = "weights: a tensor has the wrong shape";
      return;
    }
    auto loaded = to_tensor(*stored);
    if (!loaded) {
      error = loaded.error();
      return;
    }
    tensor = std::move(*loaded);
    if (!usable(tensor, role == Role::statistic && name.find(".variance.") != std::string::npos)) {
      error.text = "weights: a value is not finite, or a variance negative";
    }
    ++used;
  });
  if (error.text == nullptr && used != there) {
    error.text = "weights: the file holds tensors that the network does not know";
  }
  return error.text == nullptr ? Result<void>{} : tl::unexpected(error);
}

}  // namespace

void visit(Weights& weights, const Visitor& visitor) {
  for (int segment = 1; segment <= kSegments; ++segment) {
    for (int index = 0; index < kConvolutions; ++index) {
      const std::string name =
          "stage" + std::to_string(segment) + "." + std::string(kConvolutionNames[index_of(index)]);
      const auto full = convolution_shape(weights.base_width, segment, index, kFullWidth, kFullWidth);
      Convolution& convolution = weights.at(segment, index);
      visitor(name + ".weight", convolution.weight, {full.out, full.in, full.kernel, full.kernel}, Role::matrix);
      visit_norm(convolution, weights.base_width, segment, name, visitor);
    }
  }
  const int64_t last = channels(weights.base_width, kSegments, kFullWidth);
  visitor("classifier.weight", weights.classifier_weight, {kClasses, last}, Role::matrix);
  visitor("classifier.bias", weights.classifier_bias, {kClasses}, Role::vector);
}

Weights make_weights(int64_t base_width, uint64_t seed) {
  TAKT_CHECK(valid_base_width(base_width));
  Weights weights;
  weights.base_width = base_width;
  std::mt19937_64 random(seed);
  visit(weights, [&](const std::string& name, at::Tensor& tensor, const std::vector<int64_t>& shape, Role role) {
    if (role == Role::matrix) {
      // He et al. 2015, by fan-out for convolutions as torchvision does it; by fan-in for the classifier.
      const bool convolution = shape.size() == 4;
      const auto fan = static_cast<double>(convolution ? shape[0] * shape[2] * shape[3] : shape[1]);
      tensor = random_normal(shape, std::sqrt((convolution ? 2.0 : 1.0 / 3.0) / fan), random);
      return;
    }
    const bool one = name.find(".scale.") != std::string::npos || name.find(".variance.") != std::string::npos;
    tensor = one ? at::ones(shape) : at::zeros(shape);
  });
  return weights;
}

Result<Weights> read_weights(const std::filesystem::path& path) {
  auto parts = read_parts(path);
  if (!parts) {
    return tl::unexpected(parts.error());
  }
  return parse_weights(std::move(*parts));
}

Result<Weights> parse_weights(std::vector<std::vector<std::byte>> parts) {
  std::vector<SafetensorsFile> files;
  for (auto& part : parts) {
    auto file = SafetensorsFile::parse(std::move(part));
    if (!file) {
      return tl::unexpected(file.error());
    }
    files.push_back(std::move(*file));
  }
  if (files.empty()) {
    return fail(Code::invalid_argument, "weights: no file");
  }
  const Metadata& metadata = files.front().metadata();
  const auto base_width = parse_base_width(metadata);
  if (!base_width) {
    return tl::unexpected(base_width.error());
  }
  Weights weights;
  weights.base_width = *base_width;
  const auto calibrated = metadata.find("calibrated");
  weights.calibrated = calibrated != metadata.end() && calibrated->second == "yes";
  if (auto together = check_parts(files); !together) {
    return tl::unexpected(together.error());
  }
  if (auto filled = fill(weights, files); !filled) {
    return tl::unexpected(filled.error());
  }
  return weights;
}

namespace {

// The tensors in the order of visit(), as many a file as fit.
Result<std::vector<std::vector<StoredTensor>>> split(std::vector<StoredTensor> tensors, std::size_t most_bytes) {
  std::vector<std::vector<StoredTensor>> parts(1);
  std::size_t filled = kHeaderBytes;
  for (StoredTensor& tensor : tensors) {
    const std::size_t bytes = tensor.bytes.size() + kEntryBytes;
    if (bytes + kHeaderBytes > most_bytes) {
      return fail(Code::invalid_argument, "weights: one tensor alone is larger than a file may be");
    }
    if (filled + bytes > most_bytes) {
      parts.emplace_back();
      filled = kHeaderBytes;
    }
    filled += bytes;
    parts.back().push_back(std::move(tensor));
  }
  return parts;
}

}  // namespace

Result<std::filesystem::path> write_weights(const std::filesystem::path& path, const Weights& weights,
                                            StoredAs stored_as) {
  TAKT_CHECK(stored_as.matrices == Dtype::f32 || stored_as.matrices == Dtype::f16);
  Weights copy = to_device(weights, at::kCPU);
  std::vector<StoredTensor> tensors;
  bool finite = true;
  visit(copy, [&](const std::string& name, at::Tensor& tensor, const std::vector<int64_t>&, Role role) {
    if (role == Role::matrix && stored_as.matrices == Dtype::f16) {
      tensor = tensor.to(at::kHalf);
      finite = finite && usable(tensor.to(at::kFloat), false);
    }
    tensors.push_back(borrow(name, tensor));
  });
  if (!finite) {
    return fail(Code::invalid_argument, "weights: a value is too large for half precision");
  }
  auto parts = split(std::move(tensors), stored_as.most_bytes);
  if (!parts) {
    return tl::unexpected(parts.error());
  }
  Metadata metadata{{"format", std::string(kFormat)},
                    {"base_width", std::to_string(weights.base_width)},
                    {"calibrated", weights.calibrated ? "yes" : "no"}};
  for (std::size_t i = 0; i < parts->size(); ++i) {
    if (parts->size() > 1) {
      metadata["part"] = part_text(i + 1, parts->size());
    }
    const auto file = part_name(path, i + 1, parts->size());
    if (auto written = write_safetensors(file, std::move((*parts)[i]), metadata); !written) {
      return tl::unexpected(written.error());
    }
  }
  return part_name(path, 1, parts->size());
}

Weights rounded_to_half(const Weights& weights) {
  Weights copy = weights;
  visit(copy, [&](const std::string&, at::Tensor& tensor, const std::vector<int64_t>&, Role role) {
    if (role == Role::matrix) {
      tensor = tensor.detach().to(at::kHalf).to(at::kFloat);
    }
  });
  return copy;
}

at::Tensor slice(const Weights& weights, int segment, int index, int width_in, int width_out) {
  const auto shape = convolution_shape(weights.base_width, segment, index, width_in, width_out);
  return weights.at(segment, index).weight.narrow(0, 0, shape.out).narrow(1, 0, shape.in);
}

Weights to_device(const Weights& weights, at::Device device) {
  Weights copy = weights;
  visit(copy, [&](const std::string&, at::Tensor& tensor, const std::vector<int64_t>&, Role) {
    tensor = tensor.detach().to(device, at::kFloat, false, true).contiguous();
  });
  return copy;
}

}  // namespace takt::models::slim
