// Words that more than one kind of file uses for the same enumeration.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "takt/tensor.hpp"

namespace takt::files {

inline constexpr std::array<std::pair<std::string_view, PictureFormat>, 4> kPictureWords{
    {{"rgb", PictureFormat::rgb},
     {"nv12", PictureFormat::nv12},
     {"yuyv", PictureFormat::yuyv},
     {"gray", PictureFormat::gray}}};

[[nodiscard]] constexpr std::string_view word_of(PictureFormat format) noexcept {
  for (const auto& [word, value] : kPictureWords)
    if (value == format) return word;
  return "none";
}

}  // namespace takt::files
