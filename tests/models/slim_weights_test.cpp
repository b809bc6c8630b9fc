// SlimResNet's layout against known figures, and its weight files: complete or refused.
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "models/slim_builders.hpp"
#include "models/temporary_folder.hpp"
#include "module.hpp"
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

bool same(Weights a, Weights b) {
  std::vector<at::Tensor> tensors;
  visit(a, [&](const auto&, at::Tensor& tensor, const auto&, Role) { tensors.push_back(tensor); });
  std::size_t place = 0;
  bool all = true;
  visit(b, [&](const std::string& name, at::Tensor& tensor, const auto&, Role) {
    const bool equal = tensor.equal(tensors[place++]);
    EXPECT_TRUE(equal) << name;
    all = all && equal;
  });
  return all;
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
  const Weights written = make_trained_weights(kBase);
  ASSERT_TRUE(write_weights(folder / "w", written).has_value());
  const auto read = read_weights(folder / "w");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->base_width, kBase);
  EXPECT_TRUE(read->calibrated);
  EXPECT_TRUE(same(*read, written));
}

TEST(SlimWeights, InHalfPrecisionGiveNearlyTheSameAnswers) {
  const c10::InferenceMode inference;
  const TemporaryFolder folder;
  const Weights written = make_trained_weights(kBase);
  ASSERT_TRUE(write_weights(folder / "single", written).has_value());
  ASSERT_TRUE(write_weights(folder / "half", written, {Dtype::f16}).has_value());
  EXPECT_LT(std::filesystem::file_size(folder / "half"), std::filesystem::file_size(folder / "single"));
  const auto read = read_weights(folder / "half");
  ASSERT_TRUE(read.has_value()) << read.error().text;
  EXPECT_FALSE(read->at(2, 1).weight.equal(written.at(2, 1).weight));
  EXPECT_TRUE(read->at(2, 1).weight.equal(rounded_to_half(written).at(2, 1).weight));
  EXPECT_TRUE(read->at(2, 1).variance[1][2].equal(written.at(2, 1).variance[1][2]));  // never rounded

  const auto answer = [](const Weights& weights) {
    const SlimResNet network(weights);
    at::Tensor x = test::frames(4, kImageChannels, kImageSide, 3);
    for (int segment = 1; segment <= kSegments; ++segment) {
      x = network.run(segment, 2, 2, x);
    }
    return x;
  };
  const at::Tensor wanted = answer(written);
  const double off = answer(*read).sub(wanted).abs().max().item<double>();
  EXPECT_LT(off, 1e-2 * wanted.abs().max().item<double>());
}

TEST(SlimWeights, TooLargeForHalfPrecisionAreNotWritten) {
  const TemporaryFolder folder;
  Weights weights = make_trained_weights(kBase);
  weights.at(1, 1).scale[0].fill_(1e6);
  EXPECT_TRUE(write_weights(folder / "w", weights, {Dtype::f16}).has_value());  // no matrix
  weights.at(1, 1).weight.fill_(1e6);
  const auto written = write_weights(folder / "v", weights, {Dtype::f16});
  ASSERT_FALSE(written.has_value());
  EXPECT_EQ(written.error().code, Code::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(folder / "v"));
}

constexpr std::size_t kSmallFile = 60'000;

// Weights of about 200 KB in parts, written to folder/weights.safetensors and its like.
std::filesystem::path write_in_parts(const TemporaryFolder& folder, const Weights& weights) {
  const auto first = write_weights(folder / "weights.safetensors", weights, {Dtype::f32, kSmallFile});
  EXPECT_TRUE(first.has_value());
  return *first;
}

TEST(SlimWeights, AreSplitIntoFilesOfAllowedSizeAndComeBackWhole) {
  const TemporaryFolder folder;
  const Weights written = make_trained_weights(kBase);
  const auto first = write_in_parts(folder, written);
  const auto names = part_names(first);
  ASSERT_TRUE(names.has_value());
  ASSERT_GT(names->size(), 2U);
  EXPECT_EQ(first.filename(), "weights-1-of-" + std::to_string(names->size()) + ".safetensors");
  for (const auto& name : *names) {
    EXPECT_LE(std::filesystem::file_size(name), kSmallFile) << name;
  }
  auto read = read_weights(first);
  ASSERT_TRUE(read.has_value()) << read.error().text;
  EXPECT_TRUE(same(*read, written));

  EXPECT_EQ(write_weights(folder / "w", written, {Dtype::f32, 5'000}).error().code, Code::invalid_argument);
}

TEST(SlimWeights, PartsThatDoNotBelongTogetherAreRefused) {
  const TemporaryFolder folder;
  const auto first = write_in_parts(folder, make_trained_weights(kBase));
  const auto names = *part_names(first);
  const auto complaint = [&] { return std::string(read_weights(first).error().text); };

  std::filesystem::rename(names[1], folder / "kept");
  EXPECT_NE(complaint().find("missing"), std::string::npos);
  std::filesystem::copy_file(names[2], names[1]);
  EXPECT_NE(complaint().find("another's place"), std::string::npos);
  Weights other = make_trained_weights(kBase);
  other.calibrated = false;  // says another thing of itself
  const TemporaryFolder elsewhere;
  const auto others = *part_names(write_in_parts(elsewhere, other));
  std::filesystem::copy_file(others[1], names[1], std::filesystem::copy_options::overwrite_existing);
  EXPECT_NE(complaint().find("belong together"), std::string::npos);

  std::filesystem::rename(folder / "kept", names[1]);
  EXPECT_TRUE(read_weights(first).has_value());
  EXPECT_EQ(read_weights(names[1]).error().code, Code::invalid_argument);  // known by its first
}

TEST(SlimModule, IsLoadedFromPartsIfTheDigestOverAllIsRight) {
  const TemporaryFolder folder;
  const auto first = write_in_parts(folder, make_trained_weights(kBase));
  Model model;
  model.module = "slim_resnet";
  model.directory = folder.path().string();
  model.weights = first.filename().string();
  model.digest = "sha256:" + *sha256_of_file(first);
  EXPECT_TRUE(load_module(model).has_value());
  const auto last = part_names(first)->back();
  auto bytes = *read_file(last);
  bytes.back() ^= std::byte{1};
  const std::array pieces{std::span<const std::byte>(bytes)};
  ASSERT_TRUE(write_file_atomically(last, pieces).has_value());
  const auto damaged = load_module(model);
  ASSERT_FALSE(damaged.has_value());
  EXPECT_NE(std::string(damaged.error().text).find("digest"), std::string::npos);
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
  const auto xml = read_file(folder / "model.xml");
  ASSERT_TRUE(xml.has_value());
  const std::string text(reinterpret_cast<const char*>(xml->data()), xml->size());
  const std::string key = "weights=\"";
  const auto at = text.find(key) + key.size();
  const std::filesystem::path file = folder / text.substr(at, text.find('"', at) - at);
  const auto weights = read_weights(file);
  ASSERT_TRUE(weights.has_value()) << weights.error().text;
  EXPECT_TRUE(weights->calibrated);
  EXPECT_NE(text.find("digest=\"sha256:" + *sha256_of_file(file) + "\""), std::string::npos);
  const auto parts = part_names(file);
  for (const auto& part : *parts) {
    EXPECT_LE(std::filesystem::file_size(part), kMostFileBytes);
  }
}

}  // namespace
}  // namespace takt::models::slim
