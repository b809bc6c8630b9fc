// What a service configuration points at: models, costs, and presets that fit them.
#include <algorithm>
#include <set>

#include "files/model_file.hpp"
#include "files/profile_file.hpp"
#include "files/service_file.hpp"
#include "files/words.hpp"

namespace takt::files {
namespace {

tl::unexpected<InputError> refuse(const ServiceConfig& config, int line, std::string key, std::string text) {
  return tl::unexpected<InputError>(InputError{config.file.string(), line, std::move(key), std::move(text)});
}

// A file that cannot be read at all is a mistake of the line that names it.
tl::unexpected<InputError> refuse_file(const ServiceConfig& config, int line, std::string key,
                                       const InputError& error) {
  if (error.line > 0) return tl::unexpected<InputError>(error);
  return refuse(config, line, std::move(key), error.file + " " + error.text);
}

const Model* find_model(std::span<const Model> models, const std::string& name) {
  const auto found = std::find_if(models.begin(), models.end(), [&](const Model& m) { return m.name == name; });
  return found == models.end() ? nullptr : &*found;
}

// The smallest form that covers the picture; -1 if there is none.
std::int32_t smallest_form(const Model& model, const StreamEntry& stream) {
  std::int32_t best = -1;
  std::uint64_t least = 0;
  for (std::size_t f = 0; f < model.forms.size(); ++f) {
    const Form& form = model.forms[f];
    if (form.format != stream.picture || form.width < stream.width || form.height < stream.height) continue;
    const std::uint64_t pixels = std::uint64_t{form.width} * form.height;
    if (best < 0 || pixels < least) best = static_cast<std::int32_t>(f), least = pixels;
  }
  return best;
}

std::string forms_of(const Model& model) {
  std::string all;
  for (const Form& form : model.forms) {
    if (!all.empty()) all += ", ";
    all +=
        std::string(word_of(form.format)) + " up to " + std::to_string(form.width) + "x" + std::to_string(form.height);
  }
  return all;
}

using Problem = std::optional<std::pair<std::string, std::string>>;  // key and text

Problem set_form(const StreamEntry& stream, const Model& model, StreamSpec& spec) {
  if (stream.picture == PictureFormat::none) {
    if (!model.has_preprocessing()) return {};
    return {{"picture", "is missing: model '" + model.name + "' takes " + forms_of(model)}};
  }
  if (!model.has_preprocessing()) return {{"picture", "is not for model '" + model.name + "', which takes tensors"}};
  spec.form = smallest_form(model, stream);
  if (spec.form >= 0) return {};
  return {{"picture", "has no form of model '" + model.name + "' that covers it; there are " + forms_of(model)}};
}

bool same_inputs(const Model& a, const Model& b) {
  return std::equal(a.inputs.begin(), a.inputs.end(), b.inputs.begin(), b.inputs.end(),
                    [](const TensorSpec& x, const TensorSpec& y) { return x.dtype == y.dtype && x.dims == y.dims; });
}

Problem set_trigger(const StreamEntry& stream, const Model& model, const Model& parent, StreamSpec& spec) {
  if (!same_inputs(model, parent))
    return {{"model", "'" + model.name + "' does not take the inputs of its parent's model '" + parent.name + "'"}};
  if (spec.trigger.op == Trigger::Op::always) return {};
  for (std::size_t m = 0; m < parent.metrics.size(); ++m) {
    if (parent.metrics[m].name != stream.metric) continue;
    spec.trigger.metric = static_cast<std::uint8_t>(m);
    return {};
  }
  return {{"if", "'" + stream.metric + "' is no metric of the parent's model '" + parent.name + "'"}};
}

Problem check_subnets(const Model& model, const StreamSpec& spec) {
  for (const Subnet& subnet : model.subnets)
    if (subnet.accuracy >= spec.accuracy_floor && subnet.accuracy <= spec.accuracy_ceiling) return {};
  return {{"accuracy_floor", "and accuracy_ceiling leave no subnet of model '" + model.name + "'"}};
}

// Hard and firm jobs run on real-time workers only.
Problem check_workers(const ServiceConfig& config, const StreamSpec& spec) {
  if (spec.criticality == Criticality::soft) return {};
  for (const ProfileEntry& profile : config.models[spec.model.value].profiles)
    if (config.accelerator(profile.accelerator).realtime) return {};
  return {{"class", "needs an accelerator with realtime=\"true\" that the model has a profile for"}};
}

Parsed<StreamSpec> resolve(const ServiceConfig& config, std::span<const Model> models, const StreamEntry& stream) {
  StreamSpec spec = stream.spec;
  const auto refused = [&](const Problem& problem) {
    return refuse(config, stream.line, "stream " + problem->first, problem->second);
  };
  const Model* model = find_model(models, stream.model);
  if (model == nullptr) return refuse(config, stream.line, "stream model", "'" + stream.model + "' is no model here");
  spec.model = ModelId{static_cast<std::size_t>(model - models.data())};
  if (const Problem problem = set_form(stream, *model, spec)) return refused(problem);
  if (spec.parent.valid()) {
    const Model* parent = find_model(models, config.streams[spec.parent.value].model);
    TAKT_CHECK(parent != nullptr);  // parents come first and were resolved
    if (const Problem problem = set_trigger(stream, *model, *parent, spec)) return refused(problem);
  }
  if (const Problem problem = check_subnets(*model, spec)) return refused(problem);
  if (const Problem problem = check_workers(config, spec)) return refused(problem);
  return spec;
}

// The null driver pretends the times of any profile; others run what was measured with them.
Parsed<void> apply(const ServiceConfig& config, const ProfileEntry& entry, const Model& model, CostTable& table) {
  const auto profile = read_profile(entry.file);
  if (!profile) return refuse_file(config, entry.line, "profile file", profile.error());
  const std::string& driver = config.device_of(entry.accelerator).driver;
  if (driver != "null" && profile->driver != driver)
    return refuse(config, entry.line, "profile file",
                  entry.file.string() + " was measured with driver '" + profile->driver + "', not '" + driver + "'");
  return apply_profile(*profile, model, entry.accelerator, config.budget_margin, table);
}

// Calls use(accelerator, variant) for every place where a segment can run.
template <class Use>
void each_place(const std::vector<Model>& models, const CostTable& costs, Use use) {
  for (const Model& model : models)
    for (std::size_t v = 0; v < model.variants.size(); ++v)
      for (std::size_t a = 0; a < costs.accelerators(); ++a)
        if (const VariantId id{model.first_variant.value + v}; costs.at(AcceleratorId{a}, id).runnable())
          use(AcceleratorId{a}, id);
}

// Measured energies if all profiles have them; else every segment takes its expected time at kNominalWatts. A subnet
// takes at most that of its hungriest accelerators.
void settle_energy(std::vector<Model>& models, CostTable& costs) {
  bool measured = true;
  each_place(models, costs,
             [&](AcceleratorId a, VariantId v) { measured = measured && costs.effort(a, v).energy_nj > 0; });
  if (!measured)
    each_place(models, costs, [&](AcceleratorId a, VariantId v) {
      const double time_ns = static_cast<double>(to_ns(costs.at(a, v).expected));
      costs.set_effort(a, v, {kNominalWatts * time_ns, costs.effort(a, v).dram_bytes});
    });
  for (Model& model : models)
    for (Subnet& subnet : model.subnets) {
      subnet.worst_energy_nj = 0;
      for (const VariantId v : subnet.path) subnet.worst_energy_nj += costs.worst_energy(v);
    }
}

}  // namespace

Parsed<std::vector<Model>> read_models(const ServiceConfig& config) {
  std::vector<Model> models;
  std::set<std::string> names;
  std::size_t variants = 0;
  for (const ModelEntry& entry : config.models) {
    auto model = read_model(entry.directory, VariantId{variants});
    if (!model) return refuse_file(config, entry.line, "model directory", model.error());
    if (!names.insert(model->name).second)
      return refuse(config, entry.line, "model directory", "holds a second model named '" + model->name + "'");
    variants += model->variants.size();
    models.push_back(std::move(*model));
  }
  return models;
}

Parsed<CostTable> read_costs(const ServiceConfig& config, std::span<const Model> models) {
  TAKT_CHECK(models.size() == config.models.size());
  std::size_t variants = 0;
  for (const Model& model : models) variants += model.variants.size();
  CostTable table(config.accelerators(), variants);
  for (std::size_t m = 0; m < models.size(); ++m)
    for (const ProfileEntry& entry : config.models[m].profiles)
      if (const auto applied = apply(config, entry, models[m], table); !applied)
        return tl::unexpected<InputError>(applied.error());
  return table;
}

Parsed<std::vector<StreamSpec>> resolve_streams(const ServiceConfig& config, std::span<const Model> models) {
  std::vector<StreamSpec> specs;
  for (const StreamEntry& stream : config.streams) {
    auto spec = resolve(config, models, stream);
    if (!spec) return tl::unexpected<InputError>(spec.error());
    specs.push_back(*spec);
  }
  return specs;
}

Parsed<Service> load_service(const std::filesystem::path& path) {
  auto config = read_service(path);
  if (!config) return tl::unexpected<InputError>(config.error());
  auto models = read_models(*config);
  if (!models) return tl::unexpected<InputError>(models.error());
  auto presets = resolve_streams(*config, *models);
  if (!presets) return tl::unexpected<InputError>(presets.error());
  auto costs = read_costs(*config, *models);
  if (!costs) return tl::unexpected<InputError>(costs.error());
  settle_energy(*models, *costs);
  return Service{std::move(*config), std::move(*models), std::move(*costs), std::move(*presets)};
}

}  // namespace takt::files
