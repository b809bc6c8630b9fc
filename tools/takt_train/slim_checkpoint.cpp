// The checkpoint of a training run: weights, momentum, step, and the recipe that they belong to.
#include "takt_train/slim_checkpoint.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <system_error>
#include <utility>

#include "support/safetensors.hpp"
#include "support/stored_tensor.hpp"

namespace takt::train {
namespace {

using models::Metadata;
using models::SafetensorsFile;
using models::slim::Role;

constexpr std::string_view kFormat = "takt.slim_checkpoint.2";
constexpr std::string_view kMomentum = "momentum.";

// Every number of the recipe by name, so that writing and reading cannot drift apart.
template <class Visit>
void visit_recipe(SlimOptions& options, Visit&& visit) {
  visit("epochs", options.epochs);
  visit("batch", options.batch);
  visit("base_width", options.base_width);
  visit("random_subnets", options.random_subnets);
  visit("held_out", options.held_out);
  visit("learning_rate", options.learning_rate);
  visit("warm_up_epochs", options.warm_up_epochs);
  visit("weight_decay", options.weight_decay);
  visit("seed", options.seed);
}

template <class Number>
std::string print(Number number) {
  std::array<char, 64> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;  // the shortest that reads back
  return {text.data(), end};
}

template <class Number>
bool parse(const Metadata& metadata, std::string_view key, Number& number) {
  const auto entry = metadata.find(key);
  if (entry == metadata.end()) {
    return false;
  }
  const char* end = entry->second.data() + entry->second.size();
  const auto parsed = std::from_chars(entry->second.data(), end, number);
  return parsed.ec == std::errc{} && parsed.ptr == end;
}

Result<void> read_recipe(const Metadata& metadata, SlimOptions& options, int64_t& step) {
  const auto format = metadata.find("format");
  bool good = format != metadata.end() && format->second == kFormat && parse(metadata, "step", step);
  visit_recipe(options, [&](std::string_view key, auto& number) { good = good && parse(metadata, key, number); });
  const auto precision = metadata.find("precision");
  good = good && precision != metadata.end() &&
         std::find(kPrecisions.begin(), kPrecisions.end(), precision->second) != kPrecisions.end();
  if (!good || step < 0 || options.batch < 2 || options.epochs < 1 || options.base_width < 4 ||
      options.base_width > 256 || options.base_width % 4 != 0) {
    return fail(Code::corrupt, "not a checkpoint of this takt-train slim, or its recipe is damaged");
  }
  options.precision = precision->second;
  return {};
}

}  // namespace

std::filesystem::path checkpoint_path(const SlimOptions& options) {
  return options.out / "checkpoint.safetensors";
}

Result<void> write_checkpoint(const SlimOptions& options, const TrainingState& state) {
  auto weights = models::slim::to_device(state.weights, at::kCPU);
  std::vector<at::Tensor> kept;  // StoredTensor only borrows
  std::vector<models::StoredTensor> tensors;
  std::size_t trained = 0;
  models::slim::visit(weights,
                      [&](const std::string& name, at::Tensor& tensor, const std::vector<int64_t>&, Role role) {
                        if (role == Role::statistic) {
                          return;  // estimated when training is over
                        }
                        tensors.push_back(models::borrow(name, tensor));
                        const at::Tensor& momentum = state.momentum[trained++];
                        if (momentum.defined()) {
                          kept.push_back(momentum.to(at::kCPU).contiguous());
                          tensors.push_back(models::borrow(std::string(kMomentum) + name, kept.back()));
                        }
                      });
  Metadata metadata{{"format", std::string(kFormat)}, {"step", print(state.step)}, {"precision", options.precision}};
  SlimOptions copy = options;
  visit_recipe(copy, [&](std::string_view key, auto& number) { metadata.emplace(key, print(number)); });
  return models::write_safetensors(checkpoint_path(options), std::move(tensors), metadata);
}

Result<TrainingState> read_checkpoint(SlimOptions& options) {
  const auto file = SafetensorsFile::read(checkpoint_path(options));
  if (!file) {
    return tl::unexpected(file.error());
  }
  TrainingState state;
  if (auto recipe = read_recipe(file->metadata(), options, state.step); !recipe) {
    return tl::unexpected(recipe.error());
  }
  state.weights = models::slim::make_weights(options.base_width, options.seed);
  bool whole = true;
  models::slim::visit(
      state.weights, [&](const std::string& name, at::Tensor& tensor, const std::vector<int64_t>& shape, Role role) {
        if (role == Role::statistic) {
          return;
        }
        const auto load = [&](const models::StoredTensor* stored) {
          const auto loaded = stored != nullptr && stored->shape == shape ? models::to_tensor(*stored)
                                                                          : fail(Code::corrupt, "misshapen");
          whole = whole && loaded.has_value();
          return loaded.value_or(at::Tensor());
        };
        tensor = load(file->find(name));
        const models::StoredTensor* momentum = file->find(std::string(kMomentum) + name);
        state.momentum.push_back(momentum == nullptr ? at::Tensor() : load(momentum));
      });
  if (!whole) {
    return fail(Code::corrupt, "a tensor of the checkpoint is missing or misshapen");
  }
  return state;
}

}  // namespace takt::train
