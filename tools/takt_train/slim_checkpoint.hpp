// The checkpoint of a training run: one safetensors file, replaced whole.
#pragma once

#include <filesystem>

#include "takt/result.hpp"
#include "takt_train/slim.hpp"
#include "takt_train/slim_trainer.hpp"

namespace takt::train {

[[nodiscard]] std::filesystem::path checkpoint_path(const SlimOptions& options);

// Blocks until the file is synced and in place.
[[nodiscard]] Result<void> write_checkpoint(const SlimOptions& options, const TrainingState& state);

// The recipe in the checkpoint (epochs, batch, rates, precision, seed) replaces that in `options`: a run resumed under
// another recipe would be neither.
[[nodiscard]] Result<TrainingState> read_checkpoint(SlimOptions& options);

}  // namespace takt::train
