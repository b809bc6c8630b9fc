// What a policy tells of itself: named numbers for the status, filled without allocation.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace takt {

class PolicyReport {
 public:
  struct Item {
    const char* name = "";  // static text, snake_case, with its unit
    double value = 0;
  };
  static constexpr std::size_t kMost = 32;

  // Beyond kMost nothing is added.
  void add(const char* name, double value) noexcept {
    if (count_ < kMost) items_[count_++] = {name, value};
  }
  [[nodiscard]] std::span<const Item> items() const noexcept { return {items_.data(), count_}; }

 private:
  std::array<Item, kMost> items_{};
  std::size_t count_ = 0;
};

}  // namespace takt
