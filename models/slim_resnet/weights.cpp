// The weights of SlimResNet: names, shapes, initial values, file.
#include "slim_resnet/weights.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <charconv>
#include <cmath>
#include <random>
#include <utility>

#include "support/safetensors.hpp"
#include "support/stored_tensor.hpp"

namespace takt::models::slim {
namespace {

constexpr std::string_view kFormat = "takt.slim_resnet.1";

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

Result<void> fill(Weights& weights, const SafetensorsFile& file) {
  std::size_t used = 0;
  Error error{Code::corrupt, nullptr, 0};
  visit(weights, [&](const std::string& name, at::Tensor& tensor, const std::vector<int64_t>& shape, Role role) {
    const StoredTensor* stored = error.text == nullptr ? file.find(name) : nullptr;
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
  if (error.text == nullptr && used != file.tensors().size()) {
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
  const auto file = SafetensorsFile::read(path);
  if (!file) {
    return tl::unexpected(file.error());
  }
  return parse_weights(*file);
}

Result<Weights> parse_weights(const SafetensorsFile& file) {
  const auto base_width = parse_base_width(file.metadata());
  if (!base_width) {
    return tl::unexpected(base_width.error());
  }
  Weights weights;
  weights.base_width = *base_width;
  const auto calibrated = file.metadata().find("calibrated");
  weights.calibrated = calibrated != file.metadata().end() && calibrated->second == "yes";
  if (auto filled = fill(weights, file); !filled) {
    return tl::unexpected(filled.error());
  }
  return weights;
}

Result<void> write_weights(const std::filesystem::path& path, const Weights& weights) {
  Weights copy = to_device(weights, at::kCPU);
  std::vector<StoredTensor> tensors;
  visit(copy, [&](const std::string& name, at::Tensor& tensor, const std::vector<int64_t>&, Role) {
    tensors.push_back(borrow(name, tensor));
  });
  const Metadata metadata{{"format", std::string(kFormat)},
                          {"base_width", std::to_string(weights.base_width)},
                          {"calibrated", weights.calibrated ? "yes" : "no"}};
  return write_safetensors(path, std::move(tensors), metadata);
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
