// Composition: which names make a policy, and errors that list what there is.
#include "policies/support/compose.hpp"

#include <gtest/gtest.h>

namespace takt::test {
namespace {

TEST(ComposePolicy, MakesADispatcherWithAnyStagesInAnyOrder) {
  for (const char* name : {"edf", "fcfs", "llf", "edf+drop", "drop+edf", "edf+fit", "fit+drop+llf", "edf+drop+fit", "edf+early_drop+fit"}) {
    const auto policy = compose_policy(name);
    ASSERT_TRUE(policy) << name << ": " << policy.error();
    EXPECT_NE(policy->get(), nullptr);
  }
}

void expect_error(const char* name, const std::string& says) {
  const auto policy = compose_policy(name);
  ASSERT_FALSE(policy) << name;
  EXPECT_NE(policy.error().find(says), std::string::npos) << policy.error();
  for (const PolicyEntry* entry : policy_table())
    EXPECT_NE(policy.error().find(entry->name), std::string::npos)
        << policy.error() << " does not name " << entry->name;
}

TEST(ComposePolicy, SaysWhatIsWrongAndListsWhatThereIs) {
  expect_error("nonsense", "no policy 'nonsense'");
  expect_error("edf+nonsense", "no policy 'nonsense'");
  expect_error("EDF", "no policy 'EDF'");
  expect_error("edf +drop", "no policy 'edf '");
  expect_error("fit", "has no dispatcher");
  expect_error("drop+fit", "has no dispatcher");
  expect_error("edf+llf", "two stages of one kind");
  expect_error("edf+drop+drop", "two stages of one kind");
}

TEST(ComposePolicy, RefusesEmptyStages) {
  for (const char* name : {"", "+", "edf+", "+edf", "edf++drop"}) expect_error(name, "no policy ''");
}

}  // namespace
}  // namespace takt::test
