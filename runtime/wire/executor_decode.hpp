// Checks of the executor protocol's messages, as decode.hpp does those of clients: copied out first, then judged.
#pragma once

#include <cstddef>
#include <span>

#include "takt/result.hpp"
#include "wire/executor_protocol.hpp"

namespace takt::wire {

// The framing of any message between the broker and an executor: magic, major number, `bytes` is what arrived. Never
// allocates. Errors: corrupt, unsupported (another version: both programs must come from one installation).
[[nodiscard]] Result<ExecutorHeader> check_executor_header(std::span<const std::byte> packet) noexcept;

// A whole message: framing, that T belongs to the operation, exact size, reserved fields zero, texts zero-terminated,
// enumerations and numbers in range. Never allocates. Errors: those above, invalid_argument.
template <class T>
[[nodiscard]] Result<T> decode_executor(std::span<const std::byte> packet) noexcept;

}  // namespace takt::wire
