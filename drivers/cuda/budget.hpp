// Where a device's memory goes, and who is refused before it runs out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

#include "takt/result.hpp"

namespace takt::cuda {

enum class Use : std::uint8_t { weights, slots, activations, graphs, other };
inline constexpr std::size_t kUses = 5;

[[nodiscard]] constexpr const char* to_string(Use use) noexcept {
  constexpr const char* names[kUses] = {"weights", "slots", "activations", "graphs", "other"};
  return names[static_cast<std::size_t>(use)];
}

// One a device. Any thread; never on the hot path.
class Budget {
 public:
  // `total`: the device's; `free`: what CUDA says is free once its context stands; `reserve`: always left alone, for
  // what libraries take by themselves.
  Budget(std::uint64_t total, std::uint64_t free, std::uint64_t reserve) noexcept;

  // Code::no_memory, and nothing is taken, if `bytes` are not left. `free`: what CUDA says now, also others' use
  // counts.
  [[nodiscard]] Result<void> take(Use use, std::uint64_t bytes, std::uint64_t free) noexcept;
  void give_back(Use use, std::uint64_t bytes) noexcept;

  // A graph was instantiated between two looks at the free memory, nothing else meanwhile. CUDA gives graphs their
  // memory in blocks of several: many cost nothing, the next one costs for all.
  void count_graph(std::uint64_t free_before, std::uint64_t free_after) noexcept;
  // What one took on average, at least 64 KiB; what is assumed until eight were counted: 1 MiB.
  [[nodiscard]] std::uint64_t bytes_per_graph() const noexcept;
  // Whether another graph can be made.
  [[nodiscard]] Result<void> room_for_graph(std::uint64_t free) const noexcept;

  [[nodiscard]] std::uint64_t used(Use use) const noexcept;
  [[nodiscard]] std::size_t graphs() const noexcept;
  // What may still be taken.
  [[nodiscard]] std::uint64_t left(std::uint64_t free) const noexcept;
  // For the operator: "weights 95 MiB, slots ... of 80384 MiB, 71000 MiB left".
  [[nodiscard]] std::string text(std::uint64_t free) const;

 private:
  [[nodiscard]] std::uint64_t sum() const noexcept;
  [[nodiscard]] std::uint64_t left_locked(std::uint64_t free) const noexcept;
  [[nodiscard]] std::uint64_t bytes_per_graph_locked() const noexcept;

  const std::uint64_t total_, available_, reserve_;
  mutable std::mutex mutex_;
  std::array<std::uint64_t, kUses> used_{};
  std::size_t graphs_ = 0;
};

}  // namespace takt::cuda
