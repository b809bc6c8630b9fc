// What a job's last segment leaves behind: the result area and the metrics. No tensor library here.
#pragma once

#include <cstddef>
#include <span>

#include "takt/model.hpp"

namespace takt::models {

// Bytes that write_result() needs.
[[nodiscard]] std::size_t result_size(const TensorSpec& output) noexcept;

// ResultHeader, then the one output. `result` is shared with the client: it is written, never read. It has
// result_size() bytes or more; `values` are as many as `output` has.
void write_result(const TensorSpec& output, std::span<const float> values, std::span<std::byte> result) noexcept;

// One number for each of the model's metrics, the rest 0: `metrics` has kMaxMetrics elements. A NaN among the values
// gives NaN, which fires no trigger.
void write_metrics(std::span<const Metric> kinds, std::span<const float> values, std::span<float> metrics) noexcept;

}  // namespace takt::models
