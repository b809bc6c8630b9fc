// Builds a policy from its name: a preset, or stages joined by '+', as "edf+drop+fit".
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "takt/policy.hpp"
#include "takt/result.hpp"

namespace takt {

// Exactly one dispatcher, at most one selector and one dropper, in any order; or the name of one whole policy.
// On error the text lists what there is. Allocates; call before the scheduler runs.
[[nodiscard]] tl::expected<std::unique_ptr<Policy>, std::string> compose_policy(std::string_view name,
                                                                                     std::span<const std::string> settings = {});

}  // namespace takt
