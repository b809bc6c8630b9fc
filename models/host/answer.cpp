// Result areas and metrics.
#include "host/answer.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace takt::models {
namespace {

std::uint64_t output_bytes(const TensorSpec& output) noexcept {
  std::uint64_t bytes = bytes_of(output.dtype);
  for (const std::uint32_t d : output.dims) bytes *= d;
  return bytes;
}

float largest(std::span<const float> values) noexcept {
  float most = -std::numeric_limits<float>::infinity();
  for (const float value : values) {
    if (std::isnan(value)) return value;
    most = std::max(most, value);
  }
  return most;
}

// exp(max) / sum of exp, shifted by the largest value so that nothing overflows.
float softmax_max(std::span<const float> values) noexcept {
  const float most = largest(values);
  float sum = 0;
  for (const float value : values) sum += std::exp(value - most);
  return 1.0F / sum;
}

}  // namespace

std::size_t result_size(const TensorSpec& output) noexcept {
  return align_result(sizeof(ResultHeader)) + output_bytes(output);
}

void write_result(const TensorSpec& output, std::span<const float> values, std::span<std::byte> result) noexcept {
  ResultHeader header;
  header.count = 1;
  TensorDesc& desc = header.tensors[0];
  desc.dtype = output.dtype;
  desc.rank = static_cast<std::uint8_t>(output.dims.size());
  desc.offset = align_result(sizeof(ResultHeader));
  desc.bytes = values.size_bytes();
  std::copy(output.dims.begin(), output.dims.end(), desc.dims.begin());
  std::memcpy(result.data() + desc.offset, values.data(), values.size_bytes());
  std::memcpy(result.data(), &header, sizeof(header));
}

void write_metrics(std::span<const Metric> kinds, std::span<const float> values, std::span<float> metrics) noexcept {
  std::fill(metrics.begin(), metrics.end(), 0.0F);
  for (std::size_t i = 0; i < std::min(kinds.size(), metrics.size()); ++i)
    metrics[i] = kinds[i].kind == Metric::Kind::softmax_max ? softmax_max(values) : largest(values);
}

}  // namespace takt::models
