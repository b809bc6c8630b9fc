// The CUDA calls of this machine: the runtime library is linked, the driver's own functions are looked up through it.
#include <cuda.h>
#include <cudaTypedefs.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "cuda/api.hpp"
#include "cuda/graph_nodes.hpp"
#include "cuda/green.hpp"
#include "cuda/parts.hpp"

namespace takt::cuda {
namespace {

// A failed call must not be found by whoever asks for the thread's last error next: libtorch does.
Status told(cudaError_t status) noexcept {
  if (status != cudaSuccess) (void)cudaGetLastError();
  return static_cast<Status>(status);
}

cudaStream_t real(Stream stream) noexcept {
  return reinterpret_cast<cudaStream_t>(stream);
}
cudaEvent_t real(Event event) noexcept {
  return reinterpret_cast<cudaEvent_t>(event);
}
cudaGraph_t real(Graph graph) noexcept {
  return reinterpret_cast<cudaGraph_t>(graph);
}
cudaGraphExec_t real(GraphExec exec) noexcept {
  return reinterpret_cast<cudaGraphExec_t>(exec);
}
cudaGraphNode_t real(Node node) noexcept {
  return reinterpret_cast<cudaGraphNode_t>(node);
}

bool attribute(cudaDeviceAttr what, int device) noexcept {
  int value = 0;
  return told(cudaDeviceGetAttribute(&value, what, device)) == kOk && value != 0;
}

class RealApi final : public Api {
 public:
  [[nodiscard]] Status device_count(int& count) noexcept override {
    count = 0;
    return told(cudaGetDeviceCount(&count));
  }
  [[nodiscard]] Status use_device(int device) noexcept override {
    if (const Status set = told(cudaSetDevice(device)); set != kOk) return set;
    return told(cudaFree(nullptr));  // makes the context also where cudaSetDevice() does not
  }
  [[nodiscard]] Status describe(int device, DeviceInfo& info) noexcept override;
  [[nodiscard]] Status memory(std::uint64_t& free, std::uint64_t& total) noexcept override {
    std::size_t left = 0, all = 0;
    const Status status = told(cudaMemGetInfo(&left, &all));
    free = left, total = all;
    return status;
  }
  [[nodiscard]] const char* name_of(Status status) noexcept override {
    return cudaGetErrorName(static_cast<cudaError_t>(status));
  }

  [[nodiscard]] bool has_green_contexts() noexcept override { return green_.usable(); }
  [[nodiscard]] Status sm_resource(int device, SmResource& resource) noexcept override {
    DeviceInfo info;
    if (const Status status = describe(device, info); status != kOk) return status;
    resource = guideline(info.major, info.sms);
    return green_.describe(device, resource);
  }
  [[nodiscard]] Status make_parts(int device, int unit, std::span<const int> groups, bool rest_to_last,
                                  std::span<GreenContext> contexts, std::span<int> granted) noexcept override {
    return green_.make(device, unit, groups, rest_to_last, contexts, granted);
  }

  [[nodiscard]] Status priorities(int& least, int& greatest) noexcept override {
    return told(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  }
  [[nodiscard]] Status make_stream(GreenContext context, int priority, Stream& stream) noexcept override {
    if (context != nullptr) return green_.make_stream(context, priority, stream);
    cudaStream_t made = nullptr;
    const Status status = told(cudaStreamCreateWithPriority(&made, cudaStreamNonBlocking, priority));
    stream = reinterpret_cast<Stream>(made);
    return status;
  }
  [[nodiscard]] Status make_event(Event& event) noexcept override {
    cudaEvent_t made = nullptr;
    const Status status = told(cudaEventCreateWithFlags(&made, cudaEventBlockingSync | cudaEventDisableTiming));
    event = reinterpret_cast<Event>(made);
    return status;
  }
  [[nodiscard]] Status synchronize(Stream stream) noexcept override {
    return told(cudaStreamSynchronize(real(stream)));
  }

  [[nodiscard]] Status device_alloc(std::size_t bytes, void*& memory) noexcept override {
    memory = nullptr;
    return told(cudaMalloc(&memory, bytes));
  }
  void device_free(void* memory) noexcept override { (void)told(cudaFree(memory)); }
  [[nodiscard]] Status pinned_alloc(std::size_t bytes, void*& memory) noexcept override {
    memory = nullptr;
    return told(cudaHostAlloc(&memory, bytes, cudaHostAllocPortable | cudaHostAllocMapped));
  }
  [[nodiscard]] Status host_register(const void* memory, std::size_t bytes, bool read_only) noexcept override {
    const unsigned flags =
        cudaHostRegisterPortable | cudaHostRegisterMapped | (read_only ? cudaHostRegisterReadOnly : 0U);
    return told(cudaHostRegister(const_cast<void*>(memory), bytes, flags));
  }
  void host_unregister(const void* memory) noexcept override {
    (void)told(cudaHostUnregister(const_cast<void*>(memory)));
  }
  [[nodiscard]] Status device_view(const void* host, void*& device) noexcept override {
    device = nullptr;
    return told(cudaHostGetDevicePointer(&device, const_cast<void*>(host), 0));
  }

  [[nodiscard]] Status facts(Graph graph, GraphFacts& facts) noexcept override;
  [[nodiscard]] Status copies(Graph graph, std::span<CopyNode> copies, std::size_t& count) noexcept override;
  [[nodiscard]] Status instantiate(Graph graph, Stream stream, GraphExec& exec) noexcept override;

  [[nodiscard]] Status set_copy(GraphExec exec, const CopyNode& copy) noexcept override {
    return told(cudaGraphExecMemcpyNodeSetParams1D(real(exec), real(copy.node), copy.to, copy.from, copy.bytes,
                                                   static_cast<cudaMemcpyKind>(copy.kind)));
  }
  [[nodiscard]] Status launch(GraphExec exec, Stream stream) noexcept override {
    return told(cudaGraphLaunch(real(exec), real(stream)));
  }
  [[nodiscard]] Status copy(void* to, const void* from, std::size_t bytes, Stream stream) noexcept override {
    return told(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, real(stream)));
  }
  [[nodiscard]] Status copy_rows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                                 std::size_t bytes, std::size_t rows, Stream stream) noexcept override {
    return told(cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, bytes, rows, cudaMemcpyDefault, real(stream)));
  }
  [[nodiscard]] Status record(Event event, Stream stream) noexcept override {
    return told(cudaEventRecord(real(event), real(stream)));
  }
  [[nodiscard]] Status wait(Event event) noexcept override { return told(cudaEventSynchronize(real(event))); }
  [[nodiscard]] Status query(Stream stream) noexcept override { return told(cudaStreamQuery(real(stream))); }

 private:
  GreenContexts green_;
};

Status RealApi::describe(int device, DeviceInfo& info) noexcept try {
  cudaDeviceProp properties{};
  char pci[32] = {};
  if (const Status status = told(cudaGetDeviceProperties(&properties, device)); status != kOk) return status;
  if (const Status status = told(cudaDeviceGetPCIBusId(pci, sizeof pci, device)); status != kOk) return status;
  info.name = properties.name;
  info.pci = pci;
  info.major = properties.major;
  info.minor = properties.minor;
  info.sms = properties.multiProcessorCount;
  info.integrated = properties.integrated != 0;
  info.memory = properties.totalGlobalMem;
  info.registers_host = attribute(cudaDevAttrHostRegisterSupported, device);
  info.registers_read_only = attribute(cudaDevAttrHostRegisterReadOnlySupported, device);
  return kOk;
} catch (...) {
  return cudaErrorMemoryAllocation;
}

Status RealApi::facts(Graph graph, GraphFacts& facts) noexcept try {
  facts = {};
  return told(count_nodes(real(graph), facts));
} catch (...) {
  return cudaErrorMemoryAllocation;
}

Status RealApi::copies(Graph graph, std::span<CopyNode> copies, std::size_t& count) noexcept try {
  count = 0;
  std::vector<CopyNode> found;
  if (const Status status = told(find_copies(real(graph), found)); status != kOk) return status;
  count = found.size();
  std::copy_n(found.begin(), std::min(found.size(), copies.size()), copies.begin());
  return kOk;
} catch (...) {
  return cudaErrorMemoryAllocation;
}

Status RealApi::instantiate(Graph graph, Stream stream, GraphExec& exec) noexcept {
  cudaGraphInstantiateParams parameters{};
  parameters.flags = cudaGraphInstantiateFlagUpload | cudaGraphInstantiateFlagUseNodePriority;
  parameters.uploadStream = real(stream);
  cudaGraphExec_t made = nullptr;
  exec = nullptr;
  if (const Status status = told(cudaGraphInstantiateWithParams(&made, real(graph), &parameters)); status != kOk)
    return status;
  if (parameters.result_out != cudaGraphInstantiateSuccess) {
    (void)told(cudaGraphExecDestroy(made));
    return cudaErrorInvalidValue;
  }
  if (const Status status = synchronize(stream); status != kOk) return status;
  exec = reinterpret_cast<GraphExec>(made);
  return kOk;
}

}  // namespace

std::unique_ptr<Api> make_real_api() {
  return std::make_unique<RealApi>();
}

}  // namespace takt::cuda
