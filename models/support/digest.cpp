// SHA-256 through OpenSSL.
#include "support/digest.hpp"

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <string_view>

#include "support/files.hpp"

namespace takt::models {
namespace {

// `feed(context)` says whether the crypto library took all bytes.
template <class Feed>
Result<std::string> digest_of(Feed&& feed) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  if (context == nullptr || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1 || !feed(context.get()) ||
      EVP_DigestFinal_ex(context.get(), digest.data(), &length) != 1) {
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

}  // namespace

Result<std::string> sha256(std::span<const std::byte> bytes) {
  return digest_of([&](EVP_MD_CTX* context) { return EVP_DigestUpdate(context, bytes.data(), bytes.size()) == 1; });
}

Result<std::string> sha256_of(std::span<const std::vector<std::byte>> pieces) {
  return digest_of([&](EVP_MD_CTX* context) {
    for (const auto& piece : pieces) {
      if (EVP_DigestUpdate(context, piece.data(), piece.size()) != 1) {
        return false;
      }
    }
    return true;
  });
}

Result<std::string> sha256_of_file(const std::filesystem::path& path) {
  const auto parts = read_parts(path);
  if (!parts) {
    return tl::unexpected(parts.error());
  }
  return sha256_of(*parts);
}

}  // namespace takt::models
