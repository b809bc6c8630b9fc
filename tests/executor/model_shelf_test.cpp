// Models are loaded once, and again only when they have changed.
#include "executor/model_shelf.hpp"

#include <gtest/gtest.h>

#include "executor/null_models.hpp"
#include "models/temporary_folder.hpp"

namespace takt::executor {
namespace {

class CountingDriver final : public Driver {
 public:
  [[nodiscard]] DriverCaps caps() const noexcept override { return {}; }
  [[nodiscard]] Result<Opened> open(std::uint32_t, const AcceleratorConfig&) override { return Opened{}; }
  [[nodiscard]] Result<void> load(const Model&) override {
    ++loads;
    return outcome;
  }
  [[nodiscard]] Result<void> enter(std::uint32_t, Criticality) override { return {}; }
  [[nodiscard]] Result<void> run(const Launch&) noexcept override { return {}; }

  int loads = 0;
  Result<void> outcome;
};

TEST(ModelShelf, LoadsOnceAndRenumbersWhatItHolds) {
  const test::TemporaryFolder folder;
  const auto directory = test::write_model(folder / "m", test::picture_model("pictures"));
  CountingDriver driver;
  ModelShelf shelf(driver);
  const auto first = shelf.get(directory, VariantId{0U});
  ASSERT_TRUE(first);
  EXPECT_FALSE(first->reused);
  const std::uint32_t path = first->model->subnets[1].path[2].value, form = first->model->forms[1].variant.value;
  const auto again = shelf.get(directory, VariantId{100U});
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->reused);
  EXPECT_EQ(again->model, first->model);
  EXPECT_EQ(driver.loads, 1);
  EXPECT_EQ(again->model->first_variant, VariantId{100U});
  EXPECT_EQ(again->model->subnets[1].path[2].value, path + 100);
  EXPECT_EQ(again->model->forms[1].variant.value, form + 100);
  EXPECT_EQ(shelf.names(), std::vector<std::string>{"pictures"});
}

TEST(ModelShelf, LoadsAgainWhatHasChanged) {
  const test::TemporaryFolder folder;
  const auto directory = test::write_model(folder / "m", test::chain_model("chain"));
  CountingDriver driver;
  ModelShelf shelf(driver);
  const auto first = shelf.get(directory, VariantId{0U});
  ASSERT_TRUE(first);
  test::write_model(directory, test::chain_model("chain", "other_middle"));
  const auto second = shelf.get(directory, VariantId{0U});
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->reused);
  EXPECT_EQ(driver.loads, 2);
  EXPECT_EQ(first->model->segments[1].name, "middle");  // drivers may still look at the older one
  EXPECT_EQ(shelf.names().size(), 1U);
}

TEST(ModelShelf, KeepsNothingOfAModelThatDoesNotLoad) {
  const test::TemporaryFolder folder;
  const auto directory = test::write_model(folder / "m", test::chain_model("chain"));
  CountingDriver driver;
  driver.outcome = fail(Code::corrupt, "the digest differs");
  ModelShelf shelf(driver);
  const auto refused = shelf.get(directory, VariantId{0U});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().to_string().find("the digest differs"), std::string::npos);
  EXPECT_TRUE(shelf.names().empty());
  driver.outcome = Result<void>{};
  EXPECT_TRUE(shelf.get(directory, VariantId{0U}));
}

}  // namespace
}  // namespace takt::executor
