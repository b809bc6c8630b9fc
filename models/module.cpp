// From a model's description to its network: table, file, digest, weights, in this order.
#include "module.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <string_view>
#include <utility>

#include "support/digest.hpp"
#include "support/files.hpp"

namespace takt::models {
namespace {

constexpr std::string_view kSha256 = "sha256:";

Result<WeightBytes> read_checked(const Model& model) {
  if (model.weights.empty() || !model.digest.starts_with(kSha256))
    return fail(Code::invalid_argument, "the model names no weights with a sha256 digest");
  auto content = read_parts(std::filesystem::path(model.directory) / model.weights);
  if (!content) return content;
  const auto digest = sha256_of(*content);
  if (!digest) return tl::unexpected(digest.error());
  if (*digest != std::string_view(model.digest).substr(kSha256.size()))
    return fail(Code::corrupt,
                "the weights have another digest than model.xml says: a file is damaged or was replaced");
  return content;
}

Result<std::unique_ptr<NativeModule>> load(const Model& model) {
  const auto table = module_table();
  const auto entry =
      std::find_if(table.begin(), table.end(), [&](const ModuleEntry* e) { return model.module == e->name; });
  if (entry == table.end()) return fail(Code::not_found, "the model's module is none that was built in");
  auto content = read_checked(model);
  if (!content) return tl::unexpected(content.error());
  return (*entry)->make(std::move(*content));
}

}  // namespace

Result<std::unique_ptr<NativeModule>> load_module(const Model& model) noexcept {
  try {
    return load(model);
  } catch (const std::bad_alloc&) {
    return fail(Code::no_memory, "no memory for the model's weights");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "model %s: %s\n", model.name.c_str(), error.what());
    return fail(Code::internal, "libtorch refused the model's weights; its reason is on standard error");
  }
}

}  // namespace takt::models
