// The cpu driver believes no model file: what it loads, what it refuses, and that it says why.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "cpu/driver_run.hpp"
#include "cpu/small_model.hpp"
#include "slim_resnet/weights.hpp"
#include "support/safetensors.hpp"
#include "support/stored_tensor.hpp"

namespace takt {
namespace {

using models::slim::Weights;
using test::SmallModel;

std::string read_all(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_all(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

// The error of loading the model into a fresh driver; fails the test if it loads, or if something of it stays.
Error refusal(const Model& model) {
  const auto driver = test::make_cpu_driver();
  if (!driver) return {};
  EXPECT_TRUE(driver->open(0, {.name = "cpu0", .cores = {}, .threads = 1}));
  const auto loaded = driver->load(model);
  EXPECT_FALSE(loaded) << "it was loaded";
  EXPECT_TRUE(driver->enter(0, Criticality::soft));
  const test::Frame frame = test::random_picture(1);
  test::JobMemory job(model, frame.view());
  const auto ran = test::run_variant(*driver, model, model.variants[0], {&job, 1});
  EXPECT_TRUE(!ran && ran.error().code == Code::not_found) << "something of the model stayed";
  return loaded ? Error{} : loaded.error();
}

testing::AssertionResult says(const Error& error, Code code, const char* words) {
  if (error.code == code && std::strstr(error.text, words) != nullptr) return testing::AssertionSuccess();
  return testing::AssertionFailure() << to_string(error.code) << ": " << error.text;
}

TEST(CpuDriver, TellsThatItCanBePreemptedWhileRunning) {
  const auto driver = test::make_cpu_driver();
  ASSERT_TRUE(driver);
  EXPECT_EQ(driver->caps().preemption, Preemption::running);
  EXPECT_TRUE(driver->caps().shares_slots);
}

TEST(CpuDriver, LoadsAModelWhoseDigestAndShapesAreRight) {
  const SmallModel small;
  const auto driver = test::make_ready_driver(small.model());
  ASSERT_TRUE(driver);
}

TEST(CpuDriver, RefusesWeightsWhoseDigestIsAnother) {
  SmallModel small;
  std::string content = read_all(small.weights());
  content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 1);
  write_all(small.weights(), content);
  EXPECT_TRUE(says(refusal(small.model()), Code::corrupt, "digest"));
}

TEST(CpuDriver, ComparesTheDigestBeforeItLooksIntoTheFile) {
  SmallModel small;
  write_all(small.weights(), "this is no weights file");
  EXPECT_TRUE(says(refusal(small.model()), Code::corrupt, "digest"));
}

TEST(CpuDriver, RefusesWeightsWithoutADigest) {
  SmallModel small;
  small.model().digest = "";
  EXPECT_TRUE(says(refusal(small.model()), Code::invalid_argument, "digest"));
  small.model().digest = "md5:00";
  EXPECT_TRUE(says(refusal(small.model()), Code::invalid_argument, "sha256"));
}

TEST(CpuDriver, RefusesTruncatedWeightsWhereverTheyEnd) {
  SmallModel small;
  const std::string whole = read_all(small.weights());
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{7}, std::size_t{8}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    write_all(small.weights(), whole.substr(0, size));
    small.sign();
    EXPECT_TRUE(says(refusal(small.model()), Code::corrupt, "")) << size << " bytes";
  }
}

TEST(CpuDriver, RefusesAMissingFile) {
  SmallModel small;
  std::filesystem::remove(small.weights());
  EXPECT_EQ(refusal(small.model()).code, Code::not_found);
}

TEST(CpuDriver, RefusesTensorsOfTheWrongShape) {
  SmallModel small;
  Weights weights = models::slim::make_weights(8, 1);
  std::vector<models::StoredTensor> tensors;
  models::slim::visit(weights, [&](const std::string& name, at::Tensor& tensor, const std::vector<int64_t>&, auto) {
    tensors.push_back(models::borrow(name, tensor));
    if (name == "classifier.weight") std::swap(tensors.back().shape[0], tensors.back().shape[1]);
  });
  ASSERT_TRUE(models::write_safetensors(small.weights(), tensors,
                                        {{"format", "takt.slim_resnet.1"}, {"base_width", "8"}, {"calibrated", "no"}}));
  small.sign();
  EXPECT_TRUE(says(refusal(small.model()), Code::corrupt, "shape"));
}

TEST(CpuDriver, RefusesANetworkThatNeedsMoreActivationThanTheDescriptionGrants) {
  SmallModel small;
  ASSERT_TRUE(models::slim::write_weights(small.weights(), models::slim::make_weights(16, 1)));
  small.sign();
  EXPECT_TRUE(says(refusal(small.model()), Code::invalid_argument, "activation_bytes"));
}

TEST(CpuDriver, RefusesAnUnknownModule) {
  SmallModel small;
  small.model().module = "rnn";
  EXPECT_TRUE(says(refusal(small.model()), Code::not_found, "module"));
}

TEST(CpuDriver, RefusesADescriptionOfAnotherNetwork) {
  const auto refused = [](void (*change)(Model&), const char* words) {
    SmallModel small;
    change(small.model());
    return says(refusal(small.model()), Code::invalid_argument, words);
  };
  EXPECT_TRUE(refused([](Model& m) { m.outputs[0].dims = {10}; }, "output"));
  EXPECT_TRUE(refused([](Model& m) { m.outputs[0].dtype = DType::f16; }, "output"));
  EXPECT_TRUE(refused([](Model& m) { m.outputs.push_back(m.outputs[0]); }, "one output"));
  EXPECT_TRUE(refused([](Model& m) { m.normalise.width = 16; }, "normalise"));
  EXPECT_TRUE(refused([](Model& m) { m.normalise.deviation[1] = 0; }, "deviations"));
  EXPECT_TRUE(refused([](Model& m) { m.segments[2].widths[3] = "0.9"; }, "widths"));
  EXPECT_TRUE(refused([](Model& m) { m.segments.pop_back(); }, "segments"));
  EXPECT_TRUE(refused([](Model& m) { m.variants[0].activation_bytes = 12287; }, "activation_bytes"));
}

TEST(CpuDriver, RefusesAcceleratorsItCannotRunSafely) {
  const auto driver = test::make_cpu_driver();
  ASSERT_TRUE(driver);
  EXPECT_FALSE(driver->open(16, {.name = "a", .cores = {}, .threads = 1}));
  EXPECT_FALSE(driver->open(0, {.name = "a", .cores = {}, .threads = 0}));
  const auto mismatch = driver->open(0, {.name = "a", .cores = {0}, .threads = 2});
  ASSERT_FALSE(mismatch);
  EXPECT_TRUE(says(mismatch.error(), Code::invalid_argument, "cores"));
  const std::string policy = std::getenv("OMP_WAIT_POLICY") != nullptr ? std::getenv("OMP_WAIT_POLICY") : "";
  ::setenv("OMP_WAIT_POLICY", "ACTIVE", 1);
  const auto spinning = driver->open(0, {.name = "a", .cores = {0, 1}, .threads = 2});
  ::setenv("OMP_WAIT_POLICY", policy.c_str(), 1);
  ASSERT_FALSE(spinning);
  EXPECT_TRUE(says(spinning.error(), Code::invalid_argument, "OMP_WAIT_POLICY=PASSIVE"));
  EXPECT_FALSE(driver->enter(0, Criticality::hard)) << "it is not open";
}

}  // namespace
}  // namespace takt
