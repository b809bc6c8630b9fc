// Segments of a network: roundings by layer, sums by granularity, runs of blocks, cuts of synthetic costs.
#include "sim/subnets.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "files/texts.hpp"

namespace takt::sim {
namespace {

using namespace std::chrono_literals;
using files::Granularity;

const std::filesystem::path kConfigs = std::filesystem::path(TAKT_SOURCE_DIR) / "configs";

files::Scenario platform(std::vector<files::ScenarioAccelerator> accelerators) {
  files::Scenario scenario;
  scenario.file = "s.xml";
  scenario.accelerators = std::move(accelerators);
  return scenario;
}

// Blocks: stem (rows 0, 1), one (row 2), stem again (row 3).
LayerTable table() {
  LayerTable t{"t.csv", {"x", "y"}, {}};
  t.layers = {{"stem", false, 10, {{100, 1, 640}, {300, 2, 64}}},
              {"stem", true, 20, {{300, 3, 0}, {100, 4, 0}}},
              {"one", true, 30, {{7, 5, 0}, {0, 6, 1000}}},
              {"stem", false, 40, {{10, 9, 0}, {20, 8, 0}}}};
  return t;
}

// x at 2 bytes a cycle and 0.7 GHz: row 0 is bound by its traffic, 320 cycles, 457.1 ns. y at 1 GHz, 64 bytes a cycle.
std::vector<LayerOnPlatform> placed() {
  const auto layers = place(table(), platform({{"x0", "x", 0.7, 2, 3}, {"y0", "y", 1, 64, 4}}));
  EXPECT_TRUE(layers) << layers.error().to_string();
  return *layers;
}

std::vector<std::int64_t> times(const Subnet& subnet, std::size_t accelerator) {
  std::vector<std::int64_t> all;
  for (const Segment& segment : subnet.segments) all.push_back(segment.on[accelerator].time.count());
  return all;
}

using Times = std::vector<std::int64_t>;

TEST(Subnet, LayersAreRoundedUpOneByOne) {
  const Subnet subnet = make_subnet("n", 0, placed(), Granularity::layer, false);
  EXPECT_EQ(times(subnet, 0), (Times{458, 429, 10, 15}));
  EXPECT_EQ(times(subnet, 1), (Times{300, 100, 16, 20}));
  EXPECT_EQ(subnet.segments[1].first_layer, 1u);
  EXPECT_EQ(subnet.segments[1].live_bytes, 20);
  EXPECT_EQ(subnet.segments[0].on[0].dram_bytes, 640);
  EXPECT_TRUE(subnet.segments[0].runs.empty());
  EXPECT_EQ(least_time(subnet), Duration{300 + 100 + 10 + 15});
}

TEST(Subnet, BlocksAddTheRoundedTimesOfConsecutiveLayersOnly) {
  const Subnet subnet = make_subnet("n", 0, placed(), Granularity::block, false);
  EXPECT_EQ(times(subnet, 0), (Times{887, 10, 15}));
  EXPECT_EQ(times(subnet, 1), (Times{400, 16, 20}));
  EXPECT_EQ(subnet.segments[0].on[1].energy_nj, 6);
  EXPECT_EQ(subnet.segments[0].on[1].dram_bytes, 64);
  EXPECT_EQ(subnet.segments[0].live_bytes, 20);
  EXPECT_EQ(subnet.segments[1].first_layer, 2u);
  EXPECT_EQ(subnet.segments[2].first_layer, 3u);
  EXPECT_EQ(subnet.segments[2].run.block, 2u) << "a block that comes again is another run";
  EXPECT_EQ(least_time(subnet), Duration{400 + 10 + 15});
}

TEST(Subnet, AWholeNetworkKeepsItsRuns) {
  const Subnet subnet = make_subnet("n", 7, placed(), Granularity::model, false);
  ASSERT_EQ(subnet.segments.size(), 1u);
  EXPECT_EQ(subnet.accuracy, 7);
  EXPECT_EQ(times(subnet, 0), (Times{912}));
  EXPECT_EQ(times(subnet, 1), (Times{436}));
  EXPECT_EQ(subnet.segments[0].live_bytes, 40);
  const auto& runs = subnet.segments[0].runs;
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[0].on[0].time, Duration{887});
  EXPECT_EQ(runs[1].on[1].dram_bytes, 1000);
  EXPECT_EQ(runs[2].on[0].energy_nj, 9);
  EXPECT_EQ(least_time(subnet), Duration{436});
}

TEST(Subnet, ARunIsSkippableIfItsFirstRowIs) {
  const Subnet subnet = make_subnet("n", 0, placed(), Granularity::layer, false);
  EXPECT_FALSE(subnet.segments[1].run.skippable) << "its own row says 1, the first row of its run 0";
  EXPECT_TRUE(subnet.segments[2].run.skippable);
  EXPECT_EQ(subnet.segments[1].run.block, 0u);
  EXPECT_EQ(subnet.segments[3].run.block, 2u);
}

TEST(Subnet, WorstEnergyIsPerLayerWhateverTheGranularity) {
  for (const Granularity granularity : {Granularity::layer, Granularity::block, Granularity::model})
    EXPECT_EQ(make_subnet("n", 0, placed(), granularity, false).worst_energy_nj, 2 + 4 + 6 + 9);
}

TEST(Subnet, OfAShippedTableIsWhatASpreadsheetSays) {
  CostTables tables;
  const auto skipnet = tables.layers(kConfigs / "costs", "skipnet_resnet50");
  ASSERT_TRUE(skipnet) << skipnet.error().to_string();
  const auto layers = place(**skipnet, platform({{"a", "ws_2048", 0.7, 24, 0}, {"b", "os_1024", 0.9, 12, 0}}));
  ASSERT_TRUE(layers);
  const Subnet blocks = make_subnet("s", 0, *layers, Granularity::block, false);
  ASSERT_EQ(blocks.segments.size(), 18u);
  EXPECT_EQ(blocks.segments[0].on[0].time, Duration{1'756'880});
  EXPECT_EQ(blocks.segments[0].on[1].time, Duration{167'304});
  EXPECT_EQ(blocks.segments[1].on[1].time, Duration{366'503});
  EXPECT_EQ(blocks.segments[1].on[0].energy_nj, 582'758);
  EXPECT_EQ(blocks.segments[1].on[0].dram_bytes, 2'883'584);
  EXPECT_EQ(blocks.segments[2].first_layer, 5u);
  EXPECT_EQ(least_time(blocks), Duration{3'689'444});
  EXPECT_EQ(blocks.worst_energy_nj, 10'459'264);
  EXPECT_EQ(times(make_subnet("s", 0, *layers, Granularity::model, false), 1), (Times{6'667'730}));
}

TEST(Subnet, OfASyntheticCostHasTheRestInItsLastSegment) {
  const Subnet subnet = make_subnet("2500us", 1, cut(2500us, 1ms, 2), Granularity::layer, false);
  EXPECT_EQ(times(subnet, 0), (Times{1'000'000, 1'000'000, 500'000}));
  EXPECT_EQ(times(subnet, 1), times(subnet, 0));
  EXPECT_EQ(subnet.segments[2].on[1].energy_nj, 500'000);
  EXPECT_EQ(subnet.segments[2].on[1].dram_bytes, 0);
  EXPECT_EQ(subnet.segments[1].live_bytes, 0);
  EXPECT_EQ(subnet.segments[1].run.block, 1u);
  EXPECT_EQ(subnet.worst_energy_nj, 2'500'000);
  EXPECT_EQ(make_subnet("", 0, cut(2500us, 1ms, 1), Granularity::block, false).segments.size(), 3u);
  EXPECT_EQ(times(make_subnet("", 0, cut(2500us, 1ms, 1), Granularity::model, false), 0), (Times{2'500'000}));
  EXPECT_EQ(times(make_subnet("", 0, cut(2500us, 0ns, 1), Granularity::layer, false), 0), (Times{2'500'000}));
  EXPECT_EQ(times(make_subnet("", 0, cut(2ms, 1ms, 1), Granularity::layer, false), 0).size(), 2u);
}

TEST(Subnet, OfMeasuredTileGroupsTakesPredictedCyclesRoundedUp) {
  CostTables tables;
  const auto resnet = tables.measured(kConfigs / "moca", "resnet");
  ASSERT_TRUE(resnet) << resnet.error().to_string();
  const auto layers = place(**resnet, platform({{"a", "tiles_1", 1, 64, 0}, {"b", "tiles_8", 1, 64, 0}}));
  ASSERT_TRUE(layers);
  const Subnet subnet = make_subnet("resnet", 0, *layers, Granularity::layer, false);
  ASSERT_EQ(subnet.segments.size(), 54u);
  EXPECT_EQ(subnet.segments[1].on[0].time, Duration{60'562});
  EXPECT_EQ(subnet.segments[1].on[1].time, Duration{15'322});
  EXPECT_EQ(subnet.segments[1].on[0].dram_bytes, 13'440 * 16);
  EXPECT_EQ(subnet.segments[1].on[0].energy_nj, 0);
  EXPECT_EQ(subnet.segments[1].live_bytes, 0);
  EXPECT_TRUE(subnet.segments[1].noise_factors.empty());
  const Subnet noisy = make_subnet("resnet", 0, *layers, Granularity::layer, true);
  ASSERT_EQ(noisy.segments[1].noise_factors.size(), 7u);
  EXPECT_EQ(noisy.segments[1].noise_factors[0], 61805.0 / 60710.0);
}

TEST(Subnet, AMeasuredWholeNetworkVariesAsItsSumDoes) {
  MeasuredTable net{"n.csv", {}};
  net.layers = {{{8, 4, 2, 1}, 1, {10, 20, 30, 40, 50, 60, 70}, 40}, {{8, 4, 2, 1}, 1, {1, 1, 1, 1, 1, 1, 1}, 1}};
  const auto layers = place(net, platform({{"a", "tiles_4", 1, 64, 0}}));
  ASSERT_TRUE(layers);
  const Subnet subnet = make_subnet("n", 0, *layers, Granularity::model, true);
  EXPECT_EQ(times(subnet, 0), (Times{4}));
  EXPECT_EQ(subnet.segments[0].noise_factors[6], 71.0 / 41.0);
}

TEST(Subnet, RefusesATypeThatTheTableDoesNotHave) {
  test::expect_refused(place(table(), platform({{"x0", "x", 1, 64, 3}, {"z0", "z", 1, 64, 8}})), 8, "accelerator type",
                       "'z' has no columns in t.csv");
  test::expect_refused(place(MeasuredTable{"n.csv", {{}}}, platform({{"x0", "tiles_3", 1, 64, 5}})), 5,
                       "accelerator type", "tile group");
}

}  // namespace
}  // namespace takt::sim
