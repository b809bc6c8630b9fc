// Cost tables and request traces: read to the cell, refused with file and line.
#include "sim/cost_tables.hpp"

#include <gtest/gtest.h>

#include "files/texts.hpp"

namespace takt::sim {
namespace {

using test::expect_refused;
using test::with;

const std::filesystem::path kConfigs = std::filesystem::path(TAKT_SOURCE_DIR) / "configs";

constexpr const char* kTable =
    "index,name,block,skippable,output_bytes,x_cycles,x_energy_nj,x_dram_bytes,y_cycles,y_energy_nj,y_dram_bytes\n"
    "0,a,stem,0,10,100,1.5,640,50,2,320\r\n"
    "1,b,one,1,20,200,3,0,400,4,0";

Parsed<LayerTable> parse(const std::string& csv) {
  return parse_layer_table(csv, "t.csv");
}

TEST(LayerTable, IsReadByColumnName) {
  const auto table = parse(kTable);
  ASSERT_TRUE(table) << table.error().to_string();
  EXPECT_EQ(table->types, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(table->find_type("y"), 1u);
  EXPECT_FALSE(table->find_type("x_"));
  ASSERT_EQ(table->layers.size(), 2u);
  EXPECT_EQ(table->layers[0].block, "stem");
  EXPECT_EQ(table->layers[0].output_bytes, 10);
  EXPECT_EQ(table->layers[0].on[0].energy_nj, 1.5);
  EXPECT_EQ(table->layers[0].on[1].dram_bytes, 320);
  EXPECT_FALSE(table->layers[0].skippable);
  EXPECT_TRUE(table->layers[1].skippable);
  EXPECT_EQ(table->layers[1].on[1].cycles, 400);
}

TEST(LayerTable, IsRefusedWithLineAndColumn) {
  const std::string good = kTable;
  expect_refused(parse(""), 1, "", "is empty");
  expect_refused(parse(good.substr(0, good.find('\n'))), 1, "", "no layers");
  expect_refused(parse(with(good, "skippable", "skip")), 1, "skippable", "no such column");
  expect_refused(parse(with(good, "x_energy_nj", "x_energy")), 1, "x_energy_nj", "no such column");
  expect_refused(parse(with(good, "y_cycles", "x_cycles")), 1, "x_cycles", "twice");
  expect_refused(parse(with(good, "1,b,one,1", "2,b,one,1")), 3, "index", "must be 1");
  expect_refused(parse(with(good, "1,b,one,1", "1,b,one,2")), 3, "skippable", "0 to 1");
  expect_refused(parse(with(good, "640", "64x")), 2, "x_dram_bytes", "'64x' is no number");
  expect_refused(parse(with(good, "640", "-1")), 2, "x_dram_bytes", "no number");
  expect_refused(parse(with(good, "640", "nan")), 2, "x_dram_bytes", "no number");
  expect_refused(parse(with(good, ",320", "")), 2, "", "10 cells, not 11");
}

TEST(LayerTable, EveryShippedTableIsReadable) {
  CostTables tables;
  std::size_t models = 0, layers = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kConfigs / "costs")) {
    const std::string stem = entry.path().stem().string();
    if (entry.path().extension() != ".csv" || stem == "models" || stem == "accelerators") continue;
    const auto table = tables.layers(kConfigs / "costs", stem);
    ASSERT_TRUE(table) << table.error().to_string();
    EXPECT_EQ((*table)->types.size(), 15u) << stem;
    ++models;
    layers += (*table)->layers.size();
  }
  EXPECT_EQ(models, 67u);
  EXPECT_EQ(layers, 5199u);
}

TEST(CostTables, ReadAFileOnce) {
  const test::Folder folder;
  folder.put("m.csv", kTable);
  CostTables tables;
  const auto first = tables.layers(folder.path(), "m");
  ASSERT_TRUE(first);
  folder.put("m.csv", "broken");
  const auto second = tables.layers(folder.path(), "m");
  ASSERT_TRUE(second);
  EXPECT_EQ(*first, *second);
}

TEST(MeasuredTable, EndsAtTheFirstRowWithoutANumber) {
  CostTables tables;
  const std::pair<const char*, std::size_t> nets[] = {{"resnet", 54},     {"alexnet", 8}, {"googlenet", 58},
                                                      {"squeezenet", 26}, {"kwsnet", 25}, {"yolonet", 19},
                                                      {"yololitenet", 7}};
  for (const auto& [net, layers] : nets) {
    const auto table = tables.measured(kConfigs / "moca", net);
    ASSERT_TRUE(table) << table.error().to_string();
    EXPECT_EQ((*table)->layers.size(), layers) << net;
  }
}

TEST(MeasuredTable, HasPredictionsTrafficAndRepeats) {
  CostTables tables;
  const auto table = tables.measured(kConfigs / "moca", "alexnet");
  ASSERT_TRUE(table) << table.error().to_string();
  const MeasuredLayer& second = (*table)->layers[1];
  EXPECT_EQ(second.cycles, (std::array<double, 4>{935074.8, 467537.4, 233768.7, 118724.4}));
  EXPECT_EQ(second.dram_lines, 31248);
  EXPECT_EQ(second.repeat[1], 859854);
  EXPECT_EQ(second.mean, 840125);
  EXPECT_EQ((*table)->layers[5].repeat[0], 4371531) << "matmul rows follow the conv rows";
  EXPECT_EQ((*table)->layers[7].mean, 393446);
}

TEST(MeasuredTable, IsRefusedWithLineAndColumn) {
  const std::string good =
      "conv number,from dram, ,1 core prediction,2 core prediction,4 core prediction,8 core prediction\n"
      "1,100, ,8.5,4,2,1\r\n"
      "2,200, ,16,8,4,2\n \nresadd number\n1,2,3\n";
  const auto parse_measured = [](const std::string& csv) { return parse_measured_table(csv, "n.csv"); };
  auto table = parse_measured(good);
  ASSERT_TRUE(table) << table.error().to_string();
  EXPECT_EQ(table->layers.size(), 2u);
  expect_refused(parse_measured(with(good, "8 core", "9 core")), 1, "8 core prediction", "no such column");
  expect_refused(parse_measured(with(good, "16,8", "16,?")), 3, "2 core prediction", "no number");
  expect_refused(parse_measured(with(good, "\n1,100", "\nx,100")), 1, "", "no layers");

  const std::string repeats = "total, ,1\nconv,0,1,2,3,4,5,6,7, ,1,7,4\nresadd,0,1\nmatmul,0,1,1,1,1,1,1,8, ,1,8,2\n";
  EXPECT_TRUE(parse_repeats(repeats, "n_1.csv", *table));
  EXPECT_EQ(table->layers[1].repeat[6], 8);
  expect_refused(parse_repeats(with(repeats, ",5,6,7", ",5,6,x"), "n_1.csv", *table), 2, "column 9", "no number");
  expect_refused(parse_repeats(with(repeats, ",7,4\n", ",7,0\n"), "n_1.csv", *table), 2, "mean", "over 0");
  expect_refused(parse_repeats(with(repeats, "matmul", "other"), "n_1.csv", *table), 4, "", "1 rows conv or matmul");
}

TEST(RequestTrace, IsReadInOrderAndRefusedWithItsLine) {
  const auto trace = read_request_trace(kConfigs / "moca" / "trace_b.csv");
  ASSERT_TRUE(trace) << trace.error().to_string();
  ASSERT_EQ(trace->size(), 250u);
  EXPECT_EQ((*trace)[4].network, "googlenet");
  EXPECT_EQ((*trace)[4].priority, 0);
  EXPECT_EQ((*trace)[4].arrival_ns, 6757491);
  const std::string good = "id,model,priority,arrival_cycles\n0,resnet,8,0\n1,alexnet,0,50000\n";
  const auto parse_trace = [](const std::string& csv) { return parse_request_trace(csv, "t.csv"); };
  EXPECT_TRUE(parse_trace(good));
  expect_refused(parse_trace(with(good, "50000", "5e4")), 3, "arrival_cycles", "whole number");
  expect_refused(parse_trace(with(good, "resnet,8", "resnet,-8")), 2, "priority", "whole number");
  expect_refused(parse_trace(with(good, "alexnet", "../alexnet")), 3, "model", "no name");
  expect_refused(parse_trace(with(good, "priority", "class")), 1, "priority", "no such column");
  expect_refused(parse_trace("id,model,priority,arrival_cycles\n"), 1, "", "no requests");
}

}  // namespace
}  // namespace takt::sim
