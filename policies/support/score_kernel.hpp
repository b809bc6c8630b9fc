// The arithmetic of support/score_columns.hpp over arrays, compiled for several instruction sets and chosen once. All
// give the same bits: each operation rounds as the scalar one does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace takt::score {

inline constexpr std::size_t kBlock = 64;  // jobs; columns have room for whole blocks

// Columns over all jobs. A pair that may not start has minus infinity as its energy.
struct OnAccelerator {
  const double *preference = nullptr, *energy = nullptr;
};
struct JobColumns {
  const std::int64_t *deadline = nullptr, *since = nullptr;
  const double* togo = nullptr;
  const double *mean = nullptr, *inverse_mean = nullptr;
};

struct KernelRule {
  std::int64_t now = 0;
  double alpha = 0, beta = 1;
  double urgency_ceiling = 1, starvation_ceiling = 10;  // infinity: none
  bool late_is_urgent = true;                           // urgency 1 at and past the deadline; else as with 1 ns left
};

// energy[k] = (energies[k] - nj_per_byte * (live[k] + left)) / here[k] + open[k]; 0 + open[k] where here[k] is 0.
struct EnergyColumns {
  const double *energies = nullptr, *live = nullptr, *here = nullptr, *inverse_here = nullptr, *open = nullptr;
  double nj_per_byte = 0, left = 0;
};

struct Kernels {
  const char* name;
  std::size_t lanes;
  // Writes the highest score over the accelerators of each job to `most`, and for each block the highest of every
  // lanes-th job from the first, second, ... on to `most_of_lane`; returns the highest of all.
  double (*scores)(const KernelRule& rule, const JobColumns& jobs, std::span<const OnAccelerator> on,
                   std::size_t blocks, double* most, double* most_of_lane);
  // The earliest release in a block among those whose score is `highest`; the largest number if there is none.
  std::int64_t (*oldest)(const double* most, const std::int64_t* release, double highest);
  void (*energies)(const EnergyColumns& columns, std::size_t blocks, double* energy);
  // x / divisor for kBlock numbers; `inverse` is 1 / divisor.
  void (*quotients)(const double* x, const double* divisor, const double* inverse, double* result);
};

// The fastest that this machine runs.
[[nodiscard]] const Kernels& kernels() noexcept;
// All that this machine runs, the portable one first.
[[nodiscard]] std::span<const Kernels> all_kernels() noexcept;

}  // namespace takt::score
