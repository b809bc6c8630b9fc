// The kernels, see score_kernel.hpp: their source is compiled once for each instruction set. No multiplication and
// addition are fused but where it is written (the room's compiler options).
#include "policies/support/score_kernel.hpp"

#include <array>
#include <limits>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace takt::score {
namespace {

#define TAKT_LANES 2
namespace portable {
#include "policies/support/score_kernel_body.hpp"
}
#undef TAKT_LANES
#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define TAKT_LANES 4
namespace avx2 {
#include "policies/support/score_kernel_body.hpp"
}
#undef TAKT_LANES
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl")
#define TAKT_LANES 8
namespace avx512 {
#include "policies/support/score_kernel_body.hpp"
}
#undef TAKT_LANES
#pragma GCC pop_options

constexpr std::array<Kernels, 3> kKernels{
    {{"portable", portable::kLanes, portable::scores, portable::oldest, portable::energies, portable::quotients},
     {"avx2", avx2::kLanes, avx2::scores, avx2::oldest, avx2::energies, avx2::quotients},
     {"avx512", avx512::kLanes, avx512::scores, avx512::oldest, avx512::energies, avx512::quotients}}};
std::size_t available() noexcept {
  if (__builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0) return 3;
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 ? 2 : 1;
}
#else
constexpr std::array<Kernels, 1> kKernels{
    {{"portable", portable::kLanes, portable::scores, portable::oldest, portable::energies, portable::quotients}}};
std::size_t available() noexcept {
  return 1;
}
#endif

}  // namespace

std::span<const Kernels> all_kernels() noexcept {
  return std::span(kKernels).first(available());
}
const Kernels& kernels() noexcept {
  return all_kernels().back();
}

}  // namespace takt::score
