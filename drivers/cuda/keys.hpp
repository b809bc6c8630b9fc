// Which (variant, batch) pairs become graphs, in what order, and where a lane finds them. No CUDA here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "takt/model.hpp"

namespace takt::cuda {

struct Key {
  std::uint16_t variant = 0;  // position in Model::variants
  std::uint16_t batch = 1;    // 1 .. kMaxBatch
  friend bool operator==(const Key&, const Key&) = default;
};

struct KeyLimits {
  std::size_t graphs = 256;      // on one lane, of one model
  std::uint64_t bytes = 0;       // that graphs may take; 0: not limited here
  std::uint64_t bytes_each = 0;  // what one took on average so far; 0: not known
  std::vector<std::uint16_t> batches = {1, 2, 4, 8, 16};
};

struct KeyPlan {
  std::vector<Key> keys;     // in the order of capture
  std::size_t ready = 0;     // so many of the first: a lane with these is ready
  std::size_t required = 0;  // so many would have been; over `ready`: the limits are too small
  std::size_t left_out = 0;  // that the limits cut off; they run unrecorded

  [[nodiscard]] std::string text() const;  // for the operator
};

// First what makes a lane ready: every preprocessing and all uniform widths at batch 1. Then, as far as the limits go:
// variants of subnets than which no other is both cheaper and as accurate, at batch 1; uniform widths at larger
// batches; the others at larger batches, but pictures only at 1. Whole subnets, the most accurate first. Within each of
// these the largest comes first, so that later captures find room in the pool's blocks. `cost`: by variant, in any
// unit, as from the profile; empty: from the widths.
[[nodiscard]] KeyPlan plan_keys(const Model& model, std::span<const double> cost, const KeyLimits& limits);

// Same width in and out, or a side without width.
[[nodiscard]] bool is_uniform(const Model& model, const Variant& variant) noexcept;

// Positions in Model::subnets that no other beats in both accuracy and cost; the most accurate first.
[[nodiscard]] std::vector<std::size_t> pareto_subnets(const Model& model, std::span<const double> cost);

// Work of each variant by its widths, where nothing was measured: their product, as of a convolution's weights.
[[nodiscard]] std::vector<double> cost_by_width(const Model& model);

// Where a lane keeps a model's graphs: O(1), nothing allocated after the constructor. One thread, the lane's.
class Shelf {
 public:
  static constexpr std::uint32_t kNone = 0xffffffffu;

  Shelf() = default;
  explicit Shelf(std::size_t variants) : entries_(variants * kMaxBatch, kNone) {}

  // False if there is no such key.
  bool put(Key key, std::uint32_t entry) noexcept;
  // kNone: it was not recorded, or there is no such key.
  [[nodiscard]] std::uint32_t find(std::size_t variant, std::size_t batch) const noexcept {
    const std::size_t at = variant * kMaxBatch + batch - 1;
    return batch - 1 < kMaxBatch && at < entries_.size() ? entries_[at] : kNone;
  }
  [[nodiscard]] std::size_t size() const noexcept { return filled_; }

 private:
  std::vector<std::uint32_t> entries_;
  std::size_t filled_ = 0;
};

}  // namespace takt::cuda
