// A model's description tied to its network: what every variant needs, worked out once.
#pragma once

#include <cstddef>
#include <vector>

#include "module.hpp"
#include "takt/model.hpp"
#include "takt/result.hpp"

namespace takt::models {

// One variant, ready to run.
struct Step {
  const Variant* variant = nullptr;
  bool preprocess = false;  // then `piece` says nothing
  bool first = false;       // takes the job's inputs instead of a slot
  bool last = false;        // writes the result instead of a slot
  Piece piece;
  FrameShape in, out;  // a picture has no shape: `in` is empty for preprocessing
};

// Borrows both for its life.
class BoundModel {
 public:
  // Code::invalid_argument, saying what, if description and network do not fit each other: afterwards a slot of
  // Variant::activation_bytes has room for every activation, and the output is the one that the description promises.
  [[nodiscard]] static Result<BoundModel> bind(const Model& model, const NativeModule& module);

  [[nodiscard]] const Model& model() const noexcept { return *model_; }
  [[nodiscard]] const NativeModule& module() const noexcept { return *module_; }
  // In the order of Model::variants.
  [[nodiscard]] const std::vector<Step>& steps() const noexcept { return steps_; }
  // Null if `variant` is not an element of Model::variants.
  [[nodiscard]] const Step* step(const Variant* variant) const noexcept;
  // Values of the largest activation that any network segment takes.
  [[nodiscard]] std::size_t largest_input() const noexcept;

 private:
  BoundModel(const Model& model, const NativeModule& module) : model_(&model), module_(&module) {}
  [[nodiscard]] Result<Step> make_step(const Variant& variant) const;
  [[nodiscard]] Result<void> check_input(const FrameShape& shape) const;
  [[nodiscard]] Result<void> check_output(const FrameShape& shape) const;

  const Model* model_;
  const NativeModule* module_;
  std::vector<Step> steps_;
};

}  // namespace takt::models
