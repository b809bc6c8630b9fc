// What part of a segment's time is usually taken: learned from segments that were skipped.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "takt/policy.hpp"

namespace takt {

// By stream and position of the segment. Only prepare() allocates.
class Skips {
 public:
  void prepare(const PolicyLimits& limits) {
    segments_ = limits.segments;
    parts_.assign(limits.streams * segments_, 1.0f);
    any_.assign(limits.streams, 0);
    models_.assign(limits.streams, {});
  }

  // The stream runs that model: what was learned of another one is forgotten.
  void serve(StreamId stream, ModelId model) noexcept {
    if (models_[stream.value] == model) return;
    models_[stream.value] = model;
    any_[stream.value] = 0;
    std::fill_n(&parts_[stream.value * segments_], segments_, 1.0f);
  }
  // Segment k of a job of the stream was reached and ran, or was skipped.
  void reached(StreamId stream, std::size_t k, bool ran) noexcept {
    if (ran && any_[stream.value] == 0) return;
    any_[stream.value] = 1;
    float& part = parts_[stream.value * segments_ + k];
    part += ((ran ? 1.0f : 0.0f) - part) * kWeight;
  }
  // Empty if nothing of the stream was ever skipped.
  [[nodiscard]] std::span<const float> parts(StreamId stream) const noexcept {
    if (any_[stream.value] == 0) return {};
    return {&parts_[stream.value * segments_], segments_};
  }

 private:
  static constexpr float kWeight = 1.0f / 12;

  std::size_t segments_ = 0;
  std::vector<float> parts_;
  std::vector<std::uint8_t> any_;
  std::vector<ModelId> models_;  // by stream
};

}  // namespace takt
