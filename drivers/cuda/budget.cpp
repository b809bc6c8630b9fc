// Sums of device memory.
#include "cuda/budget.hpp"

#include <algorithm>
#include <numeric>

namespace takt::cuda {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::size_t kEnoughGraphs = 8;

constexpr const char* kRefusal[kUses] = {
    "no device memory for the weights: fewer models, fewer widths or half precision",
    "no device memory for the activation slots: fewer slots, fewer accelerators on the device or half precision",
    "no device memory for activations: smaller batches or fewer accelerators on the device",
    "no device memory for another graph: what has none runs unrecorded",
    "no device memory",
};

std::uint64_t minus(std::uint64_t a, std::uint64_t b) noexcept {
  return a > b ? a - b : 0;
}

}  // namespace

Budget::Budget(std::uint64_t total, std::uint64_t free, std::uint64_t reserve) noexcept
    : total_(total), available_(minus(free, reserve)), reserve_(reserve) {}

Result<void> Budget::take(Use use, std::uint64_t bytes, std::uint64_t free) noexcept {
  const std::lock_guard lock(mutex_);
  const auto i = static_cast<std::size_t>(use);
  if (bytes > left_locked(free)) return fail(Code::no_memory, kRefusal[i]);
  used_[i] += bytes;
  return {};
}

void Budget::give_back(Use use, std::uint64_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  std::uint64_t& used = used_[static_cast<std::size_t>(use)];
  used = minus(used, bytes);
}

void Budget::count_graph(std::uint64_t free_before, std::uint64_t free_after) noexcept {
  const std::lock_guard lock(mutex_);
  used_[static_cast<std::size_t>(Use::graphs)] += minus(free_before, free_after);
  ++graphs_;
}

std::uint64_t Budget::bytes_per_graph_locked() const noexcept {
  if (graphs_ < kEnoughGraphs) return kMiB;
  return std::max(used_[static_cast<std::size_t>(Use::graphs)] / graphs_, kMiB / 16);
}

std::uint64_t Budget::bytes_per_graph() const noexcept {
  const std::lock_guard lock(mutex_);
  return bytes_per_graph_locked();
}

Result<void> Budget::room_for_graph(std::uint64_t free) const noexcept {
  const std::lock_guard lock(mutex_);
  if (bytes_per_graph_locked() > left_locked(free))
    return fail(Code::no_memory, kRefusal[static_cast<std::size_t>(Use::graphs)]);
  return {};
}

std::uint64_t Budget::used(Use use) const noexcept {
  const std::lock_guard lock(mutex_);
  return used_[static_cast<std::size_t>(use)];
}

std::size_t Budget::graphs() const noexcept {
  const std::lock_guard lock(mutex_);
  return graphs_;
}

std::uint64_t Budget::sum() const noexcept {
  return std::accumulate(used_.begin(), used_.end(), std::uint64_t{0});
}

// What was counted may not have been taken yet, and what is gone may not be ours: the smaller of both views.
std::uint64_t Budget::left_locked(std::uint64_t free) const noexcept {
  return std::min(minus(available_, sum()), minus(free, reserve_));
}

std::uint64_t Budget::left(std::uint64_t free) const noexcept {
  const std::lock_guard lock(mutex_);
  return left_locked(free);
}

std::string Budget::text(std::uint64_t free) const {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (std::size_t i = 0; i < kUses; ++i)
    if (used_[i] > 0)
      text += (text.empty() ? "" : ", ") + std::string(to_string(static_cast<Use>(i))) + " " +
              std::to_string(used_[i] / kMiB) + " MiB";
  if (text.empty()) text = "nothing";
  return text + " of " + std::to_string(total_ / kMiB) + " MiB, " + std::to_string(left_locked(free) / kMiB) +
         " MiB left";
}

}  // namespace takt::cuda
