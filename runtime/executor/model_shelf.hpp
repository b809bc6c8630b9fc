// The models that the driver holds loaded. They outlive sessions: a broker that comes back pays nothing for them.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "takt/driver.hpp"
#include "takt/model.hpp"
#include "takt/result.hpp"

namespace takt::executor {

// Main thread. Models keep their address until the process ends; drivers and workers hold pointers.
class ModelShelf {
 public:
  explicit ModelShelf(Driver& driver) : driver_(&driver) {}

  struct Loaded {
    const Model* model = nullptr;
    bool reused = false;
  };
  // The model in `directory` with its variants numbered from `first_variant`. What is held and unchanged (directory,
  // digest, files) is only renumbered, for which no worker may be running; else the driver loads it, which may take
  // long. The error says why it cannot be had, in words for the operator; the shelf is then as before.
  [[nodiscard]] Parsed<Loaded> get(const std::filesystem::path& directory, VariantId first_variant);

  [[nodiscard]] std::vector<std::string> names() const;

 private:
  // What tells that a file is the one that was read.
  struct Stamp {
    std::filesystem::file_time_type written{};
    std::uintmax_t bytes = 0;
    bool operator==(const Stamp&) const = default;
  };
  using Stamps = std::array<Stamp, 2>;  // model.xml, weights
  struct Held {
    std::unique_ptr<Model> model;
    Stamps stamps;
  };
  static Stamp stamp_of(const std::filesystem::path& file);
  static Stamps stamps_of(const Model& model);

  Driver* driver_;
  std::vector<Held> held_;
  std::vector<std::unique_ptr<Model>> replaced_;  // older versions: the driver may still look at them
};

}  // namespace takt::executor
