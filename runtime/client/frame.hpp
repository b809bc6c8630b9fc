// What the application holds: a frame, which is a slot of a stream's memory, or a cascade child's answer about one.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "client/pool.hpp"
#include "takt/takt.h"
#include "wire/protocol.hpp"

namespace takt::lib {
struct Slot;
}

struct takt_frame {
  takt::lib::Slot* slot = nullptr;  // whose memory it is; itself, unless this is a child's answer
  bool answered = false;            // handed out or about to be, and not released yet
  bool has_result = false;
  std::uint32_t credits = 0;        // that come back with the release
  std::uint32_t epoch = 0;          // the connection that wants to hear of the release; 0: none does
  std::uint64_t result_offset = 0;  // area in the slot's result pool
  std::uint64_t result_bytes = 0;
};

namespace takt::lib {

// A submit as it goes out: the descriptors follow the message directly.
struct SubmitMessage {
  wire::Submit submit;
  std::array<TensorDesc, kMaxTensors> input{};
};
static_assert(sizeof(SubmitMessage) == wire::kMaxSubmit);

// Every frame costs one credit and one more for each stream below its own. It ends when all of them were released.
struct Slot : takt_frame {
  enum class State : std::uint8_t { free, begun, submitted };

  State state = State::free;
  bool described = false;  // a descriptor differs from the stream's
  std::uint32_t index = 0;
  takt_stream* stream = nullptr;
  std::uint64_t tag = 0;     // the application's; the one on the wire names the place in the table of frames in flight
  SubmitMessage message{};   // ready but for numbers that change
  Pool* results = nullptr;   // while submitted
  std::uint64_t stride = 0;  // bytes of its area there

  std::uint32_t cost = 0, ended = 0, released = 0;  // credits: taken, told by verdicts, given back
  std::uint64_t below = 0;                          // places of the streams below when it was submitted
  std::uint64_t awaited = 0;                        // places of the streams whose verdict may come next
  std::uint64_t noticed = 0;                        // places whose notice came

  [[nodiscard]] std::span<const std::byte> packet() const noexcept {
    return std::as_bytes(std::span(&message, 1)).first(message.submit.header.bytes);
  }
};

}  // namespace takt::lib
