// takt.xml: accepted configurations hold together, refused ones say where.
#include "files/service_file.hpp"
#include "target.hpp"

namespace takt::fuzz {
namespace {

void check_whole(const files::ServiceConfig& config) {
  TAKT_CHECK(!config.listeners.empty() && !config.models.empty() && config.accelerators() > 0);
  for (const files::ModelEntry& model : config.models) {
    TAKT_CHECK(!model.profiles.empty());
    for (const auto& profile : model.profiles) TAKT_CHECK(profile.accelerator.value < config.accelerators());
  }
  for (std::size_t s = 0; s < config.streams.size(); ++s) {
    const StreamSpec& spec = config.streams[s].spec;
    TAKT_CHECK(!spec.parent.valid() || spec.parent.value < s);
    TAKT_CHECK(spec.relative_deadline > Duration{0} && spec.period >= Duration{0} && spec.jitter >= Duration{0});
    TAKT_CHECK(spec.criticality != Criticality::hard || spec.period > Duration{0});
    TAKT_CHECK(spec.accuracy_floor <= spec.accuracy_ceiling);
  }
}

}  // namespace

std::vector<std::string> seeds() {
  return {source_file("configs/takt.xml"), source_file("tests/files/samples/service.xml")};
}
std::vector<std::string> words() {
  return xml_words();
}

}  // namespace takt::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto config = takt::files::parse_service(takt::fuzz::as_text(data, size), "/etc/takt/takt.xml");
  if (config)
    takt::fuzz::check_whole(*config);
  else
    takt::fuzz::check_refusal(config);
  return 0;
}
