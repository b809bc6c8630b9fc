// The fake's devices, memory and graphs; its streams are in fake_streams.cpp.
#include "cuda/fake_api.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "cuda/errors.hpp"

namespace takt::test {
namespace {

using cuda::kOk;
using cuda::Status;

constexpr Status kInvalidValue = 1, kNoMemory = 2, kNoDriver = 35, kInvalidDevice = 101, kInvalidHandle = 400,
                 kSymbolNotFound = 500, kAlreadyRegistered = 712, kNotSupported = 801;
constexpr std::uint64_t kBlock = 2 << 20;  // in which a device's memory is given out

std::uint64_t in_blocks(std::uint64_t bytes) {
  return (bytes + kBlock - 1) / kBlock * kBlock;
}

const std::byte* bytes_at(const void* memory) {
  return static_cast<const std::byte*>(memory);
}

}  // namespace

FakeNode copy_node(void* to, const void* from, std::size_t bytes, Duration time) {
  return {FakeNode::Kind::copy, to, from, bytes, {}, time};
}
FakeNode kernel_node(std::function<void()> body, Duration time) {
  return {FakeNode::Kind::kernel, nullptr, nullptr, 0, std::move(body), time};
}

FakeApi::FakeApi(FakeMachine machine)
    : machine_(std::move(machine)), used_(machine_.devices.size()), foreign_(machine_.devices.size()) {}

FakeApi::~FakeApi() {
  for (const auto& [memory, region] : regions_)
    if (region.ours) std::free(const_cast<std::byte*>(memory));
}

// --- what every call begins with ---

Status FakeApi::enter(const char* call) {
  ++calls_[call];
  if (!machine_.driver) return kNoDriver;
  if (poison_ != kOk) {
    ++calls_after_poison_;
    return poison_;
  }
  return injected(call);
}

Status FakeApi::injected(const char* call) {
  for (Injection& injection : injections_) {
    if (injection.call != call || injection.times == 0) continue;
    if (injection.skip > 0) {
      --injection.skip;
      continue;
    }
    --injection.times;
    if (cuda::ends_process(injection.status)) poison_locked(injection.status);
    return injection.status;
  }
  return kOk;
}

void FakeApi::poison_locked(Status status) {
  poison_ = status;
  for (const auto& stream : streams_) stream->steps.clear();
  moved_.notify_all();
}

int FakeApi::current() const {
  const auto found = current_.find(std::this_thread::get_id());
  return found == current_.end() ? 0 : found->second;
}

// --- failures and facts ---

void FakeApi::fail(std::string call, Status status, std::size_t skip, std::size_t times) {
  const Lock lock(mutex_);
  injections_.push_back({std::move(call), status, skip, times});
}
void FakeApi::poison(Status status) {
  const Lock lock(mutex_);
  poison_locked(status);
}
void FakeApi::set_grants(std::vector<int> sms) {
  const Lock lock(mutex_);
  grants_ = std::move(sms);
}
void FakeApi::take_memory(int device, std::uint64_t bytes) {
  const Lock lock(mutex_);
  foreign_[static_cast<std::size_t>(device)] += bytes;
}
void FakeApi::forbid_allocation(bool yes) {
  const Lock lock(mutex_);
  forbids_allocation_ = yes;
}
std::size_t FakeApi::calls(std::string_view name) const {
  const Lock lock(mutex_);
  const auto found = calls_.find(name);
  return found == calls_.end() ? 0 : found->second;
}
std::size_t FakeApi::calls_after_poison() const {
  const Lock lock(mutex_);
  return calls_after_poison_;
}
std::uint64_t FakeApi::used(int device) const {
  const Lock lock(mutex_);
  return used_[static_cast<std::size_t>(device)];
}
std::size_t FakeApi::registered() const {
  const Lock lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count_if(
      regions_, [](const auto& entry) { return entry.second.place == Place::host && !entry.second.ours; }));
}
std::vector<std::string> FakeApi::misuses() const {
  const Lock lock(mutex_);
  return misuses_;
}

// --- the device ---

Status FakeApi::device_count(int& count) noexcept {
  const Lock lock(mutex_);
  count = 0;
  if (const Status status = enter("device_count"); status != kOk) return status;
  count = static_cast<int>(machine_.devices.size());
  return count > 0 ? kOk : 100;
}

Status FakeApi::use_device(int device) noexcept {
  const Lock lock(mutex_);
  if (const Status status = enter("use_device"); status != kOk) return status;
  if (!has(device)) return kInvalidDevice;
  current_[std::this_thread::get_id()] = device;
  return kOk;
}

Status FakeApi::describe(int device, cuda::DeviceInfo& info) noexcept {
  const Lock lock(mutex_);
  if (const Status status = enter("describe"); status != kOk) return status;
  if (!has(device)) return kInvalidDevice;
  info = machine_.devices[static_cast<std::size_t>(device)].info;
  return kOk;
}

Status FakeApi::memory(std::uint64_t& free, std::uint64_t& total) noexcept {
  const Lock lock(mutex_);
  free = total = 0;
  if (const Status status = enter("memory"); status != kOk) return status;
  if (!has(current())) return kInvalidDevice;
  free = free_bytes(current());
  total = machine_.devices[static_cast<std::size_t>(current())].info.memory;
  return kOk;
}

const char* FakeApi::name_of(Status status) noexcept {
  return status == kOk ? "cudaSuccess" : cuda::meaning_of(status).text;
}

// --- parts ---

bool FakeApi::has_green_contexts() noexcept {
  const Lock lock(mutex_);
  return enter("has_green_contexts") == kOk && machine_.green_contexts;
}

Status FakeApi::sm_resource(int device, cuda::SmResource& resource) noexcept {
  const Lock lock(mutex_);
  if (const Status status = enter("sm_resource"); status != kOk) return status;
  if (!has(device)) return kInvalidDevice;
  if (!machine_.green_contexts) return kSymbolNotFound;
  resource = machine_.devices[static_cast<std::size_t>(device)].resource;
  return kOk;
}

Status FakeApi::make_parts(int device, int unit, std::span<const int> groups, bool rest_to_last,
                           std::span<cuda::GreenContext> contexts, std::span<int> granted) noexcept {
  const Lock lock(mutex_);
  if (const Status status = enter("make_parts"); status != kOk) return status;
  if (!has(device)) return kInvalidDevice;
  if (!machine_.green_contexts) return kSymbolNotFound;
  const cuda::SmResource& whole = machine_.devices[static_cast<std::size_t>(device)].resource;
  if (groups.empty() || contexts.size() != groups.size() || granted.size() != groups.size()) return kInvalidValue;
  if (unit < whole.least || unit % std::max(whole.step, 1) != 0) return kInvalidValue;
  const int fit = unit == whole.least && whole.groups > 0 ? whole.groups : whole.sms / unit;
  if (std::ranges::any_of(groups, [](int n) { return n < 1; })) return kInvalidValue;
  if (std::accumulate(groups.begin(), groups.end(), 0) > fit) return kInvalidValue;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    granted[i] = groups[i] * unit + (rest_to_last && i + 1 == groups.size() ? whole.sms - fit * unit : 0);
    if (i < grants_.size()) granted[i] = grants_[i];
    contexts_.push_back(std::make_unique<int>(granted[i]));
    contexts[i] = reinterpret_cast<cuda::GreenContext>(contexts_.back().get());
  }
  grants_.clear();
  return kOk;
}

// --- memory ---

std::uint64_t FakeApi::free_bytes(int device) const {
  const auto i = static_cast<std::size_t>(device);
  const FakeDevice& d = machine_.devices[i];
  const std::uint64_t gone = in_blocks(used_[i]) + foreign_[i] + d.context_bytes;
  return d.info.memory > gone ? d.info.memory - gone : 0;
}

// Null if not all of it lies in one region.
const FakeApi::Region* FakeApi::region_of(const void* memory, std::size_t bytes) const {
  auto next = regions_.upper_bound(bytes_at(memory));
  if (next == regions_.begin()) return nullptr;
  const auto& [start, region] = *std::prev(next);
  return bytes_at(memory) + bytes <= start + region.bytes ? &region : nullptr;
}

FakeApi::Place FakeApi::place_of(const void* memory, std::size_t bytes) const {
  const Region* const region = region_of(memory, bytes);
  return region == nullptr ? Place::nowhere : region->place;
}

Status FakeApi::allocate(std::size_t bytes, Place place, void*& memory) {
  memory = nullptr;
  if (bytes == 0) return kInvalidValue;
  if (forbids_allocation_) misuse("memory was allocated while serving");
  const auto device = static_cast<std::size_t>(current());
  if (place == Place::device) {
    if (free_bytes(current()) + in_blocks(used_[device]) < in_blocks(used_[device] + bytes)) return kNoMemory;
    used_[device] += bytes;
  }
  memory = std::calloc(1, bytes);  // untouched pages cost nothing: a large allocation is cheap
  if (memory == nullptr) return kNoMemory;
  regions_[bytes_at(memory)] = {bytes, place, current(), false, true};
  return kOk;
}

Status FakeApi::device_alloc(std::size_t bytes, void*& memory) noexcept {
  const Lock lock(mutex_);
  memory = nullptr;
  if (const Status status = enter("device_alloc"); status != kOk) return status;
  return allocate(bytes, Place::device, memory);
}

void FakeApi::device_free(void* memory) noexcept {
  const Lock lock(mutex_);
  if (enter("device_free") != kOk || memory == nullptr) return;
  const auto found = regions_.find(bytes_at(memory));
  if (found == regions_.end() || found->second.place != Place::device) {
    misuse("device_free() of what is no device memory");
    return;
  }
  if (forbids_allocation_) misuse("memory was freed while serving");
  used_[static_cast<std::size_t>(found->second.device)] -= found->second.bytes;
  std::free(memory);
  regions_.erase(found);
}

Status FakeApi::pinned_alloc(std::size_t bytes, void*& memory) noexcept {
  const Lock lock(mutex_);
  memory = nullptr;
  if (const Status status = enter("pinned_alloc"); status != kOk) return status;
  return allocate(bytes, Place::host, memory);
}

Status FakeApi::host_register(const void* memory, std::size_t bytes, bool read_only) noexcept {
  const Lock lock(mutex_);
  if (const Status status = enter("host_register"); status != kOk) return status;
  const cuda::DeviceInfo& info = machine_.devices[static_cast<std::size_t>(current())].info;
  if (memory == nullptr || bytes == 0) return kInvalidValue;
  if (!info.registers_host || (read_only && !info.registers_read_only)) return kNotSupported;
  const auto next = regions_.lower_bound(bytes_at(memory) + bytes);
  if (next != regions_.begin()) {
    const auto& [start, region] = *std::prev(next);
    if (start + region.bytes > bytes_at(memory)) return kAlreadyRegistered;
  }
  regions_[bytes_at(memory)] = {bytes, Place::host, current(), read_only, false};
  return kOk;
}

void FakeApi::host_unregister(const void* memory) noexcept {
  const Lock lock(mutex_);
  if (enter("host_unregister") != kOk) return;
  const auto found = regions_.find(bytes_at(memory));
  if (found == regions_.end() || found->second.place != Place::host || found->second.ours)
    misuse("host_unregister() of what is not registered");
  else
    regions_.erase(found);
}

Status FakeApi::device_view(const void* host, void*& device) noexcept {
  const Lock lock(mutex_);
  device = nullptr;
  if (const Status status = enter("device_view"); status != kOk) return status;
  if (place_of(host, 1) != Place::host) return kInvalidValue;
  device = const_cast<void*>(host);
  return kOk;
}

// --- graphs ---

cuda::Graph FakeApi::add_graph(std::vector<FakeNode> nodes) {
  const Lock lock(mutex_);
  graphs_.push_back(std::make_unique<FakeGraph>(FakeGraph{std::move(nodes)}));
  return reinterpret_cast<cuda::Graph>(graphs_.back().get());
}

Status FakeApi::facts(cuda::Graph graph, cuda::GraphFacts& facts) noexcept {
  const Lock lock(mutex_);
  facts = {};
  if (const Status status = enter("facts"); status != kOk) return status;
  for (const FakeNode& node : reinterpret_cast<FakeGraph*>(graph)->nodes) {
    ++facts.nodes;
    facts.kernels += node.kind == FakeNode::Kind::kernel;
    facts.allocates |= node.kind == FakeNode::Kind::allocate;
    facts.calls_host |= node.kind == FakeNode::Kind::host;
  }
  return kOk;
}

Status FakeApi::copies(cuda::Graph graph, std::span<cuda::CopyNode> copies, std::size_t& count) noexcept {
  const Lock lock(mutex_);
  count = 0;
  if (const Status status = enter("copies"); status != kOk) return status;
  for (FakeNode& node : reinterpret_cast<FakeGraph*>(graph)->nodes) {
    if (node.kind != FakeNode::Kind::copy) continue;
    if (count < copies.size()) copies[count] = {reinterpret_cast<cuda::Node>(&node), node.to, node.from, node.bytes};
    ++count;
  }
  return kOk;
}

Status FakeApi::instantiate(cuda::Graph graph, cuda::Stream stream, cuda::GraphExec& exec) noexcept {
  Lock lock(mutex_);
  exec = nullptr;
  if (const Status status = enter("instantiate"); status != kOk) return status;
  FakeStream* const on = find(stream);
  if (on == nullptr) return kInvalidHandle;
  const auto device = static_cast<std::size_t>(on->facts.device);
  if (free_bytes(on->facts.device) + in_blocks(used_[device]) < in_blocks(used_[device] + machine_.graph_bytes))
    return kNoMemory;
  if (forbids_allocation_) misuse("a graph was made while serving");
  used_[device] += machine_.graph_bytes;
  const auto* const from = reinterpret_cast<const FakeGraph*>(graph);
  execs_.push_back(std::make_unique<FakeExec>(FakeExec{from, from->nodes, on}));
  exec = reinterpret_cast<cuda::GraphExec>(execs_.back().get());
  return wait_until(lock, [on] { return on->steps.empty(); });  // for the upload
}

// As CUDA: one-dimensional, not empty, and each end in the kind of memory that it was in.
Status FakeApi::set_copy(cuda::GraphExec exec, const cuda::CopyNode& copy) noexcept {
  const Lock lock(mutex_);
  if (const Status status = enter("set_copy"); status != kOk) return status;
  auto& [graph, nodes, stream] = *reinterpret_cast<FakeExec*>(exec);
  const auto* const node = reinterpret_cast<const FakeNode*>(copy.node);
  if (node < graph->nodes.data() || node >= graph->nodes.data() + graph->nodes.size()) return kInvalidValue;
  const auto i = static_cast<std::size_t>(node - graph->nodes.data());
  if (node->kind != FakeNode::Kind::copy || copy.bytes == 0) return kInvalidValue;
  const Place to = place_of(copy.to, 1), from = place_of(copy.from, 1);
  if (to == Place::nowhere || from == Place::nowhere) return kInvalidValue;
  if (to != place_of(node->to, 1) || from != place_of(node->from, 1)) return kInvalidValue;
  nodes[i].to = copy.to;
  nodes[i].from = copy.from;
  nodes[i].bytes = copy.bytes;
  return kOk;
}

}  // namespace takt::test
