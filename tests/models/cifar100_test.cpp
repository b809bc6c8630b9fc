// CIFAR-100: its records, and batches of pictures from them.
#include "takt_train/cifar100.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "models/slim_training_builders.hpp"
#include "models/temporary_folder.hpp"
#include "takt_train/random.hpp"

namespace takt::train {
namespace {

using test::kRecord;
using test::TemporaryFolder;
using test::write_records;

TEST(Cifar100, ReadsRecordsAndNormalisesThem) {
  const TemporaryFolder folder;
  std::string record(kRecord, '\0');
  record[1] = 42;
  record[2] = static_cast<char>(255);            // red of the first pixel
  record[2 + 1024 + 1] = static_cast<char>(51);  // green of the second
  std::ofstream(folder / "test.bin", std::ios::binary) << record;
  const auto set = Cifar100::read_test(folder.path());
  ASSERT_TRUE(set.has_value());
  const std::vector<int64_t> first{0};
  const auto batch = set->batch(first);
  EXPECT_EQ(batch.labels.item<int64_t>(), 42);
  EXPECT_TRUE(batch.pictures.is_contiguous(at::MemoryFormat::ChannelsLast));
  const auto pixel = [&](int64_t c, int64_t y, int64_t x) { return batch.pictures[0][c][y][x].item<float>(); };
  EXPECT_FLOAT_EQ(pixel(0, 0, 0), (1.0F - kMean[0]) / kDeviation[0]);
  EXPECT_FLOAT_EQ(pixel(1, 0, 1), (0.2F - kMean[1]) / kDeviation[1]);
  EXPECT_FLOAT_EQ(pixel(2, 31, 31), -kMean[2] / kDeviation[2]);
}

TEST(Cifar100, SaysWhatIsWrongWithTheFile) {
  const TemporaryFolder folder;
  const auto complaint = [&] { return Cifar100::read_test(folder.path()).error().text; };
  std::ofstream(folder / "test.bin.xz") << "x";
  EXPECT_NE(complaint().find("xz -dk"), std::string::npos);
  std::ofstream(folder / "test.bin", std::ios::binary) << std::string(kRecord - 1, '\0');
  EXPECT_NE(complaint().find("whole number"), std::string::npos);
  std::ofstream(folder / "test.bin", std::ios::binary) << std::string(kRecord, 'd');
  EXPECT_NE(complaint().find("label"), std::string::npos);
}

// What a crop must give is worked out pixel by pixel.
TEST(Cifar100, CropsAndFlipsAsDrawn) {
  const TemporaryFolder folder;
  write_records(folder / "test.bin", 4, 5);
  const auto set = Cifar100::read_test(folder.path());
  const std::vector<int64_t> indices{3, 1, 0, 3};
  const std::vector<Crop> crops{{0, 0, 0}, {-4, 3, 0}, {2, -1, 1}, {4, 4, 1}};
  const at::Tensor plain = set->batch(indices).pictures;
  const auto batch = set->augmented(set->choose(indices, crops));
  EXPECT_TRUE(batch.pictures.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(batch.labels.equal(set->batch(indices).labels));
  const at::Tensor whole = plain.contiguous();
  const at::Tensor cut = batch.pictures.contiguous();
  const auto* from = static_cast<const float*>(whole.data_ptr());
  const auto* got = static_cast<const float*>(cut.data_ptr());
  for (int64_t place = 0; place < cut.numel(); ++place) {
    const Crop& crop = crops[static_cast<std::size_t>(place / (3 * 32 * 32))];
    const int64_t y = place / 32 % 32 + crop.down;
    const int64_t x = (crop.flip == 1 ? 31 - place % 32 : place % 32) + crop.right;
    const bool inside = y >= 0 && y < 32 && x >= 0 && x < 32;
    ASSERT_EQ(got[place], inside ? from[place / 1024 * 1024 + y * 32 + x] : 0.0F) << place;
  }
}

TEST(Cifar100, ACropIsDrawnUpToFourPixelsAside) {
  Random random(1, Random::Purpose::augmentation, 0);
  Crop least;
  Crop most;
  for (int i = 0; i < 1000; ++i) {
    const Crop crop = Crop::draw(random);
    least = {std::min(least.down, crop.down), std::min(least.right, crop.right), std::min(least.flip, crop.flip)};
    most = {std::max(most.down, crop.down), std::max(most.right, crop.right), std::max(most.flip, crop.flip)};
  }
  EXPECT_EQ(std::vector({least.down, least.right, least.flip}), (std::vector<int64_t>{-4, -4, 0}));
  EXPECT_EQ(std::vector({most.down, most.right, most.flip}), (std::vector<int64_t>{4, 4, 1}));
}

}  // namespace
}  // namespace takt::train
