// Stands in for libcudart and libcuda: the program's own definitions come before those of the library it links.
#include "cuda/fake_runtime.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace takt::test {
namespace {

FakeRuntime* here = nullptr;

RuntimeGraph& graph_of(cudaGraph_t graph) {
  return *reinterpret_cast<RuntimeGraph*>(graph);
}
RuntimeNode& node_of(cudaGraphNode_t node) {
  return *reinterpret_cast<RuntimeNode*>(node);
}
cudaGraphNode_t handle(RuntimeNode* node) {
  return reinterpret_cast<cudaGraphNode_t>(node);
}

cudaError_t answer(const char* function) {
  const auto status = static_cast<cudaError_t>(here->result(function));
  if (status != cudaSuccess) here->last_error = status;
  return status;
}

// --- the driver's ---

CUresult fail_or(const char* function) {
  return static_cast<CUresult>(here->result(function));
}

// Headers before 13.0 have no place for these.
template <class Sm>
void tell_limits(Sm& sm) {
  if constexpr (requires { sm.minSmPartitionSize, sm.smCoscheduledAlignment; })
    sm.minSmPartitionSize = here->least, sm.smCoscheduledAlignment = here->step;
}

// `number`: which group of the split it is, from 1.
CUdevResource resource(unsigned sms, unsigned number = 0) {
  CUdevResource r{};
  r._internal_padding[0] = static_cast<unsigned char>(number);
  r.type = CU_DEV_RESOURCE_TYPE_SM;
  r.sm.smCount = sms;
  tell_limits(r.sm);
  return r;
}

CUresult device_get(CUdevice* device, int ordinal) {
  *device = ordinal;
  return fail_or("cuDeviceGet");
}
CUresult get_resource(CUdevice, CUdevResource* r, CUdevResourceType) {
  *r = resource(here->sms);
  return fail_or("cuDeviceGetDevResource");
}
CUresult split(CUdevResource* groups, unsigned* count, const CUdevResource* whole, CUdevResource* rest, unsigned,
               unsigned unit) {
  const unsigned fit = std::min(here->groups, whole->sm.smCount / unit);
  *count = groups == nullptr ? fit : std::min(*count, fit);
  for (unsigned i = 0; groups != nullptr && i < *count; ++i) groups[i] = resource(unit, i + 1);
  if (rest != nullptr) *rest = resource(whole->sm.smCount - *count * unit);
  return fail_or("cuDevSmResourceSplitByCount");
}
CUresult describe(CUdevResourceDesc* description, CUdevResource* resources, unsigned count) {
  std::vector<unsigned> sizes;
  for (unsigned i = 0; i < count; ++i) {
    sizes.push_back(resources[i].sm.smCount);
    if (const unsigned number = resources[i]._internal_padding[0]; number > 0) here->groups_given.push_back(number);
  }
  here->descriptions.push_back(sizes);
  *description = reinterpret_cast<CUdevResourceDesc>(here->descriptions.size());
  return fail_or("cuDevResourceGenerateDesc");
}
CUresult create(CUgreenCtx* context, CUdevResourceDesc description, CUdevice, unsigned flags) {
  // "name#2": the second context.
  const std::string nth = "cuGreenCtxCreate#" + std::to_string(here->created.size() + 1);
  if (const int status = here->result(nth); status != 0) return static_cast<CUresult>(status);
  const std::vector<unsigned>& sizes = here->descriptions[reinterpret_cast<std::size_t>(description) - 1];
  here->created.push_back(std::accumulate(sizes.begin(), sizes.end(), 0U));
  here->context_flags = flags;
  *context = reinterpret_cast<CUgreenCtx>(here->created.size());
  return CUDA_SUCCESS;
}
CUresult destroy(CUgreenCtx context) {
  here->created[reinterpret_cast<std::size_t>(context) - 1] = 0;
  return CUDA_SUCCESS;
}
CUresult read_back(CUgreenCtx context, CUdevResource* r, CUdevResourceType) {
  *r = resource(here->created[reinterpret_cast<std::size_t>(context) - 1]);
  return fail_or("cuGreenCtxGetDevResource");
}
CUresult make_stream(CUstream* stream, CUgreenCtx context, unsigned flags, int priority) {
  *stream = reinterpret_cast<CUstream>(reinterpret_cast<std::size_t>(context) * 16);
  here->stream_flags = flags, here->stream_priority = priority;
  return fail_or("cuGreenCtxStreamCreate");
}

const std::map<std::string, void*> kFunctions = {
    {"cuDeviceGet", reinterpret_cast<void*>(&device_get)},
    {"cuDeviceGetDevResource", reinterpret_cast<void*>(&get_resource)},
    {"cuDevSmResourceSplitByCount", reinterpret_cast<void*>(&split)},
    {"cuDevResourceGenerateDesc", reinterpret_cast<void*>(&describe)},
    {"cuGreenCtxCreate", reinterpret_cast<void*>(&create)},
    {"cuGreenCtxDestroy", reinterpret_cast<void*>(&destroy)},
    {"cuGreenCtxGetDevResource", reinterpret_cast<void*>(&read_back)},
    {"cuGreenCtxStreamCreate", reinterpret_cast<void*>(&make_stream)},
};

}  // namespace

FakeRuntime::FakeRuntime() {
  here = this;
}
FakeRuntime::~FakeRuntime() {
  here = nullptr;
}

int FakeRuntime::result(const std::string& function) const {
  const auto found = failures.find(function);
  return found == failures.end() ? 0 : found->second;
}

}  // namespace takt::test

// --- the runtime's ---

extern "C" {
using namespace takt::test;

cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned version, unsigned long long,
                                             cudaDriverEntryPointQueryResult* found) {
  if (const cudaError_t status = answer("cudaGetDriverEntryPointByVersion"); status != cudaSuccess) return status;
  here->versions[name] = version;
  const auto entry = kFunctions.find(name);
  const auto since = here->known_since.find(name);
  *function = nullptr;
  *found = entry == kFunctions.end()                                     ? cudaDriverEntryPointSymbolNotFound
           : since != here->known_since.end() && version < since->second ? cudaDriverEntryPointVersionNotSufficent
                                                                         : cudaDriverEntryPointSuccess;
  if (*found == cudaDriverEntryPointSuccess) *function = entry->second;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  return std::exchange(here->last_error, cudaSuccess);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::strcpy(properties->name, "Fake");
  properties->major = here->major;
  properties->multiProcessorCount = static_cast<int>(here->sms);
  properties->totalGlobalMem = std::size_t{80} << 30;
  return answer("cudaGetDeviceProperties");
}
cudaError_t cudaDeviceGetPCIBusId(char* id, int length, int) {
  std::strncpy(id, "0000:65:00.0", static_cast<std::size_t>(length));
  return answer("cudaDeviceGetPCIBusId");
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrHostRegisterSupported;
  return answer("cudaDeviceGetAttribute");
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  const std::vector<RuntimeNode*>& all = graph_of(graph).nodes;
  if (nodes != nullptr) std::transform(all.begin(), all.end(), nodes, handle);
  *count = all.size();
  return answer("cudaGraphGetNodes");
}
#if CUDART_VERSION < 13000
#define cudaGraphGetEdges cudaGraphGetEdges_v2
#endif
cudaError_t cudaGraphGetEdges(cudaGraph_t graph, cudaGraphNode_t* from, cudaGraphNode_t* to, cudaGraphEdgeData* data,
                              size_t* count) {
  const auto& edges = graph_of(graph).edges;
  *count = edges.size();
  if (from == nullptr) return cudaSuccess;
  if (data == nullptr) return cudaErrorLossyQuery;  // as if one carried data
  for (std::size_t i = 0; i < edges.size(); ++i) from[i] = handle(edges[i].first), to[i] = handle(edges[i].second);
  return answer("cudaGraphGetEdges");
}
cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* type) {
  *type = node_of(node).type;
  return cudaSuccess;
}
cudaError_t cudaGraphMemcpyNodeGetParams(cudaGraphNode_t node, cudaMemcpy3DParms* parameters) {
  *parameters = node_of(node).copy;
  return answer("cudaGraphMemcpyNodeGetParams");
}
cudaError_t cudaGraphChildGraphNodeGetGraph(cudaGraphNode_t node, cudaGraph_t* graph) {
  *graph = node_of(node).child;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiateWithParams(cudaGraphExec_t* exec, cudaGraph_t graph,
                                           cudaGraphInstantiateParams* parameters) {
  *exec = reinterpret_cast<cudaGraphExec_t>(graph);
  here->instantiate_flags = parameters->flags;
  here->uploaded_to = parameters->uploadStream;
  parameters->result_out = here->instantiate_result;
  return answer("cudaGraphInstantiateWithParams");
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t) {
  ++here->destroyed_graphs;
  return cudaSuccess;
}
cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t, cudaGraphNode_t node, void* to, const void* from,
                                               size_t bytes, cudaMemcpyKind kind) {
  here->changed = {node, to, from, bytes, kind};
  return answer("cudaGraphExecMemcpyNodeSetParams1D");
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  ++here->synchronised;
  return answer("cudaStreamSynchronize");
}
cudaError_t cudaStreamQuery(cudaStream_t) {
  return answer("cudaStreamQuery");
}

}  // extern "C"
