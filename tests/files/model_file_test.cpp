// model.xml: what is read, which variants and paths follow, and what is refused.
#include "files/model_file.hpp"

#include <gtest/gtest.h>

#include "files/texts.hpp"

namespace takt::files {
namespace {

using test::expect_refused;
using test::line_of;
using test::sample;
using test::with;

Parsed<Model> parse(const std::string& xml, std::uint32_t first_variant = 0) {
  return parse_model(xml, "model.xml", "/m", VariantId{first_variant});
}

// The picture model with one change, refused at the line of `at` in the changed text.
void expect_change_refused(std::string_view from, std::string_view to, std::string_view at, std::string_view text) {
  const std::string xml = with(sample("picture_model.xml"), from, to);
  expect_refused(parse(xml), line_of(xml, at), "", text);
}

TEST(ModelFile, IsReadAsWritten) {
  const auto model = parse(sample("picture_model.xml"));
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_EQ(model->name, "shrinking");
  EXPECT_EQ(model->version, "1");
  EXPECT_EQ(model->module, "slim_resnet");
  EXPECT_EQ(model->weights, "weights.safetensors");
  EXPECT_EQ(model->directory, "/m");
  ASSERT_EQ(model->forms.size(), 3u);
  EXPECT_EQ(model->forms[0].format, PictureFormat::nv12);
  EXPECT_EQ(model->forms[0].width, 1280u);
  EXPECT_EQ(model->forms[0].height, 720u);
  EXPECT_TRUE(model->inputs[0].dims.empty());
  EXPECT_EQ(model->normalise.width, 32u);
  EXPECT_EQ(model->normalise.mean[2], 0.25f);
  EXPECT_EQ(model->normalise.deviation[2], 0.5f);
  ASSERT_EQ(model->outputs.size(), 2u);
  EXPECT_EQ(model->outputs[1].dims, (std::vector<std::uint32_t>{1, 8, 8}));
  ASSERT_EQ(model->metrics.size(), 2u);
  EXPECT_EQ(model->metrics[1].kind, Metric::Kind::max);
  EXPECT_EQ(model->metrics[1].output, 0u);
}

TEST(ModelFile, MakesAVariantForEachFormAndWidthPairInOrder) {
  const auto model = parse(sample("picture_model.xml"), 100);
  ASSERT_TRUE(model) << model.error().to_string();
  std::vector<std::string> names;
  for (const Variant& variant : model->variants) names.push_back(variant.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"preprocess nv12-1280x720", "preprocess nv12-640x480", "preprocess rgb-32x32",
                                      "stage1 0.5", "stage1 1", "pool", "stage2 0.5>0.25", "stage2 0.5>0.5",
                                      "stage2 0.5>1", "stage2 1>0.25", "stage2 1>0.5", "stage2 1>1"}));
  EXPECT_EQ(model->forms[1].variant, VariantId{101u});
  EXPECT_EQ(model->variant(VariantId{101u}).form, 1);
  const Variant& last = model->variants.back();
  EXPECT_EQ(last.segment, 3);
  EXPECT_EQ(last.width_in, 1);
  EXPECT_EQ(last.width_out, 2);
  EXPECT_EQ(last.form, -1);
  EXPECT_EQ(last.activation_bytes, 0u);
  EXPECT_EQ(model->variants[3].width_in, -1);
  EXPECT_EQ(model->variants[5].activation_bytes, 2048u);
}

TEST(ModelFile, GivesEverySubnetAPathThroughTheVariantsOfItsWidths) {
  const auto model = parse(sample("picture_model.xml"), 100);
  ASSERT_TRUE(model) << model.error().to_string();
  for (const Subnet& subnet : model->subnets) {
    std::string names;
    for (const VariantId id : subnet.path) names += model->variant(id).name + ";";
    EXPECT_EQ(names, (subnet.name == "slim"    ? "stage1 0.5;pool;stage2 0.5>0.25;"
                      : subnet.name == "mixed" ? "stage1 0.5;pool;stage2 0.5>1;"
                                               : "stage1 1;pool;stage2 1>1;"));
  }
  EXPECT_EQ(model->subnets.size(), 3u);
  EXPECT_EQ(model->subnets[0].accuracy, 0.3f);
}

TEST(ModelFile, WithoutWidthsHasOneFullSubnet) {
  const auto model = parse(sample("tensor_model.xml"), 7);
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_FALSE(model->has_preprocessing());
  EXPECT_EQ(model->inputs[0].dims, (std::vector<std::uint32_t>{1, 3, 32, 32}));
  ASSERT_EQ(model->subnets.size(), 1u);
  EXPECT_EQ(model->subnets[0].name, "full");
  EXPECT_EQ(model->subnets[0].accuracy, 1.f);
  EXPECT_EQ(model->subnets[0].path, (std::vector<VariantId>{VariantId{7u}, VariantId{8u}}));
  const auto named =
      parse(with(sample("tensor_model.xml"), "</model>", "<subnet name='only' accuracy='0.5'/></model>"));
  ASSERT_TRUE(named) << named.error().to_string();
  EXPECT_EQ(named->subnets[0].name, "only");
  EXPECT_EQ(named->subnets[0].path.size(), 2u);
}

TEST(ModelFile, KeepsItsPathsInsideItsFolder) {
  expect_change_refused("\"weights.safetensors\"", "\"/etc/passwd\"", "/etc/passwd", "not absolute");
  expect_change_refused("\"weights.safetensors\"", "\"../w\"", "../w", "without '..'");
  expect_change_refused("\"weights.safetensors\"", "\"a/../../w\"", "a/..", "without '..'");
}

TEST(ModelFile, NeedsADigestForItsWeights) {
  expect_change_refused("sha256:00", "sha256:0", "digest", "64 lower-case hexadecimal");
  expect_change_refused("sha256:00", "sha256:0A", "digest", "64 lower-case hexadecimal");
  expect_change_refused("sha256:", "md5:", "digest", "64 lower-case hexadecimal");
  const std::string xml = with(sample("tensor_model.xml"), "module=\"null\"", "module=\"null\" weights=\"w\"");
  expect_refused(parse(xml), 2, "digest", "if and only if");
}

TEST(ModelFile, HasPreprocessingFirstIfAndOnlyIfItTakesPictures) {
  expect_change_refused("<segment name=\"preprocess\" activation_bytes=\"12288\"/>", "", "\"stage1\"",
                        "must be 'preprocess'");
  expect_change_refused("\"pool\"", "\"preprocess\"", "\"preprocess\" activation_bytes=\"2048\"", "twice");
  expect_change_refused("\"preprocess\" ", "\"preprocess\" widths=\"1\" ", "\"preprocess\"", "not for preprocessing");
  const std::string xml = with(sample("tensor_model.xml"), "\"front\"", "\"preprocess\"");
  expect_refused(parse(xml), line_of(xml, "\"preprocess\""), "segment name", "only for the first segment");
}

TEST(ModelFile, RefusesInputsThatCannotBe) {
  expect_change_refused("dtype=\"u8\"", "dtype=\"f32\"", "<input", "must be u8");
  expect_change_refused("width=\"1280\"", "width=\"1281\"", "1281", "even width");
  expect_change_refused("width=\"1280\"", "width=\"8192\"", "8192", "from 1 to 4096");
  expect_change_refused("\"nv12-640x480\"", "\"rgb-32x32\"", "\"rgb-32x32\" format=\"rgb\"", "twice");
  expect_change_refused("width=\"640\" height=\"480\"", "width=\"1280\" height=\"720\"", "\"nv12-640x480\"",
                        "same format and size");
  expect_change_refused("dtype=\"u8\">", "dtype=\"u8\" dims=\"1\">", "<input", "is unknown");
  expect_change_refused("deviation=\"0.25 0.25 0.5\"", "deviation=\"0 1 1\"", "<normalise", "from 1e-06");
  const std::string second =
      "<input name=\"b\" dtype=\"u8\"><form name=\"x\" format=\"rgb\" width=\"2\" height=\"2\"/>"
      "<normalise width=\"2\" height=\"2\" mean=\"0 0 0\" deviation=\"1 1 1\"/></input>";
  expect_change_refused("<output", second + "<output", "\"b\"", "only the first input");
}

TEST(ModelFile, RefusesSizesThatCannotBeHeld) {
  expect_change_refused("dims=\"100\"", "dims=\"1073741824 1073741824 1073741824\"", "1073741824", "more than 64 MiB");
  expect_change_refused("dims=\"100\"", "dims=\"16777216\"", "<output", "together over 64 MiB");
  const std::string huge = with(sample("tensor_model.xml"), "1 3 32 32", "1 3 4096 8192");
  expect_refused(parse(huge), 3, "input dims", "more than 256 MiB");
  expect_change_refused("dims=\"100\"", "dims=\"33554432\"", "33554432", "more than 64 MiB");
  expect_change_refused("dims=\"100\"", "dims=\"0\"", "dims=\"0\"", "from 1 to");
  expect_change_refused("dims=\"100\"", "dims=\"1 1 1 1 1 1 1\"", "dims=\"1 1", "1 to 6 words");
  expect_change_refused("\"12288\"", "\"1073741825\"", "1073741825", "from 0 to 1073741824");
  expect_change_refused("activation_bytes=\"0\"", "activation_bytes=\"8\"", "<model", "last <segment>");
}

TEST(ModelFile, RefusesMetricsOfNoFloatOutput) {
  expect_change_refused("output=\"logits\"", "output=\"none\"", "\"none\"", "names no <output>");
  expect_change_refused("output=\"logits\"", "output=\"mask\"", "\"top1\"", "dtype f32");
  expect_change_refused("kind=\"max\"", "kind=\"mean\"", "\"mean\"", "softmax_max, max");
}

TEST(ModelFile, RefusesSubnetsThatDoNotFitTheSegments) {
  expect_change_refused("widths=\"0.5 0.25\"", "widths=\"0.5 0.75\"", "0.75", "no width of segment 'stage2'");
  expect_change_refused("widths=\"0.5 0.25\"", "widths=\"0.5\"", "name=\"slim\"", "must be 2 words");
  expect_change_refused("widths=\"0.5 0.25\" ", "", "name=\"slim\"", "is missing");
  expect_change_refused("widths=\"0.5 0.25\"", "widths=\"1 1\"", "name=\"full\"", "those of subnet 'slim'");
  expect_change_refused("accuracy=\"0.3\"", "accuracy=\"1.3\"", "1.3", "from 0 to 1");
  expect_change_refused("\"slim\"", "\"" + std::string(32, 'x') + "\"", "xxxx", "more than a verdict can carry");
  const std::string xml = with(sample("tensor_model.xml"), "</model>",
                               "<subnet name='a' accuracy='1'/><subnet name='b' accuracy='1'/></model>");
  expect_refused(parse(xml), line_of(xml, "'b'"), "subnet", "1 of it at most");
}

TEST(ModelFile, RefusesWidthsThatAreNoneOrTwice) {
  expect_change_refused("widths=\"0.5 1\"", "widths=\"0.5 0.5\"", "widths=\"0.5 0.5", "twice");
  expect_change_refused("widths=\"0.5 1\"", "widths=\"0.5 2\"", "0.5 2", "over 0 and up to 1");
  expect_change_refused("widths=\"0.5 1\"", "widths=\"0.5 x\"", "0.5 x", "over 0 and up to 1");
}

TEST(ModelFile, SaysWhichFileIsMissing) {
  const test::Folder folder;
  const auto model = read_model(folder.path(), VariantId{0u});
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().file, (folder.path() / "model.xml").string());
}

TEST(ModelFile, OfEveryModelInTheTreeIsAccepted) {
  int read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(TAKT_SOURCE_DIR) / "models")) {
    if (!std::filesystem::exists(entry.path() / "model.xml")) continue;
    const auto model = read_model(entry.path(), VariantId{0u});
    EXPECT_TRUE(model) << model.error().to_string();
    ++read;
  }
  EXPECT_GT(read, 0);
}

}  // namespace
}  // namespace takt::files
