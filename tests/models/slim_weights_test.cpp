// SlimResNet's layout against known figures, and its weight files: complete or refused.
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "models/slim_builders.hpp"
#include "models/temporary_folder.hpp"
#include "slim_resnet/network.hpp"
#include "slim_resnet/weights.hpp"
#include "support/digest.hpp"
#include "support/files.hpp"
#include "support/safetensors.hpp"
#include "support/stored_tensor.hpp"

namespace takt::models::slim {
namespace {

using test::make_trained_weights;
using test::TemporaryFolder;

constexpr int64_t kBase = 4;

int64_t macs_at(int width) {
  int64_t total = 0;
  for (int segment = 1; segment <= kSegments; ++segment) {
    total += macs(64, segment, width, width);
  }
  return total;
}

// Weights of the convolutions, two norm parameters a channel, the classifier.
int64_t parameters_at(int width) {
  int64_t total = (channels(64, kSegments, width) + 1) * kClasses;
  for (int segment = 1; segment <= kSegments; ++segment) {
    for (int index = 0; index < kConvolutions; ++index) {
      const auto shape = convolution_shape(64, segment, index, width, width);
      total += shape.out * shape.in * shape.kernel * shape.kernel + 2 * shape.out;
    }
  }
  return total;
}

// At base width 64 it is the ResNet-18 with the CIFAR stem that everybody trains: 555.5 M multiply-accumulates, 11.22 M
// parameters.
TEST(SlimLayout, AtBaseWidth64ItIsResNet18) {
  const std::vector<double> macs_m{35.1, 139.3, 312.8, 555.5};
  const std::vector<double> parameters_m{0.71, 2.82, 6.32, 11.22};
  for (int width = 0; width < kWidths; ++width) {
    const auto place = static_cast<std::size_t>(width);
    EXPECT_NEAR(static_cast<double>(macs_at(width)) / 1e6, macs_m[place], 0.06);
    EXPECT_NEAR(static_cast<double>(parameters_at(width)) / 1e6, parameters_m[place], 0.006);
  }
}

TEST(SlimLayout, ListsSubnetsInLexicographicOrder) {
  EXPECT_EQ(subnet_at(0), (Subnet{0, 0, 0, 0}));
  EXPECT_EQ(subnet_at(kSubnets - 1), (Subnet{3, 3, 3, 3}));
  for (int i = 1; i < kSubnets; ++i) {
    EXPECT_LT(subnet_at(i - 1), subnet_at(i));
  }
}

TEST(SlimWeights, SameSeedSameWeights) {
  Weights a = make_weights(kBase, 7);
  Weights b = make_weights(kBase, 7);
  Weights c = make_weights(kBase, 8);
  EXPECT_TRUE(a.at(2, 1).weight.equal(b.at(2, 1).weight));
  EXPECT_FALSE(a.at(2, 1).weight.equal(c.at(2, 1).weight));
}

TEST(SlimWeights, ComeBackFromAFileAsTheyWere) {
  const TemporaryFolder folder;
  Weights written = make_trained_weights(kBase);
  ASSERT_TRUE(write_weights(folder / "w", written).has_value());
  auto read = read_weights(folder / "w");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->base_width, kBase);
  EXPECT_TRUE(read->calibrated);
  std::vector<at::Tensor> tensors;
  visit(written, [&](const auto&, at::Tensor& tensor, const auto&, Role) { tensors.push_back(tensor); });
  std::size_t place = 0;
  visit(*read, [&](const std::string& name, at::Tensor& tensor, const auto&, Role) {
    EXPECT_TRUE(tensor.equal(tensors[place++])) << name;
  });
}

// Writes good weights, lets `change` spoil tensors or metadata, and returns what the reader says of the result.
template <class Change>
std::string refusal_after(Change&& change) {
  const TemporaryFolder folder;
  EXPECT_TRUE(write_weights(folder / "w", make_trained_weights(kBase)).has_value());
  const auto file = SafetensorsFile::read(folder / "w");
  std::vector<StoredTensor> tensors(file->tensors().begin(), file->tensors().end());
  Metadata metadata = file->metadata();
  change(tensors, metadata);
  EXPECT_TRUE(write_safetensors(folder / "spoilt", tensors, metadata).has_value());
  const auto network = SlimResNet::load(folder / "spoilt");
  return network ? "accepted" : network.error().text;
}

using Tensors = std::vector<StoredTensor>;

StoredTensor& named(Tensors& tensors, std::string_view name) {
  for (StoredTensor& tensor : tensors) {
    if (tensor.name == name) {
      return tensor;
    }
  }
  ADD_FAILURE() << "no tensor " << name;
  return tensors.front();
}

TEST(SlimWeights, RefuseAFileThatIsNotWhole) {
  EXPECT_EQ(refusal_after([](Tensors&, Metadata&) {}), "accepted");
  EXPECT_NE(refusal_after([](Tensors& t, Metadata&) { t.pop_back(); }).find("missing"), std::string::npos);
  EXPECT_NE(refusal_after([](Tensors& t, Metadata&) {
              t.push_back({"extra", Dtype::f32, {0}, {}});
            }).find("not know"),
            std::string::npos);
  EXPECT_NE(refusal_after([](Tensors& t, Metadata&) {
              named(t, "classifier.weight").shape = {32, 100};
            }).find("shape"),
            std::string::npos);
  EXPECT_NE(refusal_after([](Tensors& t, Metadata&) { named(t, "classifier.bias").dtype = Dtype::i32; }).find("F32"),
            std::string::npos);
}

TEST(SlimWeights, RefuseWrongMetadata) {
  EXPECT_NE(refusal_after([](Tensors&, Metadata& m) { m.clear(); }).find("not a takt"), std::string::npos);
  for (const char* wrong : {"", "x", "0", "6", "-4", "260", "8x", "99999999999999999999"}) {
    const auto text = refusal_after([&](Tensors&, Metadata& m) { m["base_width"] = wrong; });
    EXPECT_NE(text.find("base_width"), std::string::npos) << wrong;
  }
  EXPECT_NE(refusal_after([&](Tensors&, Metadata& m) { m["base_width"] = "8"; }).find("shape"), std::string::npos);
}

TEST(SlimWeights, RefuseValuesThatNoNetworkCanUse) {
  const std::vector<float> nan(static_cast<std::size_t>(kClasses), std::numeric_limits<float>::quiet_NaN());
  const std::vector<float> negative(static_cast<std::size_t>(kBase), -1.0F);
  const auto with = [](const char* name, const std::vector<float>& values) {
    return refusal_after([&](Tensors& t, Metadata&) { named(t, name).bytes = std::as_bytes(std::span(values)); });
  };
  EXPECT_NE(with("classifier.bias", nan).find("not finite"), std::string::npos);
  EXPECT_NE(with("stage1.entry.variance.0.3", negative).find("negative"), std::string::npos);
  EXPECT_EQ(with("stage1.entry.mean.0.3", negative), "accepted");
}

TEST(SlimWeights, TheModelInTheTreeIsWhole) {
  const std::filesystem::path folder = std::filesystem::path(TAKT_SOURCE_DIR) / "models/slim_resnet";
  const auto weights = read_weights(folder / "weights.safetensors");
  ASSERT_TRUE(weights.has_value()) << weights.error().text;
  EXPECT_TRUE(weights->calibrated);
  const auto xml = read_file(folder / "model.xml");
  ASSERT_TRUE(xml.has_value());
  const std::string text(reinterpret_cast<const char*>(xml->data()), xml->size());
  EXPECT_NE(text.find("digest=\"sha256:" + *sha256_of_file(folder / "weights.safetensors") + "\""), std::string::npos);
}

}  // namespace
}  // namespace takt::models::slim
