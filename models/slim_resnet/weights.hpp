// The weights of SlimResNet as trained: convolutions at full width, batch norm apart from them.
//
// Batch norm of a slimmable network cannot be shared between widths. Ours is a reconstruction with two choices of our
// own:
// - scale and shift are trained per (segment, width out), as in switchable batch norm (arXiv 1812.08928);
// - mean and variance are estimated after training per (segment, width in, width out), over random widths further up.
// One set of statistics per prefix (340) would fit each subnet a little closer, but two jobs could then share a batch
// only if their whole histories were equal; with ours it is enough that the next segment and its two widths are.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "slim_resnet/layout.hpp"
#include "support/safetensors.hpp"
#include "takt/result.hpp"

namespace takt::models::slim {

// All float, contiguous, at full width: slices are prefixes.
struct Convolution {
  at::Tensor weight;                                          // [out, in, k, k]
  std::array<at::Tensor, kWidths> scale, shift;               // [width out] -> [channels]
  std::array<std::array<at::Tensor, kWidths>, kWidths> mean,  // [width in][width out] -> [channels]
      variance;                                               // segment 1 only uses width in 0
};

struct Weights {
  int64_t base_width = 0;
  // Set once the statistics were estimated; before that they are 0 and 1.
  bool calibrated = false;
  std::array<std::array<Convolution, kConvolutions>, kSegments> convolutions;
  at::Tensor classifier_weight;  // [100, channels]
  at::Tensor classifier_bias;    // [100]

  [[nodiscard]] Convolution& at(int segment, int index) {
    return convolutions[static_cast<std::size_t>(segment - 1)][static_cast<std::size_t>(index)];
  }
  [[nodiscard]] const Convolution& at(int segment, int index) const {
    return convolutions[static_cast<std::size_t>(segment - 1)][static_cast<std::size_t>(index)];
  }
};

// What a tensor is for: matrices decay in training, vectors do not, statistics are not trained at all.
enum class Role { matrix, vector, statistic };

// Calls `visitor` for every tensor that a network of weights.base_width has, in one fixed order; the tensor may be
// undefined yet. `shape` is what it must be.
using Visitor =
    std::function<void(const std::string& name, at::Tensor& tensor, const std::vector<int64_t>& shape, Role role)>;
void visit(Weights& weights, const Visitor& visitor);

// Fresh weights (He initialisation), the same for the same seed. `base_width` is a multiple of 4 from 4 to 256.
[[nodiscard]] Weights make_weights(int64_t base_width, uint64_t seed);

// One file, or all parts where `path` names the first (support/files.hpp). Tensors stored in half precision become
// float. Code::corrupt for tensors that are missing, too many, misshapen or not finite, and for parts that do not
// belong together.
[[nodiscard]] Result<Weights> read_weights(const std::filesystem::path& path);
// The same from files in memory.
[[nodiscard]] Result<Weights> parse_weights(std::vector<std::vector<std::byte>> parts);

// What one file may hold at most; repositories and their tools get slow above.
inline constexpr std::size_t kMostFileBytes = 16'000'000;

// How weights lie in their file. Scales, shifts and statistics are few and of any magnitude: always single precision.
struct StoredAs {
  Dtype matrices = Dtype::f32;              // or f16
  std::size_t most_bytes = kMostFileBytes;  // of one file
};
// Writes `path`, or NAME-1-of-N and so on beside it where that would be larger than allowed; gives the first file.
// Code::invalid_argument if a weight is too large for half precision, or one tensor too large for a file.
[[nodiscard]] Result<std::filesystem::path> write_weights(const std::filesystem::path& path, const Weights& weights,
                                                          StoredAs stored_as = {});
// The weights as a file in half precision will give them back, on the device they are on.
[[nodiscard]] Weights rounded_to_half(const Weights& weights);

// The convolution's slice for these widths; shares memory with the full one.
[[nodiscard]] at::Tensor slice(const Weights& weights, int segment, int index, int width_in, int width_out);

// Own copies on another device (trained tensors lose their gradients).
[[nodiscard]] Weights to_device(const Weights& weights, at::Device device);

}  // namespace takt::models::slim
