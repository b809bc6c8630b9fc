// Splitting a device: see parts.hpp for what is asked of it.
#include "cuda/green.hpp"

#include <cuda_runtime_api.h>

#include <numeric>

namespace takt::cuda {
namespace {

CUgreenCtx real(GreenContext context) noexcept {
  return reinterpret_cast<CUgreenCtx>(context);
}

// Both calls look a function up in the version asked for; the older one takes that of the program and is only right
// where that is as new as the function.
cudaError_t entry_point(const char* name, unsigned version, void*& function) noexcept {
  cudaDriverEntryPointQueryResult found{};
#if CUDART_VERSION >= 12050
  const cudaError_t status = cudaGetDriverEntryPointByVersion(name, &function, version, cudaEnableDefault, &found);
#else
  (void)version;
  const cudaError_t status = cudaGetDriverEntryPoint(name, &function, cudaEnableDefault, &found);
#endif
  if (status != cudaSuccess) {
    (void)cudaGetLastError();
    return status;
  }
  return found == cudaDriverEntryPointSuccess && function != nullptr ? cudaSuccess : cudaErrorSymbolNotFound;
}

// Drivers and headers before 13.0 do not tell these: what the caller filled in stays.
template <class Sm>
void fill_limits(const Sm& sm, SmResource& resource) noexcept {
  if constexpr (requires { sm.minSmPartitionSize, sm.smCoscheduledAlignment; }) {
    if (sm.minSmPartitionSize > 0) resource.least = static_cast<int>(sm.minSmPartitionSize);
    if (sm.smCoscheduledAlignment > 0) resource.step = static_cast<int>(sm.smCoscheduledAlignment);
  }
}

}  // namespace

struct GreenContexts::Split {
  CUdevice device = 0;
  CUdevResource whole{}, rest{};
  std::vector<CUdevResource> groups;
};

Status GreenContexts::look_up() noexcept {
  const std::lock_guard lock(mutex_);
  if (found_) return kOk;
#define TAKT_GREEN_FIND(name, version)                                                                          \
  {                                                                                                             \
    void* function = nullptr;                                                                                   \
    if (const cudaError_t status = entry_point(#name, version, function); status != cudaSuccess) return status; \
    name##_ = reinterpret_cast<PFN_##name##_v##version>(function);                                              \
  }
  TAKT_GREEN_FUNCTIONS(TAKT_GREEN_FIND)
#undef TAKT_GREEN_FIND
  found_ = true;
  return kOk;
}

Status GreenContexts::describe(int device, SmResource& resource) noexcept {
  if (const Status status = look_up(); status != kOk) return status;
  CUdevice handle = 0;
  CUdevResource whole{};
  if (const CUresult status = cuDeviceGet_(&handle, device); status != CUDA_SUCCESS) return status;
  if (const CUresult status = cuDeviceGetDevResource_(handle, &whole, CU_DEV_RESOURCE_TYPE_SM); status != CUDA_SUCCESS)
    return status;
  resource.sms = static_cast<int>(whole.sm.smCount);
  fill_limits(whole.sm, resource);
  unsigned groups = 0;
  const auto least = static_cast<unsigned>(resource.least);
  if (cuDevSmResourceSplitByCount_(nullptr, &groups, &whole, nullptr, 0, least) == CUDA_SUCCESS)
    resource.groups = static_cast<int>(groups);
  return kOk;
}

Status GreenContexts::split(int device, int unit, Split& split) {
  const auto count = static_cast<unsigned>(unit);
  unsigned groups = 0;
  if (const CUresult status = cuDeviceGet_(&split.device, device); status != CUDA_SUCCESS) return status;
  if (const CUresult status = cuDeviceGetDevResource_(split.device, &split.whole, CU_DEV_RESOURCE_TYPE_SM);
      status != CUDA_SUCCESS)
    return status;
  if (const CUresult status = cuDevSmResourceSplitByCount_(nullptr, &groups, &split.whole, nullptr, 0, count);
      status != CUDA_SUCCESS)
    return status;
  split.groups.resize(groups);
  if (const CUresult status =
          cuDevSmResourceSplitByCount_(split.groups.data(), &groups, &split.whole, &split.rest, 0, count);
      status != CUDA_SUCCESS)
    return status;
  split.groups.resize(groups);
  return kOk;
}

Status GreenContexts::make_one(CUdevice device, std::span<CUdevResource> resources, GreenContext& context,
                               int& granted) noexcept {
  CUdevResourceDesc description = nullptr;
  CUgreenCtx made = nullptr;
  CUdevResource got{};
  if (const CUresult status =
          cuDevResourceGenerateDesc_(&description, resources.data(), static_cast<unsigned>(resources.size()));
      status != CUDA_SUCCESS)
    return status;
  if (const CUresult status = cuGreenCtxCreate_(&made, description, device, CU_GREEN_CTX_DEFAULT_STREAM);
      status != CUDA_SUCCESS)
    return status;
  context = reinterpret_cast<GreenContext>(made);
  if (const CUresult status = cuGreenCtxGetDevResource_(made, &got, CU_DEV_RESOURCE_TYPE_SM); status != CUDA_SUCCESS)
    return status;
  granted = static_cast<int>(got.sm.smCount);
  return kOk;
}

Status GreenContexts::make(int device, int unit, std::span<const int> groups, bool rest_to_last,
                           std::span<GreenContext> contexts, std::span<int> granted) noexcept try {
  if (contexts.size() != groups.size() || granted.size() != groups.size()) return cudaErrorInvalidValue;
  if (const Status status = look_up(); status != kOk) return status;
  Split parts;
  if (const Status status = split(device, unit, parts); status != kOk) return status;
  const auto asked = static_cast<std::size_t>(std::accumulate(groups.begin(), groups.end(), 0));
  if (asked > parts.groups.size()) return cudaErrorInvalidValue;
  std::fill(contexts.begin(), contexts.end(), nullptr);
  std::vector<CUdevResource> mine;
  std::size_t next = 0;
  Status status = kOk;
  for (std::size_t i = 0; i < groups.size() && status == kOk; ++i) {
    const auto count = static_cast<std::size_t>(groups[i]);
    mine.assign(parts.groups.begin() + static_cast<std::ptrdiff_t>(next),
                parts.groups.begin() + static_cast<std::ptrdiff_t>(next + count));
    next += count;
    if (rest_to_last && i + 1 == groups.size() && parts.rest.sm.smCount > 0) mine.push_back(parts.rest);
    // All of it in one part: the device as it is keeps its large clusters.
    if (rest_to_last && groups.size() == 1 && count == parts.groups.size()) mine.assign(1, parts.whole);
    status = make_one(parts.device, mine, contexts[i], granted[i]);
  }
  if (status == kOk) return kOk;
  for (GreenContext& context : contexts) {
    if (context != nullptr) (void)cuGreenCtxDestroy_(real(context));
    context = nullptr;
  }
  return status;
} catch (...) {
  return cudaErrorMemoryAllocation;
}

Status GreenContexts::make_stream(GreenContext context, int priority, Stream& stream) noexcept {
  if (const Status status = look_up(); status != kOk) return status;
  CUstream made = nullptr;
  const CUresult status = cuGreenCtxStreamCreate_(&made, real(context), CU_STREAM_NON_BLOCKING, priority);
  stream = reinterpret_cast<Stream>(made);
  return status;
}

}  // namespace takt::cuda
