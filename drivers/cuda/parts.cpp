// Rounding wishes to groups.
#include "cuda/parts.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace takt::cuda {
namespace {

tl::unexpected<InputError> refuse(const std::string& accelerator, std::string text) {
  return tl::unexpected(InputError{"", 0, accelerator, std::move(text)});
}

int smallest_group(const SmResource& device) {
  const int step = std::max(device.step, 1);
  return std::max((device.least + step - 1) / step * step, step);
}

std::string in_groups(const SmResource& device, int groups, int unit) {
  return "the device has " + std::to_string(device.sms) + " multiprocessors, in " + std::to_string(groups) +
         " groups of " + std::to_string(unit);
}

// The sizes while they are worked out, in groups, by wish.
struct Sizes {
  std::span<const Wish> wishes;
  int unit = 1;
  std::vector<int> groups;

  [[nodiscard]] int sum() const { return std::accumulate(groups.begin(), groups.end(), 0); }
  // How much more than wished.
  [[nodiscard]] int excess(std::size_t i) const { return groups[i] * unit - wishes[i].sms; }
};

void round_wishes(Sizes& sizes) {
  for (const Wish& wish : sizes.wishes)
    sizes.groups.push_back(wish.sms == 0 ? 0 : std::max(1, (wish.sms + sizes.unit / 2) / sizes.unit));
}

// Takes a group from whoever was rounded up the most, until `room` groups are enough; false if a part would then be a
// whole group short of its wish.
bool shrink_to(Sizes& sizes, int room) {
  while (sizes.sum() > room) {
    std::size_t most = sizes.wishes.size();
    for (std::size_t i = 0; i < sizes.wishes.size(); ++i)
      if (sizes.groups[i] > 1 && (most == sizes.wishes.size() || sizes.excess(i) > sizes.excess(most))) most = i;
    if (most == sizes.wishes.size() || sizes.excess(most) <= 0) return false;
    --sizes.groups[most];
  }
  return true;
}

void share_out(Sizes& sizes, int left, int takers) {
  for (std::size_t i = 0; i < sizes.wishes.size(); ++i) {
    if (sizes.wishes[i].sms != 0) continue;
    sizes.groups[i] = (left + takers - 1) / takers;
    left -= sizes.groups[i];
    --takers;
  }
}

// Who gets what the split leaves over: the last that takes what is left, else the one that comes nearer to its wish.
std::size_t taker_of_rest(const Sizes& sizes, int rest) {
  const std::size_t nobody = sizes.wishes.size();
  std::size_t taker = nobody;
  if (rest == 0) return nobody;
  for (std::size_t i = 0; i < sizes.wishes.size(); ++i)
    if (sizes.wishes[i].sms == 0) taker = i;
  if (taker != nobody) return taker;
  int best = 0;
  for (std::size_t i = 0; i < sizes.wishes.size(); ++i) {
    const int nearer = std::abs(sizes.excess(i)) - std::abs(sizes.excess(i) + rest);
    if (nearer > best) best = nearer, taker = i;
  }
  return taker;
}

Partition arrange(const Sizes& sizes, int rest) {
  Partition partition{sizes.unit, false, {}};
  const std::size_t last = taker_of_rest(sizes, rest);
  for (std::size_t i = 0; i < sizes.wishes.size(); ++i)
    if (i != last) partition.parts.push_back({i, sizes.groups[i], sizes.groups[i] * sizes.unit});
  if (last == sizes.wishes.size()) return partition;
  partition.rest_to_last = true;
  partition.parts.push_back({last, sizes.groups[last], sizes.groups[last] * sizes.unit + rest});
  return partition;
}

// What is wrong with the wishes whatever the rounding; empty: nothing.
std::string plainly_wrong(const SmResource& device, std::span<const Wish> wishes, const Wish*& whose) {
  std::int64_t sum = 0;
  for (const Wish& wish : wishes) {
    whose = &wish;
    if (wish.sms < 0) return "a number of multiprocessors is not negative";
    if (wish.sms > device.sms)
      return "asks for " + std::to_string(wish.sms) + " of " + std::to_string(device.sms) + " multiprocessors";
    sum += wish.sms;
  }
  whose = nullptr;
  if (sum > device.sms)
    return "the parts ask for " + std::to_string(sum) + " of " + std::to_string(device.sms) + " multiprocessors";
  return "";
}

}  // namespace

std::vector<int> Partition::groups() const {
  std::vector<int> groups;
  for (const Part& part : parts) groups.push_back(part.groups);
  return groups;
}

SmResource guideline(int major, int sms) noexcept {
  if (major >= 9) return {sms, 8, 8, 0};
  if (major == 8) return {sms, 4, 2, 0};
  return {sms, 2, 2, 0};
}

Parsed<Partition> divide(const SmResource& device, std::span<const Wish> wishes) {
  const Wish* whose = nullptr;
  if (const std::string wrong = plainly_wrong(device, wishes, whose); !wrong.empty())
    return refuse(whose != nullptr ? whose->accelerator : "", wrong);
  const int unit = smallest_group(device);
  const int all = device.groups > 0 ? std::min(device.groups, device.sms / unit) : device.sms / unit;
  const auto takers = static_cast<int>(std::ranges::count(wishes, 0, &Wish::sms));
  if (static_cast<int>(wishes.size()) > all)
    return refuse("", in_groups(device, all, unit) + ": at most " + std::to_string(all) + " accelerators fit, not " +
                          std::to_string(wishes.size()));
  Sizes sizes{wishes, unit, {}};
  round_wishes(sizes);
  if (!shrink_to(sizes, all - takers))
    return refuse("", in_groups(device, all, unit) + ": the parts need " + std::to_string(sizes.sum() + takers) +
                          " groups: ask for " + std::to_string((all - takers) * unit) + " together at most" +
                          (takers > 0 ? ", and leave a group for each part that takes what is left" : ""));
  if (takers > 0) share_out(sizes, all - sizes.sum(), takers);
  return arrange(sizes, device.sms - all * unit);
}

std::string grant_note(const Wish& wish, int granted, int unit) {
  if (wish.sms == 0 || wish.sms == granted) return "";
  return "accelerator " + wish.accelerator + " asked for " + std::to_string(wish.sms) + " multiprocessors and has " +
         std::to_string(granted) + ": the device gives groups of " + std::to_string(unit);
}

std::string shared_note(std::span<const Wish> wishes, int sms) {
  const bool whole = wishes.size() == 1 && (wishes[0].sms == 0 || wishes[0].sms == sms);
  if (wishes.empty() || whole) return "";
  std::string names;
  for (const Wish& wish : wishes) names += (names.empty() ? "" : ", ") + wish.accelerator;
  return "this driver has no green contexts (they need release 555 or newer): " + names + " share all " +
         std::to_string(sms) + " multiprocessors by stream priority, and disturb each other";
}

int priority_of(Criticality worker, int least, int greatest) noexcept {
  switch (worker) {
    case Criticality::hard: return greatest;
    case Criticality::firm: return (least + greatest) / 2;
    case Criticality::soft: break;
  }
  return least;
}

}  // namespace takt::cuda
