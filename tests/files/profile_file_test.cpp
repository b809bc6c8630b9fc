// Cost profiles: read as written, written so that they are read back, and the costs that follow.
#include "files/profile_file.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "files/model_file.hpp"
#include "files/texts.hpp"

namespace takt::files {
namespace {

using namespace std::chrono_literals;
using test::expect_refused;
using test::line_of;
using test::sample;
using test::with;

constexpr AcceleratorId kFirst{0u}, kSecond{1u};
constexpr std::uint32_t kFirstVariant = 5;

Model model_of(const std::string& name) {
  auto model = parse_model(sample(name), "model.xml", "/m", VariantId{kFirstVariant});
  EXPECT_TRUE(model) << model.error().to_string();
  return *model;
}

Parsed<void> apply(const std::string& profile_xml, const Model& model, CostTable& table, double margin = 0) {
  const auto profile = parse_profile(profile_xml, "profile.xml");
  if (!profile) return tl::unexpected<InputError>(profile.error());
  return apply_profile(*profile, model, kSecond, margin, table);
}

CostTable empty_table() {
  return {2, kFirstVariant + 20};
}

TEST(Profile, IsReadAsWritten) {
  const auto profile = parse_profile(sample("tensor_profile.xml"), "p");
  ASSERT_TRUE(profile) << profile.error().to_string();
  EXPECT_EQ(profile->model, "plain");
  EXPECT_EQ(profile->machine, "a test");
  ASSERT_EQ(profile->rows.size(), 3u);
  EXPECT_EQ(profile->rows[0].segment, "front");
  EXPECT_EQ(profile->rows[0].memory, 4096u);
  EXPECT_EQ(profile->rows[0].bytes_moved, 8192u);
  EXPECT_EQ(profile->rows[1].batch, 4u);
  EXPECT_EQ(profile->rows[1].p99, Duration{500us});
  EXPECT_EQ(profile->rows[2].line, 5);
}

TEST(Profile, WrittenIsReadBackTheSameAndLeavesNothingBeside) {
  const test::Folder folder;
  auto profile = parse_profile(sample("picture_profile.xml"), "p");
  ASSERT_TRUE(profile) << profile.error().to_string();
  profile->machine = "a \"quoted\" <name> & more";
  profile->rows[1].memory = 77;
  profile->rows[2].p50 = 8'999ns;
  const std::filesystem::path path = folder.put("profile.xml", "an old one");
  ASSERT_TRUE(write_profile(*profile, path));
  const auto again = read_profile(path);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(print_profile(*again), print_profile(*profile));
  EXPECT_EQ(again->machine, profile->machine);
  EXPECT_EQ(again->rows[2].p50, Duration{8'999ns});
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), std::filesystem::directory_iterator()),
            1);
}

TEST(Profile, KeepsEnergiesAndGivesThoseOfBatchOneToTheTable) {
  const Model model = model_of("tensor_model.xml");
  const std::string one = with(sample("tensor_profile.xml"), "batch=\"1\"", "batch=\"1\" energy_nj=\"2500\"");
  const std::string xml = with(one, "batch=\"4\"", "batch=\"4\" energy_nj=\"7000\"");
  const auto profile = parse_profile(xml, "p");
  ASSERT_TRUE(profile) << profile.error().to_string();
  EXPECT_EQ(profile->rows[0].energy_nj, 2500u);
  EXPECT_EQ(profile->rows[1].energy_nj, 7000u);
  EXPECT_EQ(profile->rows[2].energy_nj, 0u);
  EXPECT_EQ(parse_profile(print_profile(*profile), "p")->rows[1].energy_nj, 7000u);
  CostTable table = empty_table();
  const auto applied = apply(xml, model, table);
  ASSERT_TRUE(applied) << applied.error().to_string();
  EXPECT_EQ(table.effort(kSecond, VariantId{kFirstVariant}).energy_nj, 2500);
  EXPECT_EQ(table.effort(kSecond, VariantId{kFirstVariant + 1}).energy_nj, 0);
  expect_refused(parse_profile(with(xml, "\"2500\"", "\"-1\""), "p"), 3, "cost energy_nj", "from 0");
}

TEST(Profile, ThatCannotBeWrittenLeavesTheOldOne) {
  const test::Folder folder;
  const Profile profile;
  EXPECT_FALSE(write_profile(profile, folder.path() / "none" / "profile.xml"));
  const std::filesystem::path taken = folder.path() / "taken";
  std::filesystem::create_directories(taken / "inside");
  const auto written = write_profile(profile, taken);  // a folder is in its place
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::system);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "taken.new"));
}

TEST(Profile, RefusesTimesThatCannotBe) {
  const std::string good = sample("tensor_profile.xml");
  expect_refused(parse_profile(with(good, "p99=\"110us\"", "p99=\"90us\""), "p"), 3, "cost p99", "not be under p50");
  expect_refused(parse_profile(with(good, "p50=\"100us\"", "p50=\"0\""), "p"), 3, "cost p50", "is no duration");
  expect_refused(parse_profile(with(good, "p50=\"100us\"", "p50=\"100\""), "p"), 3, "cost p50", "ns, us, ms or s");
  expect_refused(parse_profile(with(good, "batch=\"4\"", "batch=\"3\""), "p"), 4, "cost batch", "1, 2, 4, 8 or 16");
  expect_refused(parse_profile("<profile model='m' accelerator='a' driver='d'/>", "p"), 1, "profile",
                 "at least 1 <cost>");
}

TEST(ApplyProfile, BudgetsWithTheMarginAndExpectsTheMedian) {
  CostTable table = empty_table();
  const auto applied = apply(sample("tensor_profile.xml"), model_of("tensor_model.xml"), table, 0.1);
  ASSERT_TRUE(applied) << applied.error().to_string();
  const Cost& cost = table.at(kSecond, VariantId{kFirstVariant});
  EXPECT_EQ(cost.expected, Duration{100us});
  EXPECT_EQ(cost.budget, Duration{121us});
  EXPECT_EQ(table.at(kSecond, VariantId{kFirstVariant + 1}).expected, Duration{200us});
}

TEST(ApplyProfile, TouchesOnlyItsOwnAcceleratorAndVariants) {
  CostTable table = empty_table();
  ASSERT_TRUE(apply(sample("tensor_profile.xml"), model_of("tensor_model.xml"), table));
  EXPECT_FALSE(table.at(kFirst, VariantId{kFirstVariant}).runnable());
  EXPECT_FALSE(table.at(kSecond, VariantId{kFirstVariant - 1}).runnable());
  EXPECT_FALSE(table.at(kSecond, VariantId{kFirstVariant + 2}).runnable());
}

TEST(ApplyProfile, ABatchBetweenTwoProfiledSizesCostsWhatTheLargerDoes) {
  CostTable table = empty_table();
  ASSERT_TRUE(apply(sample("tensor_profile.xml"), model_of("tensor_model.xml"), table));
  const VariantId front{kFirstVariant}, back{kFirstVariant + 1};
  EXPECT_EQ(table.at(kSecond, front, 1).expected, Duration{100us});
  EXPECT_EQ(table.at(kSecond, front, 2).expected, Duration{300us});
  EXPECT_EQ(table.at(kSecond, front, 3).expected, Duration{300us});
  EXPECT_EQ(table.at(kSecond, front, 4).expected, Duration{300us});
  EXPECT_FALSE(table.at(kSecond, front, 5).runnable());
  EXPECT_FALSE(table.at(kSecond, back, 2).runnable());
}

TEST(ApplyProfile, FindsEveryVariantOfAModelWithWidthsAndForms) {
  const Model model = model_of("picture_model.xml");
  CostTable table = empty_table();
  const auto applied = apply(sample("picture_profile.xml"), model, table);
  ASSERT_TRUE(applied) << applied.error().to_string();
  for (std::size_t v = 0; v < model.variants.size(); ++v)
    EXPECT_TRUE(table.at(kSecond, VariantId{kFirstVariant + v}).runnable()) << model.variants[v].name;
  EXPECT_EQ(table.at(kSecond, model.forms[1].variant).expected, Duration{60us});
  EXPECT_EQ(table.at(kSecond, model.subnets[0].path[2]).expected, Duration{100us});
}

TEST(ApplyProfile, RefusesRowsThatNameNoVariantOrOneTwice) {
  const Model model = model_of("picture_model.xml");
  const auto refused = [&](std::string_view from, std::string_view to, std::string_view at, std::string_view text) {
    CostTable table = empty_table();
    const std::string xml = with(sample("picture_profile.xml"), from, to);
    expect_refused(apply(xml, model, table), line_of(xml, at), "cost", text);
    for (std::size_t v = 0; v < 20; ++v) EXPECT_FALSE(table.at(kSecond, VariantId{v}).runnable());
  };
  refused("in=\"1\" out=\"0.5\"", "in=\"1\" out=\"0.75\"", "0.75", "'stage2 1>0.75' is no variant");
  refused("form=\"rgb-32x32\"", "form=\"rgb-99x99\"", "rgb-99x99", "'preprocess rgb-99x99' is no variant");
  refused("form=\"rgb-32x32\"", "out=\"rgb-32x32\"", "out=\"rgb-32x32\"", "is no variant");
  refused("segment=\"stage1\" out=\"0.5\"", "segment=\"stage1\" in=\"0.5\"", "in=\"0.5\"", "is no variant");
  refused("in=\"0.5\" out=\"0.5\"", "in=\"0.5\" out=\"0.25\"", "p50=\"200us\"", "two rows for batch 1");
}

TEST(ApplyProfile, RefusesAProfileThatLacksAVariant) {
  CostTable table = empty_table();
  const std::string row = "  <cost segment=\"pool\" batch=\"1\" p50=\"20us\" p99=\"30us\"/>\n";
  const std::string xml = with(sample("picture_profile.xml"), row, "");
  expect_refused(apply(xml, model_of("picture_model.xml"), table), 1, "profile", "no row for 'pool' at batch 1");
  EXPECT_FALSE(table.at(kSecond, VariantId{kFirstVariant}).runnable());
  const std::string larger = with(sample("picture_profile.xml"), "\"pool\" batch=\"1\"", "\"pool\" batch=\"2\"");
  expect_refused(apply(larger, model_of("picture_model.xml"), table), 1, "profile", "no row for 'pool' at batch 1");
}

TEST(ApplyProfile, RefusesAnotherModelOrOtherWeights) {
  CostTable table = empty_table();
  const Model model = model_of("picture_model.xml");
  const std::string good = sample("picture_profile.xml");
  expect_refused(apply(with(good, "model=\"shrinking\"", "model=\"other\""), model, table), 1, "model", "'shrinking'");
  expect_refused(apply(with(good, "sha256:00", "sha256:01"), model, table), 1, "digest", "measure the model again");
}

}  // namespace
}  // namespace takt::files
