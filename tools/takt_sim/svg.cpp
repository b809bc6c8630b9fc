// SVG plots; see svg.hpp.
#include "svg.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "document.hpp"

namespace takt::tool {
namespace {

constexpr double kLetter = 7.2;  // most that a letter of the page's 12 px takes, nearly

std::string num(double v, const char* format = "%.1f") {
  char text[32];
  std::snprintf(text, sizeof text, format, v);
  return text;
}

std::string colour(int k) {
  return "var(--s" + std::to_string(std::clamp(k, 0, kColours - 1)) + ")";
}

class Canvas {
 public:
  Canvas(double width, double height) {
    out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + num(width, "%.0f") + "\" height=\"" +
           num(height, "%.0f") + "\" viewBox=\"0 0 " + num(width, "%.0f") + ' ' + num(height, "%.0f") +
           "\" role=\"img\">";
  }
  Canvas& line(double x1, double y1, double x2, double y2, const std::string& attributes) {
    out_ += "<line x1=\"" + num(x1) + "\" y1=\"" + num(y1) + "\" x2=\"" + num(x2) + "\" y2=\"" + num(y2) + "\" " +
            attributes + "/>";
    return *this;
  }
  Canvas& text(double x, double y, const std::string& words, const std::string& attributes = "") {
    out_ += "<text x=\"" + num(x) + "\" y=\"" + num(y) + "\" " + attributes + '>' + escaped(words) + "</text>";
    return *this;
  }
  Canvas& rect(double x, double y, double width, double height, const std::string& attributes) {
    out_ += "<rect x=\"" + num(x) + "\" y=\"" + num(y) + "\" width=\"" + num(std::max(width, 0.0)) + "\" height=\"" +
            num(height) + "\" " + attributes + "/>";
    return *this;
  }
  Canvas& circle(double x, double y, double r, const std::string& attributes) {
    out_ += "<circle cx=\"" + num(x) + "\" cy=\"" + num(y) + "\" r=\"" + num(r) + "\" " + attributes + "/>";
    return *this;
  }
  Canvas& polyline(const std::vector<std::pair<double, double>>& points, const std::string& attributes) {
    out_ += "<polyline fill=\"none\" " + attributes + " points=\"";
    for (const auto& [x, y] : points) out_ += num(x) + ',' + num(y) + ' ';
    out_ += "\"/>";
    return *this;
  }
  [[nodiscard]] std::string done() { return std::move(out_) + "</svg>"; }

 private:
  std::string out_;
};

// From values to places on the page.
struct Scale {
  double low = 0, high = 1, from = 0, to = 1;
  bool logarithmic = false;
  [[nodiscard]] double at(double v) const {
    const auto f = [&](double x) { return logarithmic ? std::log(x) : x; };
    return from + (to - from) * (f(v) - f(low)) / (f(high) - f(low));
  }
};

std::vector<double> log_ticks(double low, double high) {
  std::vector<double> ticks;
  for (double decade = std::pow(10, std::floor(std::log10(low))); decade <= high * 10; decade *= 10)
    for (const double m : {1.0, 2.0, 5.0})
      if (m * decade >= low / 2.1 && (ticks.empty() || ticks.back() < high)) ticks.push_back(m * decade);
  return ticks;
}

struct Extent {
  double low = INFINITY, high = -INFINITY;
  void add(double v) { low = std::min(low, v), high = std::max(high, v); }
};

std::vector<double> ticks_of(const Axis& axis, Extent e) {
  if (!axis.ticks.empty()) return axis.ticks;
  if (e.low > e.high) e = {0, 1};
  if (axis.logarithmic) return log_ticks(e.low, e.high);
  return round_ticks(std::min(0.0, e.low), e.high);
}

std::size_t longest(const std::vector<Series>& all) {
  std::size_t most = 0;
  for (const Series& s : all) most = std::max(most, s.name.size());
  return most;
}

// Frame, grid, ticks and titles of a plot.
struct Field {
  Scale x, y;
  Field(Canvas& c, const Axis& ax, const Axis& ay, const std::vector<double>& tx, const std::vector<double>& ty,
        double left, double top, double right, double bottom)
      : x{tx.front(), tx.back(), left, right, ax.logarithmic}, y{ty.front(), ty.back(), bottom, top, ay.logarithmic} {
    for (const double t : ty) {
      c.line(left, y.at(t), right, y.at(t), "class=\"grid\"");
      c.text(left - 6, y.at(t) + 4, num(t, "%g"), "class=\"soft\" text-anchor=\"end\"");
    }
    for (const double t : tx) {
      c.line(x.at(t), bottom, x.at(t), bottom + 4, "class=\"axis\"");
      c.text(x.at(t), bottom + 17, num(t, "%g"), "class=\"soft\" text-anchor=\"middle\"");
    }
    c.line(left, bottom, right, bottom, "class=\"axis\"");
    c.text((left + right) / 2, bottom + 34, ax.title, "text-anchor=\"middle\"");
    c.text(4, top - 10, ay.title);
  }
};

// Heights of labels that want `wanted` but must not overlap.
std::vector<double> spread_labels(const std::vector<double>& wanted, double gap, double top, double bottom) {
  std::vector<std::size_t> order(wanted.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });
  std::vector<double> y(wanted.size());
  double last = top - gap;
  for (const std::size_t i : order) last = y[i] = std::max(wanted[i], last + gap);
  double next = bottom + gap;
  for (std::size_t k = order.size(); k-- > 0;) {
    if (y[order[k]] > next - gap) y[order[k]] = next - gap;
    next = y[order[k]];
  }
  return y;
}

void name_ends(Canvas& c, const std::vector<Series>& series, const Field& f, double right, double top, double bottom) {
  std::vector<double> wanted;
  for (const Series& s : series) wanted.push_back(s.points.empty() ? bottom : f.y.at(s.points.back().second));
  const std::vector<double> at = spread_labels(wanted, 14, top, bottom);
  for (std::size_t i = 0; i < series.size(); ++i) {
    c.line(right + 2, wanted[i], right + 12, at[i],
           "stroke=\"" + colour(series[i].colour) + "\" stroke-opacity=\"0.5\"");
    c.text(right + 15, at[i] + 4, series[i].name, "style=\"fill:" + colour(series[i].colour) + "\"");
  }
}

}  // namespace

std::vector<double> round_ticks(double low, double high, std::size_t about) {
  if (!(high > low)) high = low + 1;
  const double raw = (high - low) / static_cast<double>(about), decade = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * decade;
  for (const double m : {1.0, 2.0, 2.5, 5.0})
    if (m * decade >= raw * 0.999) {
      step = m * decade;
      break;
    }
  std::vector<double> ticks;
  const double first = std::floor(low / step);
  for (double k = first; ticks.empty() || ticks.back() < high - 1e-9 * step; ++k) ticks.push_back(k * step);
  return ticks;
}

std::string line_plot(const std::vector<Series>& series, const Axis& x, const Axis& y, int width, int height) {
  Extent ex, ey;
  for (const Series& s : series)
    for (const auto& [px, py] : s.points) ex.add(px), ey.add(py);
  const double left = 46, top = 30, bottom = height - 44,
               right = width - 20 - kLetter * static_cast<double>(longest(series));
  Canvas c(width, height);
  const Field f(c, x, y, ticks_of(x, ex), ticks_of(y, ey), left, top, right, bottom);
  for (const Series& s : series) {
    std::vector<std::pair<double, double>> points;
    for (const auto& [px, py] : s.points) points.emplace_back(f.x.at(px), f.y.at(py));
    const std::string stroke = "stroke=\"" + colour(s.colour) + "\"";
    c.polyline(points, stroke + " stroke-width=\"2\"" + (s.dashed ? " stroke-dasharray=\"5 4\"" : ""));
    if (points.size() < 12)
      for (const auto& [px, py] : points) c.circle(px, py, 3, "fill=\"" + colour(s.colour) + "\"");
  }
  name_ends(c, series, f, right, top, bottom);
  return c.done();
}

std::string bar_plot(const std::vector<Bar>& bars, const std::string& title, int width, double most) {
  constexpr double kRow = 20;
  const double top = title.empty() ? 4 : 24;
  std::size_t name = 0, text = 0;
  for (const Bar& b : bars)
    name = std::max(name, b.name.size()), text = std::max(text, b.text.size()), most = std::max(most, b.value);
  const double left = 8 + kLetter * static_cast<double>(name), right = width - 12 - kLetter * static_cast<double>(text);
  Canvas c(width, top + kRow * static_cast<double>(bars.size()) + 6);
  c.text(4, 14, title, "font-weight=\"600\"");
  const Scale x{0, most > 0 ? most : 1, left, right};
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const Bar& b = bars[i];
    const double y = top + kRow * static_cast<double>(i);
    c.text(left - 6, y + 13, b.name, "text-anchor=\"end\"");
    c.rect(left, y + 3, x.at(b.value) - left, kRow - 6, "fill=\"" + colour(b.colour) + "\"");
    c.text(x.at(b.value) + 5, y + 13, b.text, "class=\"soft\"");
  }
  c.line(left, top, left, top + kRow * static_cast<double>(bars.size()), "class=\"axis\"");
  return c.done();
}

std::string range_plot(const std::vector<Range>& ranges, const Axis& x, std::optional<double> equal, int width) {
  constexpr double kRow = 22, kTop = 26;
  std::size_t name = 0, text = 0;
  Extent e;
  e.add(0), e.add(equal.value_or(0));
  for (const Range& r : ranges)
    name = std::max(name, r.name.size()), text = std::max(text, r.text.size()), e.add(r.high), e.add(r.value);
  const double left = 10 + kLetter * static_cast<double>(name),
               right = width - 14 - kLetter * static_cast<double>(text);
  const double bottom = kTop + kRow * static_cast<double>(ranges.size());
  Canvas c(width, bottom + 42);
  const std::vector<double> ticks = ticks_of(x, e);
  const Scale s{ticks.front(), ticks.back(), left, right};
  for (const double t : ticks) {
    c.line(s.at(t), kTop, s.at(t), bottom, "class=\"grid\"");
    c.text(s.at(t), bottom + 16, num(t, "%g"), "class=\"soft\" text-anchor=\"middle\"");
  }
  c.text((left + right) / 2, bottom + 34, x.title, "text-anchor=\"middle\"");
  if (equal) {
    c.line(s.at(*equal), kTop - 4, s.at(*equal), bottom,
           "stroke=\"" + colour(1) + "\" stroke-dasharray=\"5 4\" stroke-width=\"1.5\"");
    c.text(s.at(*equal), kTop - 9, "equal", "style=\"fill:" + colour(1) + "\" text-anchor=\"middle\"");
  }
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const Range& r = ranges[i];
    const double y = kTop + kRow * (static_cast<double>(i) + 0.5);
    const std::string paint = colour(r.colour);
    c.text(left - 8, y + 4, r.name, "text-anchor=\"end\"");
    c.line(s.at(r.low), y, s.at(r.high), y, "stroke=\"" + paint + "\" stroke-width=\"2\"");
    c.circle(s.at(r.value), y, 4.5, "fill=\"" + paint + "\"");
    c.text(right + 10, y + 4, r.text, "class=\"soft\"");
  }
  return c.done();
}

std::string path_plot(const std::vector<Series>& paths, const Axis& x, const Axis& y, int size) {
  Extent ex, ey;
  for (const Series& s : paths)
    for (const auto& [px, py] : s.points) ex.add(px), ey.add(py);
  const double left = 46, top = 30, bottom = size - 44, right = size - 10;
  Canvas c(size, size);
  const Field f(c, x, y, ticks_of(x, ex), ticks_of(y, ey), left, top, right, bottom);
  double name_at = right;
  for (const Series& s : paths) {
    if (s.points.empty()) continue;
    std::vector<std::pair<double, double>> points;
    for (const auto& [px, py] : s.points) points.emplace_back(f.x.at(px), f.y.at(py));
    const std::string paint = colour(s.colour);
    c.polyline(points, "stroke=\"" + paint + "\" stroke-width=\"1.5\"" + (s.dashed ? " stroke-dasharray=\"4 3\"" : ""));
    c.circle(points.front().first, points.front().second, 4,
             "fill=\"var(--ground)\" stroke-width=\"2\" stroke=\"" + paint + "\"");
    c.circle(points.back().first, points.back().second, 4, "fill=\"" + paint + "\"");
    c.text(name_at, top - 14, s.name, "text-anchor=\"end\" style=\"fill:" + paint + "\"");
    name_at -= kLetter * static_cast<double>(s.name.size()) + 12;
  }
  return c.done();
}

}  // namespace takt::tool
