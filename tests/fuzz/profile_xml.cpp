// Cost profiles: accepted ones survive being written, and fill the cost table whole or not at all.
#include "files/model_file.hpp"
#include "files/profile_file.hpp"
#include "target.hpp"

namespace takt::fuzz {
namespace {

const Model& model() {
  static const Model parsed =
      *files::parse_model(source_file("tests/files/samples/picture_model.xml"), "model.xml", "/m", VariantId{0u});
  return parsed;
}

void check_whole(const files::Profile& profile) {
  const auto again = files::parse_profile(files::print_profile(profile), profile.file);
  TAKT_CHECK(again && files::print_profile(*again) == files::print_profile(profile));
  CostTable table(1, model().variants.size());
  const auto applied = files::apply_profile(profile, model(), AcceleratorId{0u}, 0.1, table);
  if (!applied) check_refusal(applied);
  for (std::size_t v = 0; v < table.variants(); ++v) {
    const Cost& cost = table.at(AcceleratorId{0u}, VariantId{v});
    TAKT_CHECK(cost.runnable() == applied.has_value());
    TAKT_CHECK(!applied || (cost.expected > Duration{0} && cost.budget >= cost.expected));
  }
}

}  // namespace

std::vector<std::string> seeds() {
  return {source_file("tests/files/samples/picture_profile.xml"),
          source_file("tests/files/samples/tensor_profile.xml")};
}
std::vector<std::string> words() {
  return xml_words();
}

}  // namespace takt::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto profile = takt::files::parse_profile(takt::fuzz::as_text(data, size), "profile.xml");
  if (profile)
    takt::fuzz::check_whole(*profile);
  else
    takt::fuzz::check_refusal(profile);
  return 0;
}
