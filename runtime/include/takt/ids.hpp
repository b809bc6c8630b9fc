// Small typed indices into the core's tables: cheap as integers, impossible to mix up.
#pragma once

#include <compare>
#include <cstdint>

namespace takt {

template <class Tag>
struct Id {
  static constexpr std::uint32_t kNone = 0xffffffffu;
  std::uint32_t value = kNone;

  constexpr Id() = default;
  constexpr explicit Id(std::uint32_t v) noexcept : value(v) {}
  constexpr explicit Id(std::size_t v) noexcept : value(static_cast<std::uint32_t>(v)) {}
  [[nodiscard]] constexpr bool valid() const noexcept { return value != kNone; }
  friend constexpr auto operator<=>(Id, Id) = default;
};

using ModelId = Id<struct ModelTag>;              // position in the service's list of models
using VariantId = Id<struct VariantTag>;          // one executable segment: (segment, width in, width out), global over all models
using StreamId = Id<struct StreamTag>;            // a client's task
using JobId = Id<struct JobTag>;                  // a place in the job table; reused after the job's answer was released
using AcceleratorId = Id<struct AcceleratorTag>;  // position in the service's list of accelerators
using SlotPoolId = Id<struct SlotPoolTag>;        // activation memory shared by some accelerators
using RouteId = Id<struct RouteTag>;              // position in a stream's list of usable subnets, best accuracy first

}  // namespace takt
