// The finished model on disk: weights in half precision, in files of at most 16 MB, model.xml, accuracy.txt.
#pragma once

#include <cstdint>
#include <string>

#include "slim_resnet/weights.hpp"
#include "takt/result.hpp"
#include "takt_train/slim.hpp"
#include "takt_train/slim_calibrate.hpp"

namespace takt::train {

struct Measured {
  SubnetAccuracy held_out{};
  UniformAccuracy test{};
  int64_t steps = 0;  // trained so far
};

// Writes the files to options.write_model, each whole or not at all, weights first; blocks. Weights of an older model
// there go when the new ones are in place.
[[nodiscard]] Result<void> write_model(const SlimOptions& options, const models::slim::Weights& weights,
                                       const Measured& measured);

// What accuracy.txt says.
[[nodiscard]] std::string describe(const SlimOptions& options, const Measured& measured);

}  // namespace takt::train
