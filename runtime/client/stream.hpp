// A stream: what was asked for, what the broker made of it, and its memory.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/frame.hpp"
#include "client/tensors.hpp"

namespace takt::lib {

inline constexpr std::uint32_t kMaxSlots = 64, kMaxStreams = 64;  // one bit each in a word
inline constexpr std::uint64_t kPage = 4096;

[[nodiscard]] constexpr std::uint64_t bit(std::uint32_t place) noexcept {
  return std::uint64_t{1} << place;
}

// Where the inputs lie in a slot. Offsets count from the slot's start; `bytes` of a descriptor is the input's room.
struct Layout {
  std::uint32_t inputs = 0;
  std::array<TensorDesc, kMaxTensors> input{};
  std::uint64_t slot_bytes = 0;
};

// Result areas of one size. Frames are bound to them at submit, so they can be replaced while older ones are in use.
struct ResultPool {
  Pool pool;
  std::uint64_t stride = 0;  // bytes a slot: its own area and those of the streams below
};

// What the application asked for, kept to ask again after a restart of the broker.
struct Wish {
  wire::OpenStream open;                    // numbers of model, form, parent and metric are looked up anew each time
  std::string model, metric;                // by name; both empty with a preset
  TensorDesc picture;                       // format none: tensors as the model declares them
  std::optional<wire::OpenStream> revised;  // an update of a preset
};

}  // namespace takt::lib

struct takt_stream {
  enum class State : std::uint8_t {
    open,
    refused,  // by a restarted broker
    closed,   // by the application; lives until its last answer is released
  };

  takt_client* client = nullptr;
  State state = State::open;
  std::uint32_t place = 0;  // in the client's table
  std::uint32_t id = 0;     // the broker's number
  takt_stream* parent = nullptr;
  bool is_child = false;  // its frames came from a parent, which may be gone
  void* user = nullptr;
  takt_admission admission{};
  takt::lib::Wish wish;
  std::string model;               // that it runs, also if a preset chose it
  std::uint64_t result_bytes = 0;  // of its own area, aligned

  // Of streams that are submitted to.
  takt::lib::Layout layout;
  std::uint32_t slot_count = 0;
  std::uint64_t below = 0;  // places of all streams below it
  std::uint64_t free = 0;   // slots
  std::unique_ptr<takt::lib::Slot[]> slots;
  std::unique_ptr<takt::lib::Pool> frames;                      // of an older epoch: waits to be made anew
  std::vector<std::unique_ptr<takt::lib::ResultPool>> results;  // the last is in use, the others until released

  [[nodiscard]] bool idle() const noexcept { return static_cast<std::uint32_t>(std::popcount(free)) == slot_count; }
  // Credits and result areas a frame takes.
  [[nodiscard]] std::uint32_t weight() const noexcept { return 1 + static_cast<std::uint32_t>(std::popcount(below)); }
  [[nodiscard]] bool is_below(const takt_stream* other) const noexcept {
    for (const takt_stream* s = parent; s != nullptr; s = s->parent)
      if (s == other) return true;
    return false;
  }
};
