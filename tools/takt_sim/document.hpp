// A report as blocks, written as Markdown or as one self-contained HTML page.
#pragma once

#include <string>
#include <variant>
#include <vector>

namespace takt::tool {

struct Heading {
  std::string text;
  int level = 2;
};
struct Paragraph {
  std::string text;  // `code` is marked as in Markdown
};
struct Items {
  std::vector<std::string> texts;
};
// The first column is text, the others are numbers unless a cell does not look like one.
struct Table {
  std::string caption;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
  std::size_t emphasised = static_cast<std::size_t>(-1);  // a row
};
struct Figure {
  std::string title, note;
  std::string svg;  // only in HTML
};

using Block = std::variant<Heading, Paragraph, Items, Table, Figure>;

struct Document {
  std::string title;
  std::vector<Block> blocks;
};

[[nodiscard]] std::string to_markdown(const Document& document);
// Light or dark as the reader prefers; no scripts, nothing from elsewhere.
[[nodiscard]] std::string to_html(const Document& document);

// With &, <, > and quotes as entities.
[[nodiscard]] std::string escaped(const std::string& text);

}  // namespace takt::tool
