// What a loop event of the scheduler thread is about: kind in the upper half, index in the lower.
#pragma once

#include <cstdint>

namespace takt::daemon::token {

inline constexpr std::uint64_t kCommands = 0, kSession = 1, kLink = 2;
[[nodiscard]] constexpr std::uint64_t make(std::uint64_t kind, std::uint64_t index = 0) noexcept { return kind << 32 | index; }
[[nodiscard]] constexpr std::uint64_t kind(std::uint64_t token) noexcept { return token >> 32; }
[[nodiscard]] constexpr std::uint32_t index(std::uint64_t token) noexcept { return static_cast<std::uint32_t>(token); }

}  // namespace takt::daemon::token
