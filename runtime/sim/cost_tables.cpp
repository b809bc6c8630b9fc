// Reading of cost tables and request traces: every cell is checked, a wrong one is told with its file and line.
#include "sim/cost_tables.hpp"

#include <algorithm>
#include <utility>

#include "files/xml.hpp"
#include "sim/csv.hpp"

namespace takt::sim {
namespace {

constexpr double kMostCycles = 1e15;  // times stay far within 64 bits of nanoseconds
constexpr std::int64_t kMostBytes = std::int64_t{1} << 50;

// A table while it is read: the first thing that was wrong is kept, later calls then return zeros.
class Sheet {
 public:
  Sheet(std::string_view csv, const std::filesystem::path& file) : file_(file.string()), lines_(csv_lines(csv)) {
    if (lines_.empty()) refuse(1, "", "is empty");
  }

  [[nodiscard]] bool ok() const { return !first_; }
  [[nodiscard]] const InputError& error() const { return *first_; }
  [[nodiscard]] const std::vector<CsvLine>& lines() const { return lines_; }

  void refuse(int line, std::string key, std::string text) {
    if (ok()) first_ = InputError{file_, line, std::move(key), std::move(text)};
  }

  // The position of a column that must be there.
  std::size_t column(std::string_view name) {
    const auto found = lines_.empty() ? std::nullopt : csv_column(lines_[0], name);
    if (!found) refuse(1, std::string(name), "there is no such column");
    return found.value_or(0);
  }

  std::string_view cell(const CsvLine& line, std::size_t at) {
    if (at < line.cells.size()) return line.cells[at];
    refuse(line.number, name(at), "the line ends before this column");
    return {};
  }

  double number(const CsvLine& line, std::size_t at, double most = kMostCycles) {
    const std::string_view text = cell(line, at);
    const auto value = csv_number(text);
    if (value && *value <= most) return *value;
    refuse(line.number, name(at), "'" + std::string(text.substr(0, 60)) + "' is no number from 0 to a sensible end");
    return 0;
  }

  std::int64_t integer(const CsvLine& line, std::size_t at, std::int64_t most) {
    const std::string_view text = cell(line, at);
    const auto value = files::parse_number<std::int64_t>(text);
    if (value && *value >= 0 && *value <= most) return *value;
    refuse(line.number, name(at),
           "'" + std::string(text.substr(0, 60)) + "' is no whole number from 0 to " + std::to_string(most));
    return 0;
  }

 private:
  [[nodiscard]] std::string name(std::size_t at) const {
    return at < lines_[0].cells.size() ? std::string(lines_[0].cells[at]) : "column " + std::to_string(at + 1);
  }

  std::string file_;
  std::vector<CsvLine> lines_;
  std::optional<InputError> first_;
};

tl::unexpected<InputError> wrong(const Sheet& sheet) {
  return tl::unexpected<InputError>(sheet.error());
}

struct TypeColumns {
  std::size_t cycles, energy_nj, dram_bytes;
};

// An accelerator type is whatever has a column of cycles.
std::vector<TypeColumns> find_types(Sheet& sheet, LayerTable& table) {
  constexpr std::string_view kSuffix = "_cycles";
  std::vector<TypeColumns> columns;
  for (const std::string_view cell : sheet.lines()[0].cells) {
    if (!cell.ends_with(kSuffix)) continue;
    const std::string type(cell.substr(0, cell.size() - kSuffix.size()));
    if (table.find_type(type)) sheet.refuse(1, std::string(cell), "the column is there twice");
    table.types.push_back(type);
    columns.push_back({sheet.column(cell), sheet.column(type + "_energy_nj"), sheet.column(type + "_dram_bytes")});
  }
  if (columns.empty()) sheet.refuse(1, "", "there is no column that ends in _cycles");
  return columns;
}

}  // namespace

std::optional<std::size_t> LayerTable::find_type(std::string_view type) const {
  const auto found = std::find(types.begin(), types.end(), type);
  if (found == types.end()) return std::nullopt;
  return static_cast<std::size_t>(found - types.begin());
}

Parsed<LayerTable> parse_layer_table(std::string_view csv, const std::filesystem::path& file) {
  Sheet sheet(csv, file);
  if (!sheet.ok()) return wrong(sheet);
  LayerTable table{file, {}, {}};
  const std::size_t index = sheet.column("index"), block = sheet.column("block"), skippable = sheet.column("skippable"),
                    output = sheet.column("output_bytes");
  const std::vector<TypeColumns> types = find_types(sheet, table);
  const std::size_t width = sheet.lines()[0].cells.size();
  for (std::size_t i = 1; i < sheet.lines().size() && sheet.ok(); ++i) {
    const CsvLine& line = sheet.lines()[i];
    if (line.cells.size() != width)
      sheet.refuse(line.number, "",
                   "has " + std::to_string(line.cells.size()) + " cells, not " + std::to_string(width));
    if (sheet.integer(line, index, kMostBytes) != static_cast<std::int64_t>(i - 1))
      sheet.refuse(line.number, "index", "must be " + std::to_string(i - 1) + ": layers are in order");
    Layer layer{std::string(sheet.cell(line, block)),
                sheet.integer(line, skippable, 1) == 1,
                sheet.integer(line, output, kMostBytes),
                {}};
    for (const TypeColumns& at : types)
      layer.on.push_back(
          {sheet.number(line, at.cycles), sheet.number(line, at.energy_nj), sheet.number(line, at.dram_bytes)});
    table.layers.push_back(std::move(layer));
  }
  if (table.layers.empty()) sheet.refuse(1, "", "has no layers");
  if (!sheet.ok()) return wrong(sheet);
  return table;
}

// The table ends at the first row that does not start with a number: what follows are other operations and totals.
Parsed<MeasuredTable> parse_measured_table(std::string_view csv, const std::filesystem::path& file) {
  Sheet sheet(csv, file);
  if (!sheet.ok()) return wrong(sheet);
  MeasuredTable table{file, {}};
  std::array<std::size_t, kTileGroups> prediction{};
  for (std::size_t k = 0; k < kTileGroups; ++k)
    prediction[k] = sheet.column(std::to_string(kTileGroupSizes[k]) + " core prediction");
  const std::size_t dram = sheet.column("from dram");
  for (std::size_t i = 1; i < sheet.lines().size() && sheet.ok(); ++i) {
    const CsvLine& line = sheet.lines()[i];
    if (!csv_number(line.cells[0])) break;
    MeasuredLayer layer;
    for (std::size_t k = 0; k < kTileGroups; ++k) layer.cycles[k] = sheet.number(line, prediction[k]);
    layer.dram_lines = sheet.number(line, dram);
    table.layers.push_back(layer);
  }
  if (table.layers.empty()) sheet.refuse(1, "", "has no layers");
  if (!sheet.ok()) return wrong(sheet);
  return table;
}

// Columns: kind, number, seven repeats, a blank, least, most, mean. There is no header.
Parsed<void> parse_repeats(std::string_view csv, const std::filesystem::path& file, MeasuredTable& table) {
  constexpr std::size_t kFirstRepeat = 2, kMean = kFirstRepeat + kRepeats + 3;
  Sheet sheet(csv, file);
  if (!sheet.ok()) return wrong(sheet);
  std::size_t n = 0;
  for (const CsvLine& line : sheet.lines()) {
    if (line.cells[0] != "conv" && line.cells[0] != "matmul") continue;
    if (n++ >= table.layers.size()) continue;
    MeasuredLayer& layer = table.layers[n - 1];
    for (std::size_t r = 0; r < kRepeats; ++r) layer.repeat[r] = sheet.number(line, kFirstRepeat + r);
    layer.mean = sheet.number(line, kMean);
    if (layer.mean == 0) sheet.refuse(line.number, "mean", "must be over 0");
  }
  if (n != table.layers.size())
    sheet.refuse(sheet.lines().back().number, "",
                 "has " + std::to_string(n) + " rows conv or matmul, but " + table.file.filename().string() + " has " +
                     std::to_string(table.layers.size()) + " layers");
  if (!sheet.ok()) return wrong(sheet);
  return {};
}

Parsed<std::vector<Request>> parse_request_trace(std::string_view csv, const std::filesystem::path& file) {
  constexpr std::int64_t kMostPriority = 1'000'000;
  constexpr std::int64_t kLatest = std::int64_t{1} << 53;  // about 100 days
  Sheet sheet(csv, file);
  if (!sheet.ok()) return wrong(sheet);
  const std::size_t model = sheet.column("model"), priority = sheet.column("priority"),
                    arrival = sheet.column("arrival_cycles");
  std::vector<Request> requests;
  for (std::size_t i = 1; i < sheet.lines().size() && sheet.ok(); ++i) {
    const CsvLine& line = sheet.lines()[i];
    requests.push_back({std::string(sheet.cell(line, model)), sheet.integer(line, priority, kMostPriority),
                        sheet.integer(line, arrival, kLatest)});
    if (!files::is_name(requests.back().network)) sheet.refuse(line.number, "model", "is no name of a network");
  }
  if (requests.empty()) sheet.refuse(1, "", "has no requests");
  if (!sheet.ok()) return wrong(sheet);
  return requests;
}

Parsed<std::vector<Request>> read_request_trace(const std::filesystem::path& file) {
  const auto text = files::read_text(file);
  if (!text) return tl::unexpected<InputError>(text.error());
  return parse_request_trace(*text, file);
}

Parsed<const LayerTable*> CostTables::layers(const std::filesystem::path& folder, const std::string& model) {
  const std::filesystem::path file = folder / (model + ".csv");
  if (const auto known = layers_.find(file); known != layers_.end()) return &known->second;
  const auto text = files::read_text(file);
  if (!text) return tl::unexpected<InputError>(text.error());
  auto table = parse_layer_table(*text, file);
  if (!table) return tl::unexpected<InputError>(table.error());
  return &layers_.emplace(file, std::move(*table)).first->second;
}

Parsed<const MeasuredTable*> CostTables::measured(const std::filesystem::path& folder, const std::string& net) {
  const std::filesystem::path file = folder / (net + ".csv"), repeats = folder / (net + "_1.csv");
  if (const auto known = measured_.find(file); known != measured_.end()) return &known->second;
  const auto text = files::read_text(file);
  if (!text) return tl::unexpected<InputError>(text.error());
  auto table = parse_measured_table(*text, file);
  if (!table) return tl::unexpected<InputError>(table.error());
  const auto measured = files::read_text(repeats);
  if (!measured) return tl::unexpected<InputError>(measured.error());
  const auto filled = parse_repeats(*measured, repeats, *table);
  if (!filled) return tl::unexpected<InputError>(filled.error());
  return &measured_.emplace(file, std::move(*table)).first->second;
}

}  // namespace takt::sim
