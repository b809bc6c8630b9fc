// The CUDA driver's module: the real CUDA, the real libtorch, the real clock.
#include <sysexits.h>
#include <unistd.h>

#include <cstdio>

#include "cuda/driver.hpp"
#include "cuda/errors.hpp"
#include "cuda/real_clock.hpp"

namespace takt::cuda {
namespace {

// Only the end of the process clears such an error; destructors on a broken context may hang, so none runs. The broker
// fences this executor and starts another one.
void end_process(const char* what, Status status) {
  std::fprintf(stderr, "cuda: %s: %s (%d): ends the executor\n", what, meaning_of(status).text, status);
  ::_exit(EX_SOFTWARE);
}

std::unique_ptr<Driver> make_cuda() {
  return std::make_unique<CudaDriver>(CudaDriver::Parts{.api = make_api(),
                                                        .engine = make_torch_engine(),
                                                        .clock = std::make_unique<RealClock>(),
                                                        .nvml = load_nvml(),
                                                        .fatal = end_process,
                                                        .keys = {}});
}

}  // namespace
}  // namespace takt::cuda

TAKT_DRIVER(cuda, takt::cuda::make_cuda)
