// The calls that the module makes are CUDA's own.
#include "cuda/api.hpp"

namespace takt::cuda {

std::unique_ptr<Api> make_api() {
  return make_real_api();
}

}  // namespace takt::cuda
