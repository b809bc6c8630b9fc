// What is asked to go wrong, from words.
#include "cuda/faulty_api.hpp"

#include <sstream>

namespace takt::cuda {

Injection Injection::parse(std::string_view text) {
  std::istringstream words{std::string(text)};
  Injection injection;
  if (!(words >> injection.call >> injection.status >> injection.after)) return {};
  return injection;
}

}  // namespace takt::cuda
