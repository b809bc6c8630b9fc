// What the scheduler and the executors know of a model: inputs, outputs, segments, subnets. Read from models/NAME/model.xml.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "takt/ids.hpp"
#include "takt/tensor.hpp"

namespace takt {

inline constexpr std::size_t kMaxMetrics = 4;
inline constexpr std::size_t kMaxBatch = 16;

// A picture size and format that the preprocessing segment was profiled for; a stream's pictures use the smallest form that
// covers them. `variant` is the preprocessing variant of that form.
struct Form {
  std::string name;
  PictureFormat format = PictureFormat::none;
  std::uint32_t width = 0, height = 0;
  VariantId variant;
};

struct TensorSpec {
  std::string name;
  DType dtype = DType::u8;
  std::vector<std::uint32_t> dims;  // the largest; a result may be smaller. Empty for an input that is given by forms
};

// What preprocessing makes of a picture: resized to width x height, RGB, (pixel / 255 - mean) / deviation, f32 in HWC order.
struct Normalise {
  std::uint32_t width = 0, height = 0;
  std::array<float, 3> mean{}, deviation{};
};

// A number the executor computes from an output, for cascade predicates: softmax_max = largest softmax probability,
// max = largest element.
struct Metric {
  enum class Kind : std::uint8_t { softmax_max, max };
  std::string name;
  std::uint32_t output = 0;
  Kind kind = Kind::softmax_max;
};

// One executable piece: a segment at one (width in, width out). Jobs whose next piece is the same variant may share a batch.
struct Variant {
  std::string name;                      // "stage2 0.5>1", "preprocess nv12-1280x720"
  std::uint16_t segment = 0;             // position in Model::segments
  std::int16_t width_in = -1, width_out = -1;  // positions in the segments' width lists; -1: none
  std::int16_t form = -1;                // position in Model::forms for a preprocessing variant
  std::uint64_t activation_bytes = 0;    // live activation after it, 0 for a last segment
};

struct Segment {
  std::string name;
  std::vector<std::string> widths;  // as written in the file; empty: one variant
  std::uint64_t activation_bytes = 0;
};

struct Subnet {
  std::string name;
  float accuracy = 0;             // top-1 on held-out training images, 0..1
  double worst_energy_nj = 0;     // every segment on its most energy-hungry accelerator; 0: unknown
  std::vector<VariantId> path;    // one variant a segment, without preprocessing
};

struct Model {
  std::string name, version, module, weights, digest, directory;
  std::vector<TensorSpec> inputs, outputs;
  std::vector<Form> forms;  // not empty: segment 0 is preprocessing
  Normalise normalise;
  std::vector<Metric> metrics;
  std::vector<Segment> segments;
  std::vector<Subnet> subnets;
  std::vector<Variant> variants;    // this model's, ids first_variant ...
  VariantId first_variant{0u};

  [[nodiscard]] const Variant& variant(VariantId id) const { return variants[id.value - first_variant.value]; }
  [[nodiscard]] bool has_preprocessing() const noexcept { return !forms.empty(); }
  // Bytes of a result area that holds every output at its largest.
  [[nodiscard]] std::uint64_t result_bytes() const noexcept {
    std::uint64_t bytes = align_result(sizeof(ResultHeader));
    for (const TensorSpec& output : outputs) {
      std::uint64_t n = bytes_of(output.dtype);
      for (const std::uint32_t d : output.dims) n *= d;
      bytes += align_result(n);
    }
    return bytes;
  }
};

}  // namespace takt
