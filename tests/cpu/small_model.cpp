// A little SlimResNet in a folder of its own.
#include "cpu/small_model.hpp"

#include <cstdlib>

#include "files/model_file.hpp"
#include "slim_resnet/weights.hpp"
#include "support/digest.hpp"

namespace takt::test {
namespace {

constexpr const char* kDescription = R"(<model name="small" version="1" module="slim_resnet"
    weights="weights.safetensors"
    digest="sha256:0000000000000000000000000000000000000000000000000000000000000000">
  <input name="image" dtype="u8">
    <form name="rgb-32x32" format="rgb" width="32" height="32"/>
    <form name="nv12-64x48" format="nv12" width="64" height="48"/>
    <normalise width="32" height="32" mean="0.5 0.5 0.5" deviation="0.25 0.25 0.25"/>
  </input>
  <output name="logits" dtype="f32" dims="100"/>
  <metric name="top1" output="logits" kind="softmax_max"/>
  <metric name="most" output="logits" kind="max"/>
  <segment name="preprocess" activation_bytes="12288"/>
  <segment name="stage1" widths="0.25 0.5 0.75 1" activation_bytes="32768"/>
  <segment name="stage2" widths="0.25 0.5 0.75 1.0" activation_bytes="16384"/>
  <segment name="stage3" widths="0.25 0.5 0.75 1" activation_bytes="8192"/>
  <segment name="stage4" widths="0.25 0.5 0.75 1" activation_bytes="0"/>
  <subnet name="0.25" widths="0.25 0.25 0.25 0.25" accuracy="0.1"/>
  <subnet name="0.5" widths="0.5 0.5 0.5 0.5" accuracy="0.2"/>
  <subnet name="0.75" widths="0.75 0.75 0.75 0.75" accuracy="0.3"/>
  <subnet name="1" widths="1 1.0 1 1" accuracy="0.4"/>
  <subnet name="mixed" widths="1 0.25 0.75 0.5" accuracy="0.3"/>
</model>)";

constexpr std::int64_t kBaseWidth = 8;

}  // namespace

SmallModel::SmallModel(std::uint64_t seed) {
  std::string name = (std::filesystem::temp_directory_path() / "takt-small-XXXXXX").string();
  TAKT_CHECK(::mkdtemp(name.data()) != nullptr);
  folder_ = name;
  auto parsed = files::parse_model(kDescription, "model.xml", folder_, VariantId{100U});
  if (!parsed) std::fprintf(stderr, "%s\n", parsed.error().to_string().c_str());
  TAKT_CHECK(parsed);
  model_ = *parsed;
  TAKT_CHECK(models::slim::write_weights(weights(), models::slim::make_weights(kBaseWidth, seed)));
  sign();
}

SmallModel::~SmallModel() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void SmallModel::sign() {
  model_.digest = "sha256:" + *models::sha256_of_file(weights());
}

std::uint32_t subnet(const Model& model, const std::string& name) {
  for (std::size_t i = 0; i < model.subnets.size(); ++i)
    if (model.subnets[i].name == name) return static_cast<std::uint32_t>(i);
  TAKT_CHECK(!"no such subnet");
  return 0;
}

}  // namespace takt::test
