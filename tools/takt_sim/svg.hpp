// Plots as SVG text for the report's page: colours and fonts are the page's, names stand beside what they name.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace takt::tool {

// Colours by number, 0 to 6; 0 is for what the report is about, 6 is grey.
inline constexpr int kColours = 7;

struct Axis {
  std::string title;
  bool logarithmic = false;   // then all values are above 0
  std::vector<double> ticks;  // empty: round numbers; else these, evenly spaced
};

struct Series {
  std::string name;
  int colour = 6;
  std::vector<std::pair<double, double>> points;  // x ascending; finite
  bool dashed = false;
};
// y over x; linear y begins at 0. Names stand at the right ends.
[[nodiscard]] std::string line_plot(const std::vector<Series>& series, const Axis& x, const Axis& y, int width = 420,
                                    int height = 260);

struct Bar {
  std::string name;
  double value = 0;
  std::string text;  // beside its end
  int colour = 6;
};
// Horizontal, from 0 to the largest or to `most`, in the order given.
[[nodiscard]] std::string bar_plot(const std::vector<Bar>& bars, const std::string& title, int width = 480,
                                   double most = 0);

struct Range {
  std::string name;
  double value = 0, low = 0, high = 0;
  std::string text;
  int colour = 6;
};
// A dot with its interval a line, from 0 on; `equal`: a line that separates better from worse.
[[nodiscard]] std::string range_plot(const std::vector<Range>& ranges, const Axis& x, std::optional<double> equal,
                                     int width = 560);

// Paths in the plane: an open circle at the first point, a full one at the last; names at the top.
[[nodiscard]] std::string path_plot(const std::vector<Series>& paths, const Axis& x, const Axis& y, int size = 300);

// Round numbers that cover [low, high].
[[nodiscard]] std::vector<double> round_ticks(double low, double high, std::size_t about = 5);

}  // namespace takt::tool
