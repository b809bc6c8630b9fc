// model.xml into takt::Model: what the file says, then the variants and subnets that follow from it.
#include "files/model_file.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "files/words.hpp"
#include "files/xml.hpp"
#include "wire/protocol.hpp"

namespace takt::files {
namespace {

constexpr std::array<std::pair<std::string_view, DType>, 9> kDTypes{{{"u8", DType::u8},
                                                                     {"i8", DType::i8},
                                                                     {"i16", DType::i16},
                                                                     {"i32", DType::i32},
                                                                     {"i64", DType::i64},
                                                                     {"f16", DType::f16},
                                                                     {"bf16", DType::bf16},
                                                                     {"f32", DType::f32},
                                                                     {"f64", DType::f64}}};
constexpr std::array<std::pair<std::string_view, Metric::Kind>, 2> kMetricKinds{
    {{"softmax_max", Metric::Kind::softmax_max}, {"max", Metric::Kind::max}}};

constexpr std::size_t kMaxSubnetName = sizeof(wire::VerdictMessage::subnet_name) - 1;

// Names that must differ within a model.
struct Names {
  std::set<std::string> inputs, outputs, forms, metrics, segments, subnets;
};

// A path that stays in the model's folder.
std::string inner_path(Element& e, const char* key) {
  std::string text = e.text(key, "");
  const std::filesystem::path path(text);
  if (path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end())
    e.refuse(key, "must be a path inside the model's folder: not absolute and without '..'");
  return text;
}

std::string digest(Element& e) {
  constexpr std::string_view kPrefix = "sha256:";
  constexpr std::size_t kHexDigits = 64;
  std::string text = e.text("digest", "");
  if (text.empty()) return text;
  const std::string_view hex = std::string_view(text).substr(std::min(text.size(), kPrefix.size()));
  if (!text.starts_with(kPrefix) || hex.size() != kHexDigits ||
      hex.find_first_not_of("0123456789abcdef") != std::string_view::npos)
    e.refuse("digest", "must be 'sha256:' and 64 lower-case hexadecimal digits");
  return text;
}

std::vector<std::uint32_t> dims(Element& e, DType dtype, std::uint64_t most) {
  std::vector<std::uint32_t> list;
  std::uint64_t bytes = bytes_of(dtype);
  for (const std::int64_t d : e.integers("dims", kMaxRank, 1, 1 << 30)) {
    list.push_back(static_cast<std::uint32_t>(d));
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(d), &bytes) || bytes > most) {
      e.refuse("dims", "describes more than " + std::to_string(most >> 20) + " MiB");
      break;
    }
  }
  return list;
}

void read_form(Element& e, Model& model, Names& names) {
  Form form;
  form.name = e.name("name");
  e.unique(names.forms, "name", form.name);
  form.format = e.choice<PictureFormat>("format", kPictureWords);
  form.width = static_cast<std::uint32_t>(e.integer("width", 1, kMaxPictureWidth));
  form.height = static_cast<std::uint32_t>(e.integer("height", 1, kMaxPictureHeight));
  if (picture_bytes(form.format, form.width, form.height) == 0)
    e.refuse("format", "needs an even width, nv12 an even height too");
  for (const Form& other : model.forms)
    if (other.format == form.format && other.width == form.width && other.height == form.height)
      e.refuse("name", "is the same format and size as '" + other.name + "'");
  model.forms.push_back(std::move(form));
}

void read_normalise(Element& e, Normalise& normalise) {
  normalise.width = static_cast<std::uint32_t>(e.integer("width", 1, kMaxPictureWidth));
  normalise.height = static_cast<std::uint32_t>(e.integer("height", 1, kMaxPictureHeight));
  const std::vector<double> mean = e.reals("mean", 3, -1000, 1000);
  const std::vector<double> deviation = e.reals("deviation", 3, 1e-6, 1000);
  for (std::size_t c = 0; c < 3; ++c) {
    normalise.mean[c] = static_cast<float>(mean[c]);
    normalise.deviation[c] = static_cast<float>(deviation[c]);
  }
}

void read_input(Element& e, Model& model, Names& names) {
  TensorSpec input;
  input.name = e.name("name");
  e.unique(names.inputs, "name", input.name);
  input.dtype = e.choice<DType>("dtype", kDTypes);
  if (e.each("form", 0, wire::kMaxForms, [&](Element& form) { read_form(form, model, names); }) == 0) {
    input.dims = dims(e, input.dtype, kMaxInputBytes);
  } else {
    e.one("normalise", [&](Element& n) { read_normalise(n, model.normalise); });
    if (!model.inputs.empty()) e.refuse("name", "has forms: only the first input may be a picture");
    if (input.dtype != DType::u8) e.refuse("dtype", "must be u8 for an input with forms");
  }
  model.inputs.push_back(std::move(input));
}

void read_output(Element& e, Model& model, Names& names) {
  TensorSpec output;
  output.name = e.name("name");
  e.unique(names.outputs, "name", output.name);
  output.dtype = e.choice<DType>("dtype", kDTypes);
  output.dims = dims(e, output.dtype, kMaxResultBytes);
  model.outputs.push_back(std::move(output));
  if (e.ok() && model.result_bytes() > kMaxResultBytes) e.refuse("dims", "brings the outputs together over 64 MiB");
}

void read_metric(Element& e, Model& model, Names& names) {
  Metric metric;
  metric.name = e.name("name");
  e.unique(names.metrics, "name", metric.name);
  metric.kind = e.choice<Metric::Kind>("kind", kMetricKinds);
  const std::string output = e.name("output");
  const auto found = std::find_if(model.outputs.begin(), model.outputs.end(),
                                  [&](const TensorSpec& spec) { return spec.name == output; });
  if (found == model.outputs.end())
    e.refuse("output", "names no <output> of this model");
  else if (found->dtype != DType::f32)
    e.refuse("output", "must name an output with dtype f32");
  metric.output = static_cast<std::uint32_t>(found - model.outputs.begin());
  model.metrics.push_back(std::move(metric));
}

void read_segment(Element& e, Model& model, Names& names) {
  Segment segment;
  segment.name = e.name("name");
  e.unique(names.segments, "name", segment.name);
  segment.widths = e.words("widths", kMaxWidths, false);
  std::set<std::string> widths;
  for (const std::string& width : segment.widths) {
    e.unique(widths, "widths", width);
    const auto value = parse_number<double>(width);
    if (!value || !(*value > 0 && *value <= 1)) e.refuse("widths", "'" + width + "' is no number over 0 and up to 1");
  }
  segment.activation_bytes =
      static_cast<std::uint64_t>(e.integer("activation_bytes", 0, static_cast<std::int64_t>(kMaxActivationBytes)));
  const bool preprocess = segment.name == kPreprocess;
  if (preprocess != (model.has_preprocessing() && model.segments.empty()))
    e.refuse("name", preprocess ? "is only for the first segment of a model whose input has forms"
                                : "must be 'preprocess' for the first segment of a model whose input has forms");
  if (preprocess && !segment.widths.empty()) e.refuse("widths", "are not for preprocessing");
  model.segments.push_back(std::move(segment));
}

void add_variant(Model& model, std::size_t segment, std::string name, int width_in, int width_out, int form) {
  Variant variant;
  variant.name = std::move(name);
  variant.segment = static_cast<std::uint16_t>(segment);
  variant.width_in = static_cast<std::int16_t>(width_in);
  variant.width_out = static_cast<std::int16_t>(width_out);
  variant.form = static_cast<std::int16_t>(form);
  variant.activation_bytes = model.segments[segment].activation_bytes;
  model.variants.push_back(std::move(variant));
}

void enumerate_variants(Model& model) {
  for (std::size_t f = 0; f < model.forms.size(); ++f) {
    model.forms[f].variant = VariantId{model.first_variant.value + model.variants.size()};
    add_variant(model, 0, std::string(kPreprocess) + " " + model.forms[f].name, -1, -1, static_cast<int>(f));
  }
  const Segment* before = nullptr;  // the latest segment with widths
  for (std::size_t s = model.has_preprocessing() ? 1 : 0; s < model.segments.size(); ++s) {
    const Segment& segment = model.segments[s];
    if (segment.widths.empty()) {
      add_variant(model, s, segment.name, -1, -1, -1);
      continue;
    }
    const int ins = before != nullptr ? static_cast<int>(before->widths.size()) : 1;
    for (int in = 0; in < ins; ++in)
      for (int out = 0; out < static_cast<int>(segment.widths.size()); ++out) {
        const std::string from = before != nullptr ? before->widths[static_cast<std::size_t>(in)] + ">" : "";
        add_variant(model, s, segment.name + " " + from + segment.widths[static_cast<std::size_t>(out)],
                    before != nullptr ? in : -1, out, -1);
      }
    before = &segment;
  }
}

std::size_t widthed(const Model& model) {
  return static_cast<std::size_t>(
      std::count_if(model.segments.begin(), model.segments.end(), [](const Segment& s) { return !s.widths.empty(); }));
}

// `widths` has one word a segment with widths. Walks the variants in the order in which enumerate_variants() made them.
std::vector<VariantId> path_of(Element& e, const Model& model, const std::vector<std::string>& widths) {
  std::vector<VariantId> path;
  std::size_t base = model.first_variant.value + model.forms.size();  // of the segment's variants
  std::size_t in = 0, ins = 1, word = 0;
  for (std::size_t s = model.has_preprocessing() ? 1 : 0; s < model.segments.size(); ++s) {
    const std::vector<std::string>& known = model.segments[s].widths;
    if (known.empty()) {
      path.emplace_back(base++);
      continue;
    }
    const auto found = std::find(known.begin(), known.end(), widths[word]);
    if (found == known.end()) {
      e.refuse("widths", "'" + widths[word] + "' is no width of segment '" + model.segments[s].name + "'");
      return {};
    }
    ++word;
    const auto out = static_cast<std::size_t>(found - known.begin());
    path.emplace_back(base + in * known.size() + out);
    base += ins * known.size();
    in = out;
    ins = known.size();
  }
  return path;
}

void read_subnet(Element& e, Model& model, Names& names) {
  Subnet subnet;
  subnet.name = e.name("name");
  e.unique(names.subnets, "name", subnet.name);
  if (subnet.name.size() > kMaxSubnetName)
    e.refuse("name", "is over " + std::to_string(kMaxSubnetName) + " characters, more than a verdict can carry");
  subnet.accuracy = static_cast<float>(e.real("accuracy", 0, 1));
  const std::size_t wanted = widthed(model);
  const std::vector<std::string> widths = e.words("widths", kMaxSegments, wanted > 0);
  if (widths.size() != wanted)
    e.refuse("widths", "must be " + std::to_string(wanted) + " words: one a segment with widths");
  if (!e.ok()) return;
  subnet.path = path_of(e, model, widths);
  for (const Subnet& other : model.subnets)
    if (other.path == subnet.path) e.refuse("widths", "are those of subnet '" + other.name + "'");
  model.subnets.push_back(std::move(subnet));
}

void read_segments_and_subnets(Element& e, Model& model, Names& names) {
  e.each("segment", 1, kMaxSegments, [&](Element& segment) { read_segment(segment, model, names); });
  if (!e.ok()) return;
  if (model.has_preprocessing() && model.segments.size() < 2) e.refuse("", "needs a <segment> after preprocessing");
  if (model.segments.back().activation_bytes != 0)
    e.refuse("", "must have activation_bytes=\"0\" for its last <segment>, which writes the result");
  enumerate_variants(model);
  if (model.variants.size() > kMaxVariants)
    e.refuse("", "has " + std::to_string(model.variants.size()) + " variants, at most " + std::to_string(kMaxVariants));
  const bool plain = widthed(model) == 0;
  const std::size_t subnets = e.each("subnet", plain ? 0 : 1, plain ? 1 : kMaxSubnets,
                                     [&](Element& subnet) { read_subnet(subnet, model, names); });
  if (subnets > 0 || !e.ok()) return;
  Subnet full{"full", 1, {}};
  full.path = path_of(e, model, {});
  model.subnets.push_back(std::move(full));
}

void read_model_element(Element& e, Model& model) {
  Names names;
  model.name = e.name("name");
  model.version = e.name("version");
  model.module = e.name("module");
  model.weights = inner_path(e, "weights");
  model.digest = digest(e);
  if (model.weights.empty() != model.digest.empty()) e.refuse("digest", "must be there if and only if weights are");
  e.at_most_one("source", [](Element& source) { (void)source.body(); });
  e.each("input", 1, kMaxTensors, [&](Element& input) { read_input(input, model, names); });
  e.each("output", 1, kMaxTensors, [&](Element& output) { read_output(output, model, names); });
  e.each("metric", 0, kMaxMetrics, [&](Element& metric) { read_metric(metric, model, names); });
  read_segments_and_subnets(e, model, names);
}

}  // namespace

Parsed<Model> parse_model(std::string_view xml, const std::string& file, const std::filesystem::path& directory,
                          VariantId first_variant) {
  Model model;
  model.directory = directory.string();
  model.first_variant = first_variant;
  const auto read = read_document(xml, file, "model", [&](Element& e) { read_model_element(e, model); });
  if (!read) return tl::unexpected<InputError>(read.error());
  return model;
}

Parsed<Model> read_model(const std::filesystem::path& directory, VariantId first_variant) {
  const std::filesystem::path file = directory / "model.xml";
  const auto xml = read_text(file);
  if (!xml) return tl::unexpected<InputError>(xml.error());
  return parse_model(*xml, file.string(), directory, first_variant);
}

}  // namespace takt::files
