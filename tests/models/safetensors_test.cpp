// The safetensors reader refuses whatever the format does not allow, and the writer's files come back as they were.
#include "support/safetensors.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "models/temporary_folder.hpp"
#include "support/digest.hpp"
#include "support/files.hpp"

namespace takt::models {
namespace {

using test::TemporaryFolder;

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

// A file with this header, its true length in front, and `data` bytes behind.
std::vector<std::byte> make_file(std::string_view header, std::size_t data) {
  const uint64_t length = header.size();
  const auto prefix = std::as_bytes(std::span(&length, 1));
  std::vector<std::byte> content(prefix.begin(), prefix.end());
  const auto text = bytes_of(header);
  content.insert(content.end(), text.begin(), text.end());
  content.resize(content.size() + data);
  return content;
}

constexpr std::string_view kGood =
    R"({"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
    R"("y":{"dtype":"U8","shape":[],"data_offsets":[24,25]}}  )";

std::string refusal(std::vector<std::byte> content) {
  const auto file = SafetensorsFile::parse(std::move(content));
  EXPECT_TRUE(file.has_value() || file.error().code == Code::corrupt);
  return file.has_value() ? "accepted" : file.error().text;
}

TEST(Safetensors, ReadsWhatTheFormatAllows) {
  const auto file = SafetensorsFile::parse(make_file(kGood, 25));
  ASSERT_TRUE(file.has_value());
  ASSERT_EQ(file->tensors().size(), 2U);
  EXPECT_EQ(file->metadata().at("a"), "b");
  const StoredTensor* x = file->find("x");
  ASSERT_NE(x, nullptr);
  EXPECT_EQ(x->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(x->bytes.size(), 24U);
  EXPECT_EQ(file->find("y")->bytes.size(), 1U);
  EXPECT_EQ(file->find("z"), nullptr);
  EXPECT_EQ(file->find("__metadata__"), nullptr);
}

TEST(Safetensors, ReadsAFileWithoutTensors) {
  EXPECT_TRUE(SafetensorsFile::parse(make_file("{}", 0)).has_value());
}

TEST(Safetensors, ViewsSurviveAMoveOfTheFile) {
  auto file = SafetensorsFile::parse(make_file(kGood, 25));
  ASSERT_TRUE(file.has_value());
  const std::byte* before = file->find("x")->bytes.data();
  const SafetensorsFile moved = std::move(*file);
  EXPECT_EQ(moved.find("x")->bytes.data(), before);
}

struct Malformed {
  const char* name;
  std::string header;
  std::size_t data;
  const char* complaint;
};

void PrintTo(const Malformed& malformed, std::ostream* out) {
  *out << malformed.name;
}

std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"x":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

class MalformedHeader : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedHeader, IsRefusedWithAClearText) {
  const std::string text = refusal(make_file(GetParam().header, GetParam().data));
  EXPECT_NE(text.find(GetParam().complaint), std::string::npos) << text;
}

const std::string kF32 = R"("F32")";
const std::string kEntry = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";

INSTANTIATE_TEST_SUITE_P(
    Safetensors, MalformedHeader,
    testing::Values(
        Malformed{"Empty", "", 0, "does not begin"}, Malformed{"LeadingSpace", " {}", 0, "does not begin"},
        Malformed{"Unclosed", R"({"x":)", 0, "not a JSON object"},
        Malformed{"TextBehind", "{} x", 0, "not a JSON object"},
        Malformed{"BadUtf8", "{\"\xff\":1}", 0, "not a JSON object"},
        Malformed{"RepeatedTensor", R"({"x":)" + kEntry + R"(,"x":)" + kEntry + "}", 4, "twice"},
        Malformed{"RepeatedField", R"({"x":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4,
                  "twice"},
        Malformed{"Deep", R"({"x":[[[[[[[[1]]]]]]]]})", 0, "too deeply"},
        Malformed{"VeryDeep", R"({"x":)" + std::string(200000, '['), 0, "too deeply"},
        Malformed{"MetadataNoObject", R"({"__metadata__":3})", 0, "__metadata__ is not an object"},
        Malformed{"MetadataNumber", R"({"__metadata__":{"a":3}})", 0, "not a string"},
        Malformed{"EntryNoObject", R"({"x":3})", 0, "nothing else"},
        Malformed{"FieldMissing", R"({"x":{"dtype":"F32","shape":[1]}})", 4, "nothing else"},
        Malformed{"FieldTooMany", R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"z":1}})", 4, "nothing else"},
        Malformed{"UnknownDtype", tensor(R"("F31")", "[1]", "[0,4]"), 4, "unknown dtype"},
        Malformed{"DtypeNoString", tensor("3", "[1]", "[0,4]"), 4, "unknown dtype"},
        Malformed{"ShapeNoList", tensor(kF32, "1", "[0,4]"), 4, "shape is not"},
        Malformed{"RankTooHigh", tensor(kF32, "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "shape is not"},
        Malformed{"NegativeDimension", tensor(kF32, "[-1]", "[0,4]"), 4, "not a whole number"},
        Malformed{"FractionalDimension", tensor(kF32, "[1.0]", "[0,4]"), 4, "not a whole number"},
        Malformed{"HugeDimension", tensor(kF32, "[18446744073709551615]", "[0,4]"), 4, "not a whole number"},
        Malformed{"HugerDimension", tensor(kF32, "[99999999999999999999999]", "[0,4]"), 4, "not a whole number"},
        Malformed{"OverflowingShape", tensor(kF32, "[4294967296,4294967296]", "[0,0]"), 0, "do not match"},
        Malformed{"OverflowBesideZero", tensor(kF32, "[4294967296,4294967296,0]", "[0,0]"), 0, "do not match"},
        Malformed{"SizeMismatch", tensor(kF32, "[2]", "[0,4]"), 4, "do not match"},
        Malformed{"OneOffset", tensor(kF32, "[1]", "[4]"), 4, "two ascending"},
        Malformed{"NegativeOffset", tensor(kF32, "[1]", "[-4,0]"), 4, "two ascending"},
        Malformed{"DescendingOffsets", tensor(kF32, "[1]", "[4,0]"), 4, "two ascending"},
        Malformed{"BeyondTheEnd", tensor(kF32, "[2]", "[0,8]"), 4, "beyond the end"},
        Malformed{"FarBeyondTheEnd", tensor(kF32, "[1]", "[9223372036854775803,9223372036854775807]"), 4,
                  "beyond the end"},
        Malformed{"HoleInFront", tensor(kF32, "[1]", "[4,8]"), 8, "between tensors"},
        Malformed{"BytesBehind", tensor(kF32, "[1]", "[0,4]"), 5, "at the end"},
        Malformed{"Overlap",
                  R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                  R"("y":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                  8, "overlap"},
        Malformed{"NoTensorsButData", "{}", 1, "at the end"}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(Safetensors, RefusesALengthThatTheFileCannotHold) {
  EXPECT_NE(refusal({}).find("shorter"), std::string::npos);
  EXPECT_NE(refusal(bytes_of("1234567")).find("shorter"), std::string::npos);
  std::vector<std::byte> content = make_file(kGood, 25);
  std::fill(content.begin(), content.begin() + 8, std::byte{0xff});
  EXPECT_NE(refusal(content).find("above 16 MiB"), std::string::npos);
  const uint64_t beyond = content.size();
  std::memcpy(content.data(), &beyond, sizeof beyond);
  EXPECT_NE(refusal(content).find("beyond the end"), std::string::npos);
}

TEST(Safetensors, RefusesEveryTruncation) {
  const std::vector<std::byte> whole = make_file(kGood, 25);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(refusal({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}), "accepted") << size;
  }
}

TEST(Safetensors, SurvivesEveryChangedByteOfTheHeader) {
  const std::vector<std::byte> whole = make_file(kGood, 25);
  for (std::size_t place = 0; place < whole.size() - 25; ++place) {
    for (unsigned value = 0; value < 256; ++value) {
      std::vector<std::byte> changed = whole;
      changed[place] = static_cast<std::byte>(value);
      const auto file = SafetensorsFile::parse(std::move(changed));
      for (const StoredTensor& found : file ? file->tensors() : std::span<const StoredTensor>{}) {
        EXPECT_LE(found.bytes.size(), 25U);  // what is accepted lies inside the file
      }
    }
  }
}

TEST(Safetensors, WritesWhatItReads) {
  const TemporaryFolder folder;
  const std::array<float, 3> values{1.5F, -2.0F, 0.25F};
  const std::array<uint8_t, 5> odd{1, 2, 3, 4, 5};  // leaves what follows it unaligned
  const std::vector<StoredTensor> tensors{{"b", Dtype::f32, {3}, std::as_bytes(std::span(values))},
                                          {"a", Dtype::u8, {5, 1}, std::as_bytes(std::span(odd))},
                                          {"none", Dtype::i64, {0, 7}, {}}};
  ASSERT_TRUE(write_safetensors(folder / "w", tensors, {{"key", "\"quoted\" \n"}}).has_value());
  const auto file = SafetensorsFile::read(folder / "w");
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(file->metadata().at("key"), "\"quoted\" \n");
  ASSERT_EQ(file->tensors().size(), 3U);
  for (const StoredTensor& wanted : tensors) {
    const StoredTensor* found = file->find(wanted.name);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->dtype, wanted.dtype);
    EXPECT_EQ(found->shape, wanted.shape);
    EXPECT_TRUE(std::equal(found->bytes.begin(), found->bytes.end(), wanted.bytes.begin(), wanted.bytes.end()));
  }
  ASSERT_TRUE(write_safetensors(folder / "again", tensors, {{"key", "\"quoted\" \n"}}).has_value());
  EXPECT_EQ(*sha256_of_file(folder / "w"), *sha256_of_file(folder / "again"));
  EXPECT_FALSE(std::filesystem::exists(folder / "w.tmp"));
}

TEST(Safetensors, RefusesToWriteWhatItWouldNotRead) {
  const TemporaryFolder folder;
  const std::array<float, 3> values{};
  const auto bytes = std::as_bytes(std::span(values));
  const auto write = [&](std::vector<StoredTensor> tensors) { return write_safetensors(folder / "w", tensors, {}); };
  EXPECT_FALSE(write({{"x", Dtype::f32, {2}, bytes}}).has_value());
  EXPECT_FALSE(write({{"x", Dtype::f32, {-3}, bytes}}).has_value());
  EXPECT_FALSE(write({{"x", Dtype::f32, {3}, bytes}, {"x", Dtype::f32, {3}, bytes}}).has_value());
  EXPECT_FALSE(write({{"__metadata__", Dtype::f32, {3}, bytes}}).has_value());
  EXPECT_FALSE(std::filesystem::exists(folder / "w"));
}

TEST(Safetensors, SaysWhatTheSystemRefused) {
  const TemporaryFolder folder;
  EXPECT_EQ(SafetensorsFile::read(folder / "absent").error().code, Code::not_found);
  EXPECT_EQ(SafetensorsFile::read(folder.path()).error().code, Code::unsupported);
  EXPECT_EQ(write_safetensors(folder / "absent/w", {}, {}).error().code, Code::system);
}

TEST(Parts, AreNamedByTheFirst) {
  EXPECT_EQ(part_name("a/w.x", 2, 3), "a/w-2-of-3.x");
  EXPECT_EQ(part_name("a/w.x", 1, 1), "a/w.x");
  EXPECT_EQ(*part_names("a/w-1-of-2.x"), (std::vector<std::filesystem::path>{"a/w-1-of-2.x", "a/w-2-of-2.x"}));
  for (const char* alone : {"w.x", "w-1-of-1.x", "w-1-of-b.x", "w-1-or-2.x", "w-of-2.x", "-1.x"}) {
    EXPECT_EQ(*part_names(alone), std::vector<std::filesystem::path>{alone}) << alone;
  }
  for (const char* wrong : {"w-2-of-2.x", "w-0-of-2.x", "w-1-of-0.x", "w-1-of-1001.x"}) {
    EXPECT_EQ(part_names(wrong).error().code, Code::invalid_argument) << wrong;
  }
}

TEST(Parts, AreReadWholeOrNotAtAll) {
  const TemporaryFolder folder;
  const auto write = [&](const char* name, std::string_view text) {
    const std::array pieces{std::as_bytes(std::span(text))};
    ASSERT_TRUE(write_file_atomically(folder / name, pieces).has_value());
  };
  write("w-1-of-2", "ab");
  EXPECT_EQ(read_parts(folder / "w-1-of-2").error().code, Code::not_found);
  EXPECT_NE(std::string(read_parts(folder / "w-1-of-2").error().text).find("part"), std::string::npos);
  write("w-2-of-2", "c");
  EXPECT_EQ(*read_parts(folder / "w-1-of-2"), (std::vector{bytes_of("ab"), bytes_of("c")}));
  EXPECT_EQ(*sha256_of_file(folder / "w-1-of-2"), *sha256(bytes_of("abc")));
}

TEST(Digest, IsSha256) {
  EXPECT_EQ(*sha256(bytes_of("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(*sha256({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace takt::models
