// What a configuration points at: models, costs and presets, and mistakes told at the line that names the file.
#include <gtest/gtest.h>

#include <chrono>

#include "files/service_file.hpp"
#include "files/service_folder.hpp"
#include "files/texts.hpp"

namespace takt::files {
namespace {

using namespace std::chrono_literals;
using test::expect_refused;
using test::line_of;
using test::sample;
using test::ServiceFolder;
using test::with;

void expect_change_refused(std::string_view from, std::string_view to, std::string_view key, std::string_view text) {
  const ServiceFolder folder;
  const std::string xml = with(sample("service.xml"), from, to);
  expect_refused(load_service(folder.put_service(xml)), line_of(sample("service.xml"), from), key, text);
}

TEST(LoadService, FindsModelsCostsAndPresets) {
  const ServiceFolder folder;
  const auto service = load_service(folder.put_service(sample("service.xml")));
  ASSERT_TRUE(service) << service.error().to_string();
  ASSERT_EQ(service->models.size(), 2u);
  EXPECT_EQ(service->models[0].name, "shrinking");
  EXPECT_EQ(service->models[1].first_variant.value, service->models[0].variants.size());
  EXPECT_EQ(service->costs.accelerators(), 3u);
  EXPECT_EQ(service->presets.size(), service->config.streams.size());
}

TEST(LoadService, LetsAModelRunOnlyWhereItHasAProfile) {
  const ServiceFolder folder;
  const auto service = load_service(folder.put_service(sample("service.xml")));
  ASSERT_TRUE(service) << service.error().to_string();
  const VariantId pictures = service->models[0].first_variant, numbers = service->models[1].first_variant;
  EXPECT_TRUE(service->costs.at(AcceleratorId{0u}, pictures).runnable());
  EXPECT_TRUE(service->costs.at(AcceleratorId{1u}, pictures).runnable());
  EXPECT_FALSE(service->costs.at(AcceleratorId{2u}, pictures).runnable());
  EXPECT_FALSE(service->costs.at(AcceleratorId{0u}, numbers).runnable());
  EXPECT_EQ(service->costs.at(AcceleratorId{2u}, numbers).budget, Duration{165us});
}

TEST(LoadService, AssumesANanojouleANanosecond) {
  const ServiceFolder folder;
  const auto service = load_service(folder.put_service(sample("service.xml")));
  ASSERT_TRUE(service) << service.error().to_string();
  const Model& model = service->models[1];
  double worst = 0;
  for (const VariantId v : model.subnets[0].path) {
    const double expected = static_cast<double>(to_ns(service->costs.at(AcceleratorId{2u}, v).expected));
    EXPECT_EQ(service->costs.effort(AcceleratorId{2u}, v).energy_nj, expected);
    EXPECT_EQ(service->costs.effort(AcceleratorId{0u}, v).energy_nj, 0) << "it cannot run there";
    worst += expected;
  }
  EXPECT_GT(worst, 0);
  EXPECT_EQ(model.subnets[0].worst_energy_nj, worst);
}

// Adds an energy to every row of a profile.
std::string with_energies(std::string profile) {
  for (std::size_t at = profile.find(" p50="); at != std::string::npos; at = profile.find(" p50=", at + 30))
    profile.insert(at, " energy_nj=\"70000\"");
  return profile;
}

TEST(LoadService, TakesMeasuredEnergiesIfAllProfilesHaveThem) {
  const ServiceFolder folder;
  folder.put("costs/plain.xml", with_energies(sample("tensor_profile.xml")));
  const auto some = load_service(folder.put_service(sample("service.xml")));
  ASSERT_TRUE(some) << some.error().to_string();
  const VariantId v = some->models[1].first_variant;
  EXPECT_NE(some->costs.effort(AcceleratorId{2u}, v).energy_nj, 70000) << "never beside assumed ones";
  folder.put("costs/shrinking.xml", with_energies(sample("picture_profile.xml")));
  const auto all = load_service(folder.put_service(sample("service.xml")));
  ASSERT_TRUE(all) << all.error().to_string();
  EXPECT_EQ(all->costs.effort(AcceleratorId{2u}, v).energy_nj, 70000);
  EXPECT_EQ(all->models[1].subnets[0].worst_energy_nj,
            70000.0 * static_cast<double>(all->models[1].subnets[0].path.size()));
}

TEST(LoadService, GivesPresetsTheSmallestFormThatCoversThePicture) {
  const ServiceFolder folder;
  const auto service = load_service(folder.put_service(sample("service.xml")));
  ASSERT_TRUE(service) << service.error().to_string();
  EXPECT_EQ(service->presets[0].form, 1);  // nv12-640x480 for 600x400
  EXPECT_EQ(service->presets[1].form, 1);
  EXPECT_EQ(service->presets[2].form, -1);
  EXPECT_EQ(service->presets[2].model, ModelId{1u});
  EXPECT_EQ(service->presets[1].trigger.metric, 1);
  const auto wider = load_service(folder.put_service(with(sample("service.xml"), "width=\"600\"", "width=\"700\"")));
  ASSERT_TRUE(wider) << wider.error().to_string();
  EXPECT_EQ(wider->presets[0].form, 0);
}

TEST(LoadService, RefusesPicturesThatTheModelDoesNotTake) {
  expect_change_refused("width=\"600\"", "width=\"1300\"", "stream picture", "nv12 up to 1280x720");
  expect_change_refused("picture=\"nv12\"", "picture=\"gray\"", "stream picture", "has no form");
  expect_change_refused(" picture=\"nv12\" width=\"600\" height=\"400\"", "", "stream picture", "is missing");
  expect_change_refused("model=\"plain\"", "model=\"plain\" picture=\"rgb\" width=\"2\" height=\"2\"", "stream picture",
                        "takes tensors");
}

TEST(LoadService, RefusesStreamsOfUnknownModelsMetricsAndSubnets) {
  expect_change_refused("model=\"plain\"", "model=\"gone\"", "stream model", "'gone' is no model here");
  expect_change_refused("peak &lt; 0.6", "depth &lt; 0.6", "stream if", "no metric of the parent's model 'shrinking'");
  expect_change_refused("accuracy_floor=\"0.5\"", "accuracy_floor=\"0.9\"", "stream accuracy_floor", "leave no subnet");
  expect_change_refused("name=\"closer\" model=\"shrinking\"", "name=\"closer\" model=\"plain\"", "stream", "plain");
}

TEST(LoadService, RefusesHardAndFirmStreamsWithoutARealTimeWorker) {
  expect_change_refused("model=\"plain\"", "model=\"plain\" class=\"firm\"", "stream class", "realtime=\"true\"");
}

TEST(LoadService, TellsOfMissingFilesAtTheLineThatNamesThem) {
  expect_change_refused("directory=\"models/plain\"", "directory=\"models/gone\"", "model directory",
                        "gone/model.xml does not exist");
  expect_change_refused("file=\"costs/plain.xml\"", "file=\"costs/gone.xml\"", "profile file",
                        "costs/gone.xml does not exist");
}

TEST(LoadService, RefusesProfilesOfAnotherModelOrDriver) {
  expect_change_refused("accelerator=\"core1\" file=\"costs/shrinking.xml\"",
                        "accelerator=\"core1\" file=\"costs/other.xml\"", "profile file",
                        "measured with driver 'cuda', not 'cpu'");
  const ServiceFolder folder;
  const std::string xml =
      with(sample("service.xml"), "\"pretend\" file=\"costs/plain.xml\"", "\"pretend\" file=\"costs/shrinking.xml\"");
  const auto service = load_service(folder.put_service(xml));
  ASSERT_FALSE(service);
  EXPECT_NE(service.error().text.find("the model is 'plain'"), std::string::npos) << service.error().to_string();
}

TEST(LoadService, RefusesTwoModelsOfOneName) {
  expect_change_refused("directory=\"models/plain\"", "directory=\"models/copy\"", "model directory",
                        "second model named 'shrinking'");
}

TEST(LoadService, TellsOfMistakesInAModelAtTheModelsLine) {
  const ServiceFolder folder;
  folder.put("models/plain/model.xml", with(sample("tensor_model.xml"), "dims=\"10\"", "dims=\"-10\""));
  const auto service = load_service(folder.put_service(sample("service.xml")));
  ASSERT_FALSE(service);
  EXPECT_TRUE(service.error().file.ends_with("models/plain/model.xml")) << service.error().to_string();
  EXPECT_EQ(service.error().line, 4);
}

}  // namespace
}  // namespace takt::files
