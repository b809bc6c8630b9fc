// The systems and loads that schedulers are compared on.
#include <gtest/gtest.h>

#include "sim/families.hpp"
#include "sim/subnets.hpp"

namespace takt::sim {
namespace {

const std::string kConfigs = std::string(TAKT_SOURCE_DIR) + "/configs";
constexpr std::array<const char*, 5> kScenarios{"vr_gaming", "ar_call", "drone_outdoor", "drone_indoor", "ar_social"};

files::Scenario scenario(const std::string& name) {
  auto read = files::read_scenario(kConfigs + "/scenarios/" + name + ".xml");
  EXPECT_TRUE(read) << read.error().to_string();
  return std::move(*read);
}

Case made(const files::Scenario& base, const System& system, const Load& load) {
  CostTables tables;
  auto c = make_case(base, system, load, {.seed = 1, .duration = std::chrono::seconds(1), .costs = kConfigs + "/costs", .measured = kConfigs + "/moca"}, tables);
  EXPECT_TRUE(c) << c.error().to_string();
  return std::move(*c);
}

// Most of its deadline that a chain takes, each layer on its best accelerator.
double longest_chain(const Case& c) {
  std::vector<double> chains;
  double most = 0;
  for (const Task& t : c.tasks) {
    const double before = t.parent >= 0 ? chains[static_cast<std::size_t>(t.parent)] : 0;
    chains.push_back(before + static_cast<double>(least_time(t.subnets[0]).count()));
    most = std::max(most, chains.back() / static_cast<double>(t.relative_deadline.count()));
  }
  return most;
}

TEST(Families, AreEightSystemsOf4KAnd8KUnits) {
  ASSERT_EQ(systems().size(), 8u);
  for (std::size_t i = 0; i < 8; ++i) {
    unsigned units = 0;
    for (const System::Part& part : systems()[i].parts)
      if (part.count > 0) units += part.count * static_cast<unsigned>(std::stoul(std::string(part.type.substr(3))));
    EXPECT_EQ(units, i < 4 ? 4096u : 8192u) << systems()[i].name;
  }
}

TEST(Families, OfChainsGiveTheLongestChainItsShareOfTheDeadline) {
  for (const char* name : kScenarios)
    for (const System& system : systems())
      EXPECT_NEAR(longest_chain(made(scenario(name), system, {Family::chain, 0.8})), 0.8, 1e-3) << name << " on " << system.name;
}

TEST(Families, OfUsersHaveTheWantedLoadAndNoMoreUsersThanChainsNeed) {
  for (const char* name : kScenarios) {
    const files::Scenario base = scenario(name);
    for (const System& system : systems()) {
      const Case c = made(base, system, {Family::users, 1.0});
      EXPECT_NEAR(c.load, 1.0, 2e-3) << name << " on " << system.name;
      EXPECT_LE(longest_chain(c), 0.6 + 1e-3);
      const auto users = static_cast<double>(c.tasks.size() / base.tasks.size());
      if (users > 1) {
        EXPECT_GT(longest_chain(c) * users / (users - 1), 0.6 - 1e-3) << "one user less would not do";
      }
    }
  }
}

TEST(Families, SpreadTheUsersOverThePeriod) {
  const Case c = made(scenario("drone_outdoor"), systems()[4], {Family::users, 0.5});
  ASSERT_GE(c.tasks.size(), 6u);
  const std::size_t users = c.tasks.size() / 3;
  EXPECT_EQ(c.tasks[3].name, "detection.2");
  for (const Release& r : c.releases) {
    if (r.frame > 0) continue;
    const Task& task = c.tasks[r.task];
    const Duration offset = task.period * static_cast<std::int64_t>(r.task / 3) / static_cast<std::int64_t>(users);
    EXPECT_GE(r.at, Instant{offset});
    EXPECT_LE(r.at, Instant{offset + std::chrono::milliseconds(2)});
  }
}

}  // namespace
}  // namespace takt::sim
