// Reader and writer of safetensors files; everything the header claims is checked before it is used.
#include "support/safetensors.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "support/files.hpp"

namespace takt::models {
namespace {

using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian and is not swapped here");

constexpr std::size_t kLengthBytes = 8;
// The format allows 100 MB; no header of ours comes near this, and JSON takes many times its size in memory.
constexpr uint64_t kMaxHeaderBytes = 16U << 20U;
constexpr std::size_t kMaxRank = 16;
constexpr int kMaxDepth = 4;
constexpr std::size_t kAlignment = 64;
constexpr std::string_view kMetadataKey = "__metadata__";

struct DtypeRow {
  Dtype dtype;
  std::string_view name;
  std::size_t size;
};
constexpr std::array<DtypeRow, 13> kDtypes{{{Dtype::boolean, "BOOL", 1},
                                            {Dtype::u8, "U8", 1},
                                            {Dtype::i8, "I8", 1},
                                            {Dtype::u16, "U16", 2},
                                            {Dtype::i16, "I16", 2},
                                            {Dtype::f16, "F16", 2},
                                            {Dtype::bf16, "BF16", 2},
                                            {Dtype::u32, "U32", 4},
                                            {Dtype::i32, "I32", 4},
                                            {Dtype::f32, "F32", 4},
                                            {Dtype::u64, "U64", 8},
                                            {Dtype::i64, "I64", 8},
                                            {Dtype::f64, "F64", 8}}};

Result<Json> parse_header(std::string_view text) {
  // JSON leaves repeated keys to the parser, and ours would keep the last one in silence: two tensors of one name could
  // then look different to two readers.
  std::vector<std::set<std::string>> keys;
  bool repeated = false;
  bool deep = false;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    deep = deep || depth > kMaxDepth;
    if (deep) {
      return false;  // discards what is nested too deeply instead of building it
    }
    if (event == Json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == Json::parse_event_t::object_end && !keys.empty()) {
      keys.pop_back();
    } else if (event == Json::parse_event_t::key && !keys.empty()) {
      repeated = repeated || !keys.back().insert(value.get<std::string>()).second;
    }
    return true;
  };
  Json header = Json::parse(text, watch, false);
  if (deep) {
    return fail(Code::corrupt, "safetensors: header is nested too deeply", kLengthBytes);
  }
  if (repeated) {
    return fail(Code::corrupt, "safetensors: header names a key twice", kLengthBytes);
  }
  if (header.is_discarded() || !header.is_object()) {
    return fail(Code::corrupt, "safetensors: header is not a JSON object", kLengthBytes);
  }
  return header;
}

Result<Metadata> parse_metadata(const Json& entry) {
  if (!entry.is_object()) {
    return fail(Code::corrupt, "safetensors: __metadata__ is not an object");
  }
  Metadata metadata;
  for (const auto& [key, value] : entry.items()) {
    if (!value.is_string()) {
      return fail(Code::corrupt, "safetensors: a value in __metadata__ is not a string");
    }
    metadata.emplace(key, value.get<std::string>());
  }
  return metadata;
}

// A whole number that fits both int64_t and size_t; JSON's floats, signs and strings are refused.
std::optional<uint64_t> whole_number(const Json& value) {
  if (!value.is_number_unsigned()) {
    return std::nullopt;
  }
  const auto number = value.get<uint64_t>();
  if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return std::nullopt;
  }
  return number;
}

// Bytes that `shape` takes, or nothing if that overflows. A zero among the dimensions does not excuse the others:
// whoever computes strides from them would overflow.
std::optional<uint64_t> byte_count(std::span<const int64_t> shape, Dtype dtype) {
  int64_t total = static_cast<int64_t>(size_of(dtype));
  bool empty = false;
  for (const int64_t dimension : shape) {
    empty = empty || dimension == 0;
    if (dimension < 0 || __builtin_mul_overflow(total, std::max<int64_t>(dimension, 1), &total)) {
      return std::nullopt;
    }
  }
  return empty ? 0 : static_cast<uint64_t>(total);
}

Result<std::vector<int64_t>> parse_shape(const Json& entry) {
  if (!entry.is_array() || entry.size() > kMaxRank) {
    return fail(Code::corrupt, "safetensors: shape is not a list of at most 16 numbers");
  }
  std::vector<int64_t> shape;
  for (const Json& value : entry) {
    const auto dimension = whole_number(value);
    if (!dimension) {
      return fail(Code::corrupt, "safetensors: a dimension is not a whole number");
    }
    shape.push_back(static_cast<int64_t>(*dimension));
  }
  return shape;
}

Result<StoredTensor> parse_tensor(const std::string& name, const Json& entry, std::span<const std::byte> data) {
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets")) {
    return fail(Code::corrupt, "safetensors: a tensor needs dtype, shape, data_offsets and nothing else");
  }
  const Json& type = entry["dtype"];
  const auto dtype = type.is_string() ? parse_dtype(type.get_ref<const std::string&>()) : std::nullopt;
  if (!dtype) {
    return fail(Code::corrupt, "safetensors: unknown dtype");
  }
  auto shape = parse_shape(entry["shape"]);
  if (!shape) {
    return tl::unexpected(shape.error());
  }
  const Json& offsets = entry["data_offsets"];
  const bool pair = offsets.is_array() && offsets.size() == 2;
  const auto begin = pair ? whole_number(offsets[0]) : std::nullopt;
  const auto end = pair ? whole_number(offsets[1]) : std::nullopt;
  if (!begin || !end || *begin > *end) {
    return fail(Code::corrupt, "safetensors: data_offsets are not two ascending whole numbers");
  }
  if (*end > data.size()) {
    return fail(Code::corrupt, "safetensors: data_offsets lie beyond the end of the file", static_cast<long>(*end));
  }
  const auto bytes = byte_count(*shape, *dtype);
  if (!bytes || *bytes != *end - *begin) {
    return fail(Code::corrupt, "safetensors: data_offsets do not match dtype and shape", static_cast<long>(*begin));
  }
  return StoredTensor{name, *dtype, std::move(*shape), data.subspan(*begin, *end - *begin)};
}

// The format wants the data without holes and without overlaps: bytes that no tensor owns could hide anything.
Result<void> check_coverage(std::span<const StoredTensor> tensors, std::span<const std::byte> data) {
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  for (const StoredTensor& tensor : tensors) {
    const auto begin = static_cast<std::size_t>(tensor.bytes.data() - data.data());
    ranges.emplace_back(begin, begin + tensor.bytes.size());
  }
  std::sort(ranges.begin(), ranges.end());
  std::size_t covered = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin < covered) {
      return fail(Code::corrupt, "safetensors: two tensors overlap", static_cast<long>(begin));
    }
    if (begin > covered) {
      return fail(Code::corrupt, "safetensors: bytes between tensors belong to none", static_cast<long>(covered));
    }
    covered = end;
  }
  if (covered != data.size()) {
    return fail(Code::corrupt, "safetensors: bytes at the end belong to no tensor", static_cast<long>(covered));
  }
  return {};
}

// Splits the content into header and data by the length in front of it.
struct Parts {
  std::string_view header;
  std::span<const std::byte> data;
};
Result<Parts> split(std::span<const std::byte> content) {
  if (content.size() < kLengthBytes) {
    return fail(Code::corrupt, "safetensors: file is shorter than its 8-byte header length",
                static_cast<long>(content.size()));
  }
  uint64_t length = 0;
  std::memcpy(&length, content.data(), kLengthBytes);
  if (length > kMaxHeaderBytes) {
    return fail(Code::corrupt, "safetensors: header length is above 16 MiB");
  }
  if (length > content.size() - kLengthBytes) {
    return fail(Code::corrupt, "safetensors: header length is beyond the end of the file");
  }
  const auto header = content.subspan(kLengthBytes, length);
  if (header.empty() || header.front() != std::byte{'{'}) {
    return fail(Code::corrupt, "safetensors: header does not begin with {", kLengthBytes);
  }
  return Parts{{reinterpret_cast<const char*>(header.data()), header.size()}, content.subspan(kLengthBytes + length)};
}

Result<std::string> make_header(std::span<const StoredTensor> tensors, const Metadata& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) {
    header[kMetadataKey] = metadata;
  }
  std::size_t offset = 0;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.name == kMetadataKey || header.contains(tensor.name) || tensor.shape.size() > kMaxRank) {
      return fail(Code::invalid_argument,
                  "safetensors: a tensor's name is reserved or used twice, or its rank too high");
    }
    if (byte_count(tensor.shape, tensor.dtype) != tensor.bytes.size()) {
      return fail(Code::invalid_argument, "safetensors: a tensor's bytes do not match its dtype and shape");
    }
    header[tensor.name] = {{"dtype", to_string(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + tensor.bytes.size()}}};
    offset += tensor.bytes.size();
  }
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  // Spaces are allowed after the object; with them the data starts on a cache line of a mapped file.
  text.append((kAlignment - (kLengthBytes + text.size()) % kAlignment) % kAlignment, ' ');
  if (text.size() > kMaxHeaderBytes) {
    return fail(Code::invalid_argument, "safetensors: header would be longer than 16 MiB");
  }
  return text;
}

}  // namespace

std::string_view to_string(Dtype dtype) noexcept {
  return kDtypes[static_cast<std::size_t>(dtype)].name;
}

std::size_t size_of(Dtype dtype) noexcept {
  return kDtypes[static_cast<std::size_t>(dtype)].size;
}

std::optional<Dtype> parse_dtype(std::string_view text) noexcept {
  const auto row = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const DtypeRow& r) { return r.name == text; });
  return row == kDtypes.end() ? std::nullopt : std::optional(row->dtype);
}

Result<SafetensorsFile> SafetensorsFile::read(const std::filesystem::path& path) {
  auto content = read_file(path);
  if (!content) {
    return tl::unexpected(content.error());
  }
  return parse(std::move(*content));
}

Result<SafetensorsFile> SafetensorsFile::parse(std::vector<std::byte> content) {
  SafetensorsFile file;
  file.content_ = std::move(content);
  const auto parts = split(file.content_);
  if (!parts) {
    return tl::unexpected(parts.error());
  }
  const auto header = parse_header(parts->header);
  if (!header) {
    return tl::unexpected(header.error());
  }
  // nlohmann's objects are ordered maps, so the tensors come in ascending order of name.
  for (const auto& [name, entry] : header->items()) {
    if (name == kMetadataKey) {
      auto metadata = parse_metadata(entry);
      if (!metadata) {
        return tl::unexpected(metadata.error());
      }
      file.metadata_ = std::move(*metadata);
      continue;
    }
    auto tensor = parse_tensor(name, entry, parts->data);
    if (!tensor) {
      return tl::unexpected(tensor.error());
    }
    file.tensors_.push_back(std::move(*tensor));
  }
  if (auto covered = check_coverage(file.tensors_, parts->data); !covered) {
    return tl::unexpected(covered.error());
  }
  return file;
}

const StoredTensor* SafetensorsFile::find(std::string_view name) const noexcept {
  const auto place =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const StoredTensor& tensor, std::string_view key) { return tensor.name < key; });
  return place != tensors_.end() && place->name == name ? &*place : nullptr;
}

Result<void> write_safetensors(const std::filesystem::path& path, std::vector<StoredTensor> tensors,
                               const Metadata& metadata) {
  std::sort(tensors.begin(), tensors.end(),
            [](const StoredTensor& a, const StoredTensor& b) { return a.name < b.name; });
  const auto header = make_header(tensors, metadata);
  if (!header) {
    return tl::unexpected(header.error());
  }
  const uint64_t length = header->size();
  std::vector<std::span<const std::byte>> pieces{std::as_bytes(std::span(&length, 1)),
                                                 std::as_bytes(std::span(*header))};
  for (const StoredTensor& tensor : tensors) {
    pieces.push_back(tensor.bytes);
  }
  return write_file_atomically(path, pieces);
}

}  // namespace takt::models
