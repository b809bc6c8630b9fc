// model.xml: accepted models have sane sizes and complete paths, refused ones say where.
#include "files/model_file.hpp"
#include "target.hpp"

namespace takt::fuzz {
namespace {

constexpr VariantId kFirst{17u};

void check_whole(const Model& model) {
  TAKT_CHECK(model.result_bytes() <= files::kMaxResultBytes);
  TAKT_CHECK(!model.subnets.empty() && model.segments.back().activation_bytes == 0);
  const std::size_t length = model.segments.size() - (model.has_preprocessing() ? 1 : 0);
  for (const Subnet& subnet : model.subnets) {
    TAKT_CHECK(subnet.path.size() == length);
    std::size_t segment = model.segments.size() - length;
    for (const VariantId id : subnet.path) {
      TAKT_CHECK(id.value >= kFirst.value && id.value - kFirst.value < model.variants.size());
      TAKT_CHECK(model.variant(id).segment == segment++);
    }
  }
  for (const Form& form : model.forms) {
    TAKT_CHECK(picture_bytes(form.format, form.width, form.height) > 0);
    TAKT_CHECK(model.variant(form.variant).segment == 0);
  }
  for (const Metric& metric : model.metrics) TAKT_CHECK(metric.output < model.outputs.size());
}

}  // namespace

std::vector<std::string> seeds() {
  return {source_file("tests/files/samples/picture_model.xml"), source_file("tests/files/samples/tensor_model.xml")};
}
std::vector<std::string> words() {
  return xml_words();
}

}  // namespace takt::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto model = takt::files::parse_model(takt::fuzz::as_text(data, size), "model.xml", "/m", takt::fuzz::kFirst);
  if (model)
    takt::fuzz::check_whole(*model);
  else
    takt::fuzz::check_refusal(model);
  return 0;
}
