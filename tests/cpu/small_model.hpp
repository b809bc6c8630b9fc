// A little SlimResNet in a folder of its own: random weights of base width 8, and the description that fits them.
#pragma once

#include <filesystem>
#include <string>

#include "takt/model.hpp"

namespace takt::test {

// The folder is deleted with the object.
class SmallModel {
 public:
  // Four widths a segment, forms rgb-32x32 and nv12-64x48, subnets "0.25" .. "1" (uniform) and "mixed".
  explicit SmallModel(std::uint64_t seed = 1);
  ~SmallModel();
  SmallModel(const SmallModel&) = delete;
  SmallModel& operator=(const SmallModel&) = delete;

  [[nodiscard]] const Model& model() const noexcept { return model_; }
  [[nodiscard]] Model& model() noexcept { return model_; }
  [[nodiscard]] std::filesystem::path weights() const { return folder_ / "weights.safetensors"; }
  // Makes the digest right again after a test changed the file.
  void sign();

 private:
  std::filesystem::path folder_;
  Model model_;
};

// Position of the subnet with this name.
[[nodiscard]] std::uint32_t subnet(const Model& model, const std::string& name);

}  // namespace takt::test
