// The CUDA calls that takt makes itself, as one narrow interface: the driver's logic is tested on a fake of it.
// Includes no vendor header; numbers are CUDA's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "takt/result.hpp"

namespace takt::cuda {

// A cudaError_t: 0 is success. errors.hpp tells what the others mean.
using Status = int;
inline constexpr Status kOk = 0, kNotReady = 600;

// Opaque: what CUDA gave. The real ones are pointers.
using Stream = struct StreamTag*;        // cudaStream_t
using Event = struct EventTag*;          // cudaEvent_t
using Graph = struct GraphTag*;          // cudaGraph_t
using GraphExec = struct GraphExecTag*;  // cudaGraphExec_t
using Node = struct NodeTag*;            // cudaGraphNode_t
using GreenContext = struct GreenContextTag*;

struct DeviceInfo {
  std::string name, pci;     // pci: 0000:65:00.0, as NVML wants it
  int major = 0, minor = 0;  // compute capability
  int sms = 0;
  bool integrated = false;                                  // shares the host's memory
  bool registers_host = true, registers_read_only = false;  // cudaHostRegister, and of memory mapped read-only
  std::uint64_t memory = 0;                                 // bytes
};

struct SmResource {
  int sms = 0;     // of the device
  int least = 0;   // a part has this many at least
  int step = 0;    // and a multiple of this many
  int groups = 0;  // of the smallest size, that one split gives; 0: not told
};

// One copy inside a captured graph. Its ends can be changed before each launch.
struct CopyNode {
  Node node = nullptr;
  void* to = nullptr;
  const void* from = nullptr;
  std::size_t bytes = 0;
  int kind = 4;  // cudaMemcpyKind as it was captured; 4: by the addresses
};

struct GraphFacts {
  std::size_t nodes = 0, kernels = 0;
  bool allocates = false, calls_host = false;  // neither may be in what is launched while serving
};

// Thread-safe where CUDA is; a call is about the device that the calling thread chose with use_device(). None throws.
// Everything but the calls under "hot path" may block, allocate and stall other streams.
class Api {
 public:
  virtual ~Api() = default;

  // --- the device ---
  [[nodiscard]] virtual Status device_count(int& count) noexcept = 0;
  [[nodiscard]] virtual Status use_device(int device) noexcept = 0;  // makes its primary context
  [[nodiscard]] virtual Status describe(int device, DeviceInfo& info) noexcept = 0;
  [[nodiscard]] virtual Status memory(std::uint64_t& free, std::uint64_t& total) noexcept = 0;
  [[nodiscard]] virtual const char* name_of(Status status) noexcept = 0;  // static text

  // --- parts of the device: green contexts ---
  [[nodiscard]] virtual bool has_green_contexts() noexcept = 0;
  [[nodiscard]] virtual Status sm_resource(int device, SmResource& resource) noexcept = 0;
  // Splits the device into groups of `unit` multiprocessors and makes one context for each element of `groups`, of that
  // many groups; the last one also gets what the split leaves over if `rest_to_last`. `granted`: multiprocessors of
  // each, read back. All or none.
  [[nodiscard]] virtual Status make_parts(int device, int unit, std::span<const int> groups, bool rest_to_last,
                                          std::span<GreenContext> contexts, std::span<int> granted) noexcept = 0;

  // --- streams and events. Lower priority numbers go first. ---
  [[nodiscard]] virtual Status priorities(int& least, int& greatest) noexcept = 0;
  // context null: a stream of the primary context.
  [[nodiscard]] virtual Status make_stream(GreenContext context, int priority, Stream& stream) noexcept = 0;
  [[nodiscard]] virtual Status make_event(Event& event) noexcept = 0;  // blocking, without timing
  [[nodiscard]] virtual Status synchronize(Stream stream) noexcept = 0;

  // --- memory ---
  [[nodiscard]] virtual Status device_alloc(std::size_t bytes, void*& memory) noexcept = 0;
  virtual void device_free(void* memory) noexcept = 0;
  [[nodiscard]] virtual Status pinned_alloc(std::size_t bytes, void*& memory) noexcept = 0;
  [[nodiscard]] virtual Status host_register(const void* memory, std::size_t bytes, bool read_only) noexcept = 0;
  virtual void host_unregister(const void* memory) noexcept = 0;
  // Where the device sees pinned or registered memory; for integrated devices.
  [[nodiscard]] virtual Status device_view(const void* host, void*& device) noexcept = 0;

  // --- graphs ---
  [[nodiscard]] virtual Status facts(Graph graph, GraphFacts& facts) noexcept = 0;
  // Copies of the graph in the order in which they run, `copies.size()` at most; `count`: how many there are.
  [[nodiscard]] virtual Status copies(Graph graph, std::span<CopyNode> copies, std::size_t& count) noexcept = 0;
  // Ready to launch on that stream: the upload is waited for.
  [[nodiscard]] virtual Status instantiate(Graph graph, Stream stream, GraphExec& exec) noexcept = 0;

  // --- hot path: microseconds, no allocation of ours ---
  [[nodiscard]] virtual Status set_copy(GraphExec exec, const CopyNode& copy) noexcept = 0;
  [[nodiscard]] virtual Status launch(GraphExec exec, Stream stream) noexcept = 0;
  [[nodiscard]] virtual Status copy(void* to, const void* from, std::size_t bytes, Stream stream) noexcept = 0;
  // `rows` rows of `bytes` each, that far apart.
  [[nodiscard]] virtual Status copy_rows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                                         std::size_t bytes, std::size_t rows, Stream stream) noexcept = 0;
  [[nodiscard]] virtual Status record(Event event, Stream stream) noexcept = 0;
  [[nodiscard]] virtual Status wait(Event event) noexcept = 0;     // sleeps
  [[nodiscard]] virtual Status query(Stream stream) noexcept = 0;  // kNotReady: works; also tells of sticky errors
};

// The one of this machine; libcuda is looked up at run time. Where there is no driver its calls fail with 35.
[[nodiscard]] std::unique_ptr<Api> make_real_api();
// What the module uses: the real one, or in a build with TAKT_CUDA_FAULTS one that fails when told to (faulty_api.hpp).
[[nodiscard]] std::unique_ptr<Api> make_api();

}  // namespace takt::cuda
