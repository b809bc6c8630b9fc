// Plots and documents: axes that cover their data, text that stays text.
#include "svg.hpp"

#include <gtest/gtest.h>

#include "document.hpp"

namespace takt::tool {
namespace {

TEST(RoundTicks, CoverTheDataInRoundSteps) {
  EXPECT_EQ(round_ticks(0, 10), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(round_ticks(0, 1.02, 5).back(), 1.25);
  EXPECT_EQ(round_ticks(0, 0).front(), 0) << "also where there is nothing to show";
}

TEST(Plots, EscapeTheirLabels) {
  EXPECT_NE(bar_plot({{.name = "a<b&c", .value = 1, .text = "1"}}, "t").find("a&lt;b&amp;c"), std::string::npos);
}

TEST(Plots, ShowASeriesOfOnePointAndNone) {
  const std::string svg =
      line_plot({{.name = "one", .colour = 0, .points = {{1, 2}}}, {.name = "none", .colour = 1, .points = {}}},
                {.title = "x"}, {.title = "y"});
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

TEST(Documents, WriteTablesInBothForms) {
  const Document d{.title = "T & U",
                   .blocks = {Table{.caption = "c", .head = {"name", "n"}, .rows = {{"a|b", "1.5"}}}}};
  EXPECT_NE(to_markdown(d).find("| name | n |\n|---|---:|\n| a\\|b | 1.5 |\n"), std::string::npos);
  EXPECT_NE(to_html(d).find("<td>a|b</td><td class=\"n\">1.5</td>"), std::string::npos);
  EXPECT_NE(to_html(d).find("<title>T &amp; U</title>"), std::string::npos);
}

}  // namespace
}  // namespace takt::tool
