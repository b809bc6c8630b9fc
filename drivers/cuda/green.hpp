// Green contexts by the driver's own functions, looked up at run time. For real_api.cpp: includes CUDA's headers.
#pragma once

#include <cuda.h>
#include <cudaTypedefs.h>

#include <mutex>
#include <span>
#include <vector>

#include "cuda/api.hpp"

namespace takt::cuda {

// Each function in the version of its own that this calls: the suffix of its type. libcuda is never linked.
#define TAKT_GREEN_FUNCTIONS(X)         \
  X(cuDeviceGet, 2000)                  \
  X(cuDeviceGetDevResource, 12040)      \
  X(cuDevSmResourceSplitByCount, 12040) \
  X(cuDevResourceGenerateDesc, 12040)   \
  X(cuGreenCtxCreate, 12040)            \
  X(cuGreenCtxDestroy, 12040)           \
  X(cuGreenCtxGetDevResource, 12040)    \
  X(cuGreenCtxStreamCreate, 12050)

// As Api says of the calls of these names. None throws; looked up at the first call, again while there is no driver.
class GreenContexts {
 public:
  [[nodiscard]] bool usable() noexcept { return look_up() == kOk; }
  // Changes of `resource` what the driver tells; the rest stays as the caller filled it.
  [[nodiscard]] Status describe(int device, SmResource& resource) noexcept;
  [[nodiscard]] Status make(int device, int unit, std::span<const int> groups, bool rest_to_last,
                            std::span<GreenContext> contexts, std::span<int> granted) noexcept;
  [[nodiscard]] Status make_stream(GreenContext context, int priority, Stream& stream) noexcept;

 private:
  struct Split;
  [[nodiscard]] Status look_up() noexcept;
  [[nodiscard]] Status split(int device, int unit, Split& split);
  [[nodiscard]] Status make_one(CUdevice device, std::span<CUdevResource> resources, GreenContext& context,
                                int& granted) noexcept;

#define TAKT_GREEN_MEMBER(name, version) PFN_##name##_v##version name##_ = nullptr;
  TAKT_GREEN_FUNCTIONS(TAKT_GREEN_MEMBER)
#undef TAKT_GREEN_MEMBER
  std::mutex mutex_;
  bool found_ = false;
};

}  // namespace takt::cuda
