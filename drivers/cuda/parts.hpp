// How a device's multiprocessors are divided among its accelerators. Arithmetic only.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "cuda/api.hpp"
#include "takt/job.hpp"
#include "takt/result.hpp"

namespace takt::cuda {

// What an accelerator asks for; 0: what the others leave, in equal shares if several ask so.
struct Wish {
  std::string accelerator;
  int sms = 0;
};

struct Part {
  std::size_t wish = 0;  // whose it is: position among the wishes
  int groups = 0;        // of the one split
  int sms = 0;           // that this should give; read back what it gave
};

// What Api::make_parts() takes. CUDA splits a device into equal groups only, once; parts of different size are several
// groups of the smallest kind. What is left over has no such quality: it goes to whoever asks for "what is left", or to
// the one it brings nearest to its wish.
struct Partition {
  int unit = 0;  // multiprocessors of a group
  bool rest_to_last = false;
  std::vector<Part> parts;  // in the order for make_parts(), each wish once

  [[nodiscard]] std::vector<int> groups() const;
};

// The multiple that CUDA's documentation names for a generation, for drivers that do not tell theirs.
[[nodiscard]] SmResource guideline(int major, int sms) noexcept;

// Rounds each wish to the nearest multiple, so that they fit together. Refused, with `key` the accelerator (or empty)
// and in words what would fit: more than there is, more parts than groups, nothing left for "what the others leave".
[[nodiscard]] Parsed<Partition> divide(const SmResource& device, std::span<const Wish> wishes);

// For the operator: what was granted, where that is not what was asked for; else empty.
[[nodiscard]] std::string grant_note(const Wish& wish, int granted, int unit);

// Where the driver offers no parts: every accelerator has the whole device, streams with priorities take turns. The
// text is empty where nothing is lost by it: one accelerator that wants the whole device.
[[nodiscard]] std::string shared_note(std::span<const Wish> wishes, int sms);

// A lane's stream priority within what Api::priorities() gave: hard first, soft last.
[[nodiscard]] int priority_of(Criticality worker, int least, int greatest) noexcept;

}  // namespace takt::cuda
