// Reads models/NAME/model.xml: what the scheduler and the executors must know of a model before its weights are opened.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "takt/model.hpp"
#include "takt/result.hpp"

namespace takt::files {

inline constexpr std::size_t kMaxSegments = 64;                            // of a model, preprocessing included
inline constexpr std::size_t kMaxWidths = 16;                              // of a segment
inline constexpr std::size_t kMaxSubnets = 4096;                           // of a model
inline constexpr std::size_t kMaxVariants = 8192;                          // of a model
inline constexpr std::uint64_t kMaxInputBytes = std::uint64_t{256} << 20;  // of one tensor
inline constexpr std::uint64_t kMaxResultBytes = std::uint64_t{64} << 20;
inline constexpr std::uint64_t kMaxActivationBytes = std::uint64_t{1} << 30;
inline constexpr const char* kPreprocess =
    "preprocess";  // name of the segment that models with picture forms begin with

// DIRECTORY/model.xml; the model's variants get ids from `first_variant` on: the forms of preprocessing, then for each
// segment (width in, width out) in the order of the width lists, width out fastest. Blocks on the disk.
[[nodiscard]] Parsed<Model> read_model(const std::filesystem::path& directory, VariantId first_variant);

// The same from memory; `directory` becomes Model::directory, `file` is for messages.
[[nodiscard]] Parsed<Model> parse_model(std::string_view xml, const std::string& file,
                                        const std::filesystem::path& directory, VariantId first_variant);

}  // namespace takt::files
