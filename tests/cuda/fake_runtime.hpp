// CUDA's runtime and driver functions as the real Api calls them, defined by the test program itself: what it asks for,
// in what order and version, can be looked at, and every step can fail. Needs CUDA's headers, but no library and no
// device.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace takt::test {

// A node of a fake graph. Its address is its handle.
struct RuntimeNode {
  cudaGraphNodeType type = cudaGraphNodeTypeKernel;
  cudaMemcpy3DParms copy{};
  cudaGraph_t child = nullptr;
};
struct RuntimeGraph {
  std::vector<RuntimeNode*> nodes;                           // in the order in which they are told
  std::vector<std::pair<RuntimeNode*, RuntimeNode*>> edges;  // from, to
  [[nodiscard]] cudaGraph_t handle() { return reinterpret_cast<cudaGraph_t>(this); }
};

struct FakeRuntime {
  // The device.
  unsigned sms = 132, least = 8, step = 8, groups = 16;
  int major = 9;
  // What a function returns instead of success, by its name; a driver function's is a CUresult.
  std::map<std::string, int> failures;
  std::map<std::string, unsigned> known_since;  // driver functions, 0 or absent: known in any version

  // What was asked for.
  std::map<std::string, unsigned> versions;         // of driver functions
  std::vector<std::vector<unsigned>> descriptions;  // multiprocessors of each resource, by context
  std::vector<unsigned> groups_given;               // numbers of the split's groups, from 1
  std::vector<unsigned> created;                    // multiprocessors of each context, 0: destroyed
  unsigned context_flags = 0, stream_flags = 0;
  int stream_priority = 0;
  unsigned long long instantiate_flags = 0;
  cudaStream_t uploaded_to = nullptr;
  cudaGraphInstantiateResult instantiate_result = cudaGraphInstantiateSuccess;
  int synchronised = 0, destroyed_graphs = 0;
  cudaError_t last_error = cudaSuccess;  // that nobody has cleared
  struct {
    cudaGraphNode_t node = nullptr;
    void* to = nullptr;
    const void* from = nullptr;
    std::size_t bytes = 0;
    cudaMemcpyKind kind = cudaMemcpyHostToHost;
  } changed;

  FakeRuntime();  // from now on the functions are about this one
  ~FakeRuntime();
  FakeRuntime(const FakeRuntime&) = delete;
  FakeRuntime& operator=(const FakeRuntime&) = delete;
  [[nodiscard]] int result(const std::string& function) const;
};

}  // namespace takt::test
