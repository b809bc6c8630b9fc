// The calls that the module makes, in a build with TAKT_CUDA_FAULTS: CUDA's own, and what TAKT_CUDA_FAULT says of them.
#include <cstdlib>

#include "cuda/faulty_api.hpp"

namespace takt::cuda {

std::unique_ptr<Api> make_api() {
  const char* const text = std::getenv("TAKT_CUDA_FAULT");
  return std::make_unique<FaultyApi>(make_real_api(), Injection::parse(text != nullptr ? text : ""));
}

}  // namespace takt::cuda
