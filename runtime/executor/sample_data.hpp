// Frames and buffers to measure a model with: random content, memory of the same kind as the real pools.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "live/shared_memory.hpp"
#include "takt/model.hpp"
#include "takt/result.hpp"
#include "takt/tensor.hpp"

namespace takt::executor {

// Equal areas in one shared mapping.
class Areas {
 public:
  [[nodiscard]] static Result<Areas> make(std::size_t count, std::uint64_t bytes_each);
  [[nodiscard]] std::span<std::byte> operator[](std::size_t i) const noexcept {
    return memory_.span().subspan(i * stride_, bytes_);
  }
  [[nodiscard]] std::span<const std::byte> whole() const noexcept { return memory_.span(); }

 private:
  live::Mapping memory_;
  std::size_t stride_ = 0, bytes_ = 0;
};

// What describes a whole frame: one descriptor an input; the first is a picture if `form` is given.
[[nodiscard]] std::vector<TensorDesc> frame_descriptors(const Model& model, const Form* form);
[[nodiscard]] std::uint64_t frame_bytes(std::span<const TensorDesc> inputs);

// Fills every input: pictures and bytes uniformly, floating point numbers in [0.5, 1), other integers in 0..99.
void fill_frame(std::span<const TensorDesc> inputs, std::span<std::byte> frame, std::mt19937_64& random);

}  // namespace takt::executor
