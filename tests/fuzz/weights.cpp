// Safetensors files: every tensor of an accepted file lies in it and is as long as its shape says.
#include <cstring>

#include "support/safetensors.hpp"
#include "target.hpp"

namespace takt::fuzz {
namespace {

std::string file(std::string_view header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + std::string(header) + std::string(data_bytes, '\1');
}

volatile std::byte touched{};

void check_whole(const models::SafetensorsFile& weights) {
  for (const models::StoredTensor& tensor : weights.tensors()) {
    std::size_t bytes = models::size_of(tensor.dtype);
    for (const std::int64_t n : tensor.shape) {
      TAKT_CHECK(n >= 0);
      TAKT_CHECK(!__builtin_mul_overflow(bytes, static_cast<std::size_t>(n), &bytes));
    }
    TAKT_CHECK(tensor.bytes.size() == bytes);
    for (const std::byte b : tensor.bytes) touched = b;  // the address sanitizer watches
    TAKT_CHECK(weights.find(tensor.name) == &tensor);
  }
}

}  // namespace

std::vector<std::string> seeds() {
  return {file(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
               R"("b":{"dtype":"I64","shape":[],"data_offsets":[24,32]}})",
               32),
          file(R"({"__metadata__":{"k":"v"},"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4), file("{}", 0)};
}

std::vector<std::string> words() {
  return {"18446744073709551615", "-1",      "[]",  "{}", "\"F16\"", "null", "1e400", "[0,0]",
          "__metadata__",         "\\u0000", "[[[["};
}

}  // namespace takt::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> content(size);
  if (size > 0) std::memcpy(content.data(), data, size);
  const auto weights = takt::models::SafetensorsFile::parse(std::move(content));
  if (weights) takt::fuzz::check_whole(*weights);
  return 0;
}
