// SHA-256 through OpenSSL's one-shot interface.
#include "support/digest.hpp"

#include <openssl/evp.h>

#include <array>
#include <string_view>

#include "support/files.hpp"

namespace takt::models {

Result<std::string> sha256(std::span<const std::byte> bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1) {
    return fail(Code::internal, "the crypto library could not compute SHA-256");
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < length; ++i) {
    text += kDigits[digest[i] >> 4U];
    text += kDigits[digest[i] & 15U];
  }
  return text;
}

Result<std::string> sha256_of_file(const std::filesystem::path& path) {
  const auto content = read_file(path);
  if (!content) {
    return tl::unexpected(content.error());
  }
  return sha256(*content);
}

}  // namespace takt::models
