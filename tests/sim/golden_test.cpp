// Traces and results of an independent implementation of the scenario semantics, seed 7: the same to the last digit.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "policies/support/compose.hpp"
#include "sim/engine.hpp"

namespace takt::sim {
namespace {

const std::filesystem::path kFolder = std::string(TAKT_SOURCE_DIR) + "/tests/golden/scenarios";

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Integers, texts and times exactly, other numbers to 1e-12.
void expect_same(const nlohmann::json& ours, const nlohmann::json& theirs, const std::string& where) {
  if (theirs.is_number() && !theirs.is_number_integer()) {
    EXPECT_NEAR(ours.get<double>(), theirs.get<double>(), 1e-12 * std::max(1.0, std::abs(theirs.get<double>()))) << where;
  } else if (theirs.is_structured()) {
    ASSERT_EQ(ours.size(), theirs.size()) << where;
    for (const auto& [key, value] : theirs.items()) {
      if (theirs.is_array()) {
        expect_same(ours[std::stoul(key)], value, where + "/" + key);
      } else {
        ASSERT_TRUE(ours.contains(key)) << where << "/" << key;
        expect_same(ours[key], value, where + "/" + key);
      }
    }
  } else {
    EXPECT_EQ(ours, theirs) << where;
  }
}

class Golden : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(Golden, IsMetToTheLastDigit) {
  const auto [scenario, policy] = GetParam();
  std::string file = policy;
  std::replace(file.begin(), file.end(), ':', '_');
  const CaseOptions options{.seed = 7, .costs = std::string(TAKT_SOURCE_DIR) + "/configs/costs", .measured = std::string(TAKT_SOURCE_DIR) + "/configs/moca"};
  const auto loaded = load_case(kFolder / (std::string(scenario) + ".xml"), options);
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  auto made = compose_policy(policy);
  ASSERT_TRUE(made) << made.error();
  std::ostringstream trace;
  const Outcome outcome = simulate(*loaded, **made, policy, {.trace = &trace});
  EXPECT_TRUE(trace.str() == read(kFolder / (std::string(scenario) + "." + file + ".trace"))) << "the traces differ";
  expect_same(nlohmann::json::parse(to_json(outcome)), nlohmann::json::parse(read(kFolder / (std::string(scenario) + "." + file + ".json"))), "");
}

INSTANTIATE_TEST_SUITE_P(Scenarios, Golden,
                         ::testing::Combine(::testing::Values("tiny", "synthetic"),
                                            ::testing::Values("fcfs", "edf", "llf", "sjf", "edf+drop", "sdrm3", "sdrm3:drop",
                                                              "sdrm3:drop+supernet", "sdrm3:full")),
                         [](const auto& each) {
                           std::string name = std::string(std::get<0>(each.param)) + "_" + std::get<1>(each.param);
                           std::replace_if(name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
                           return name;
                         });

}  // namespace
}  // namespace takt::sim
