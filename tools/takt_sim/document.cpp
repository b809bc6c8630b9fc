// Markdown and HTML; see document.hpp.
#include "document.hpp"

#include <cctype>

#include "style.hpp"

namespace takt::tool {
namespace {

bool numeric(const std::string& cell) {
  return cell.empty() || cell == "-" || std::isdigit(static_cast<unsigned char>(cell[0])) != 0 ||
         (cell.size() > 1 && (cell[0] == '-' || cell[0] == '+') &&
          std::isdigit(static_cast<unsigned char>(cell[1])) != 0);
}

// A column is of numbers if every cell is.
bool numeric(const Table& t, std::size_t column) {
  if (column == 0) return false;
  for (const auto& row : t.rows)
    if (column < row.size() && !numeric(row[column])) return false;
  return true;
}

// `code` to <code>.
std::string inline_html(const std::string& text) {
  std::string out;
  bool inside = false;
  for (const char c : escaped(text)) {
    if (c != '`') {
      out += c;
      continue;
    }
    out += inside ? "</code>" : "<code>";
    inside = !inside;
  }
  return inside ? out + "</code>" : out;
}

std::string in_cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.replace(at, 1, "\\|");
  return text;
}

struct Markdown {
  std::string operator()(const Heading& h) const {
    return std::string(static_cast<std::size_t>(h.level), '#') + ' ' + h.text + "\n\n";
  }
  std::string operator()(const Paragraph& p) const { return p.text + "\n\n"; }
  std::string operator()(const Items& list) const {
    std::string out;
    for (const std::string& text : list.texts) out += "- " + text + '\n';
    return out + '\n';
  }
  std::string operator()(const Table& t) const {
    std::string out = t.caption.empty() ? "" : t.caption + "\n\n";
    std::string rule;
    for (std::size_t c = 0; c < t.head.size(); ++c) {
      out += "| " + in_cell(t.head[c]) + ' ';
      rule += numeric(t, c) ? "|---:" : "|---";
    }
    out += "|\n" + rule + "|\n";
    for (const auto& row : t.rows) {
      for (const std::string& cell : row) out += "| " + in_cell(cell) + ' ';
      out += "|\n";
    }
    return out + '\n';
  }
  std::string operator()(const Figure& f) const { return "(Figure in the HTML page: " + f.title + ")\n\n"; }
};

struct Html {
  std::string operator()(const Heading& h) const {
    const std::string tag = "h" + std::to_string(h.level);
    return '<' + tag + '>' + inline_html(h.text) + "</" + tag + ">\n";
  }
  std::string operator()(const Paragraph& p) const { return "<p>" + inline_html(p.text) + "</p>\n"; }
  std::string operator()(const Items& list) const {
    std::string out = "<ul>\n";
    for (const std::string& text : list.texts) out += "<li>" + inline_html(text) + "</li>\n";
    return out + "</ul>\n";
  }
  std::string operator()(const Table& t) const {
    std::string out = "<div class=\"scroll\"><table>\n";
    if (!t.caption.empty()) out += "<caption>" + inline_html(t.caption) + "</caption>\n";
    out += "<thead><tr>";
    for (std::size_t c = 0; c < t.head.size(); ++c) out += cell("th", numeric(t, c), t.head[c]);
    out += "</tr></thead>\n<tbody>\n";
    for (std::size_t r = 0; r < t.rows.size(); ++r) {
      out += r == t.emphasised ? "<tr class=\"own\">" : "<tr>";
      for (std::size_t c = 0; c < t.rows[r].size(); ++c) out += cell("td", numeric(t, c), t.rows[r][c]);
      out += "</tr>\n";
    }
    return out + "</tbody></table></div>\n";
  }
  std::string operator()(const Figure& f) const {
    return "<figure>" + f.svg + "<figcaption><b>" + inline_html(f.title) + "</b> " + inline_html(f.note) +
           "</figcaption></figure>\n";
  }
  static std::string cell(const std::string& tag, bool number, const std::string& text) {
    return '<' + tag + (number ? " class=\"n\">" : ">") + inline_html(text) + "</" + tag + '>';
  }
};

}  // namespace

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string to_markdown(const Document& d) {
  std::string out = "# " + d.title + "\n\n";
  for (const Block& block : d.blocks) out += std::visit(Markdown{}, block);
  return out;
}

std::string to_html(const Document& d) {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><meta name=\"viewport\" "
      "content=\"width=device-width\"/><title>" +
      escaped(d.title) + "</title><style>" + kStyle + "</style></head>\n<body><h1>" + escaped(d.title) + "</h1>\n";
  bool row = false;  // neighbouring figures, and neighbouring tables, share a row where they fit
  std::size_t kind = 0;
  for (const Block& block : d.blocks) {
    const bool shares = std::holds_alternative<Figure>(block) || std::holds_alternative<Table>(block);
    if (row && (!shares || block.index() != kind)) out += "</div>\n", row = false;
    if (shares && !row) out += "<div class=\"row\">\n", row = true;
    kind = block.index();
    out += std::visit(Html{}, block);
  }
  return out + (row ? "</div>\n" : "") + "</body></html>\n";
}

}  // namespace takt::tool
