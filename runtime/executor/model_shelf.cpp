// Loading models once.
#include "executor/model_shelf.hpp"

#include <algorithm>

#include "files/model_file.hpp"

namespace takt::executor {
namespace {

// Ids are positions in the broker's tables, which another broker may have in another order.
void renumber(Model& model, VariantId first) {
  const auto moved = [&](VariantId id) { return VariantId{id.value - model.first_variant.value + first.value}; };
  for (Form& form : model.forms) form.variant = moved(form.variant);
  for (Subnet& subnet : model.subnets)
    for (VariantId& id : subnet.path) id = moved(id);
  model.first_variant = first;
}

}  // namespace

ModelShelf::Stamp ModelShelf::stamp_of(const std::filesystem::path& file) {
  std::error_code missing;
  Stamp stamp;
  stamp.written = std::filesystem::last_write_time(file, missing);
  stamp.bytes = std::filesystem::file_size(file, missing);
  return stamp;
}

ModelShelf::Stamps ModelShelf::stamps_of(const Model& model) {
  const std::filesystem::path directory(model.directory);
  return {stamp_of(directory / "model.xml"), model.weights.empty() ? Stamp{} : stamp_of(directory / model.weights)};
}

Parsed<ModelShelf::Loaded> ModelShelf::get(const std::filesystem::path& directory, VariantId first_variant) {
  Parsed<Model> read = files::read_model(directory, first_variant);
  if (!read) return tl::unexpected<InputError>(read.error());
  const Stamps stamps = stamps_of(*read);
  const auto same_name = [&](const Held& held) { return held.model->name == read->name; };
  const auto found = std::find_if(held_.begin(), held_.end(), same_name);
  if (found != held_.end() && found->model->directory == read->directory && found->model->digest == read->digest &&
      found->stamps == stamps) {
    renumber(*found->model, first_variant);
    return Loaded{found->model.get(), true};
  }
  auto model = std::make_unique<Model>(std::move(*read));
  if (const Result<void> loaded = driver_->load(*model); !loaded)
    return tl::unexpected<InputError>(InputError{directory.string(), 0, model->name,
                                                 std::string(loaded.error().text) + " (" +
                                                     to_string(loaded.error().code) + ", " +
                                                     std::to_string(loaded.error().vendor) + ")"});
  if (found != held_.end()) {
    replaced_.push_back(std::move(found->model));
    held_.erase(found);
  }
  held_.push_back({std::move(model), stamps});
  return Loaded{held_.back().model.get(), false};
}

std::vector<std::string> ModelShelf::names() const {
  std::vector<std::string> out;
  for (const Held& held : held_) out.push_back(held.model->name);
  return out;
}

}  // namespace takt::executor
