// A CUDA of one's own, for tests of lanes and of the driver: devices, memory, streams and graphs that fail as CUDA's
// do.
//
// Work is queued and takes virtual time; nothing runs until the test lets it:
//   FakeApi api;                                   // one H100 of 132 multiprocessors
//   api.finish();                                  // the work that ends first; the clock goes there
//   api.advance(us(50));                           // all that ends in that time
//   api.synchronize(stream), api.wait(event)       // run what they wait for, or (block_in_waits) sleep until another
//                                                  // thread lets it end
// When a copy's time comes it is really done by memcpy, "device" memory being the host's: a word that a graph's last
// copy writes arrives then, not before. Kernels are functions of the test's.
//
// What a Recorder captures: add_graph({copy_node(..), kernel_node(..)}); what it runs eagerly: queue(stream, {..}).
//
// Failures: fail("launch", 2) makes the next call of that name fail; a status that ends a process poisons, as in CUDA:
// every later call gives it, and what was queued never ends. fault_work(700) poisons when the next piece of work runs,
// and the next call of anybody tells. hang_work() makes it never end. FakeApi{{.driver = false}}: 35 everywhere.
//
// A copy that leaves its allocation, or meets memory that is not pinned, registered or the device's, poisons with 700.
// What CUDA would allow and takt must not do is written down: misuses().
//
// Thread-safe. Functions of kernels must not call it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cuda/api.hpp"
#include "takt/time.hpp"

namespace takt::test {

struct FakeDevice {
  cuda::DeviceInfo info{"Fake H100", "0000:65:00.0", 9, 0, 132, false, true, true, std::uint64_t{80} << 30};
  cuda::SmResource resource{132, 8, 8, 16};
  std::uint64_t context_bytes = std::uint64_t{512} << 20;  // gone before anybody asks
};

struct FakeMachine {
  bool driver = true;
  bool green_contexts = true;
  std::vector<FakeDevice> devices = {FakeDevice{}};
  std::uint64_t graph_bytes = 192 << 10;  // that instantiate() takes; seen in steps of 2 MiB, as CUDA's is
};

struct FakeNode {
  enum class Kind : std::uint8_t { copy, kernel, allocate, host };
  Kind kind = Kind::kernel;
  void* to = nullptr;
  const void* from = nullptr;
  std::size_t bytes = 0;
  std::function<void()> body;
  Duration time{};
};
[[nodiscard]] FakeNode copy_node(void* to, const void* from, std::size_t bytes,
                                 Duration time = std::chrono::microseconds(2));
[[nodiscard]] FakeNode kernel_node(std::function<void()> body, Duration time = std::chrono::microseconds(10));

class FakeApi final : public cuda::Api {
 public:
  using Status = cuda::Status;
  explicit FakeApi(FakeMachine machine = {});
  ~FakeApi() override;
  FakeApi(const FakeApi&) = delete;
  FakeApi& operator=(const FakeApi&) = delete;

  // --- what a recorder does ---
  [[nodiscard]] cuda::Graph add_graph(std::vector<FakeNode> nodes);
  [[nodiscard]] Status queue(cuda::Stream stream, std::vector<FakeNode> nodes);

  // --- time. A piece of work is a copy, a launch or what queue() got. ---
  [[nodiscard]] Instant now() const;
  void advance(Duration d) { advance_to(now() + d); }
  void advance_to(Instant t);
  std::size_t finish(std::size_t works = 1);  // in the order in which they end; returns how many there were
  [[nodiscard]] std::size_t pending() const;
  [[nodiscard]] std::size_t pending(cuda::Stream stream) const;
  void block_in_waits(bool yes = true);  // waits sleep until another thread moves time; else they move it
  void set_query_step(Duration d);       // each query() takes this long

  // --- failures ---
  void fail(std::string call, Status status, std::size_t skip = 0, std::size_t times = 1);
  void poison(Status status);
  void fault_work(Status status, std::size_t skip = 0);  // the piece of work that is queued next, or `skip` later
  void hang_work(std::size_t skip = 0);
  void set_grants(std::vector<int> sms);              // what the next parts have, whatever was asked
  void take_memory(int device, std::uint64_t bytes);  // by another process
  void forbid_allocation(bool yes = true);            // from now on it is a misuse

  // --- what happened ---
  struct StreamFacts {
    int device = 0, priority = 0;
    cuda::GreenContext context = nullptr;
  };
  [[nodiscard]] StreamFacts facts_of(cuda::Stream stream) const;
  [[nodiscard]] std::size_t calls(std::string_view name) const;  // of the interface's functions
  [[nodiscard]] std::size_t calls_after_poison() const;
  [[nodiscard]] std::uint64_t used(int device) const;  // bytes, without context and others
  [[nodiscard]] std::size_t registered() const;        // ranges of host memory
  [[nodiscard]] std::vector<std::string> misuses() const;

  // --- the interface ---
  [[nodiscard]] Status device_count(int& count) noexcept override;
  [[nodiscard]] Status use_device(int device) noexcept override;
  [[nodiscard]] Status describe(int device, cuda::DeviceInfo& info) noexcept override;
  [[nodiscard]] Status memory(std::uint64_t& free, std::uint64_t& total) noexcept override;
  [[nodiscard]] const char* name_of(Status status) noexcept override;
  [[nodiscard]] bool has_green_contexts() noexcept override;
  [[nodiscard]] Status sm_resource(int device, cuda::SmResource& resource) noexcept override;
  [[nodiscard]] Status make_parts(int device, int unit, std::span<const int> groups, bool rest_to_last,
                                  std::span<cuda::GreenContext> contexts, std::span<int> granted) noexcept override;
  [[nodiscard]] Status priorities(int& least, int& greatest) noexcept override;
  [[nodiscard]] Status make_stream(cuda::GreenContext context, int priority, cuda::Stream& stream) noexcept override;
  [[nodiscard]] Status make_event(cuda::Event& event) noexcept override;
  [[nodiscard]] Status synchronize(cuda::Stream stream) noexcept override;
  [[nodiscard]] Status device_alloc(std::size_t bytes, void*& memory) noexcept override;
  void device_free(void* memory) noexcept override;
  [[nodiscard]] Status pinned_alloc(std::size_t bytes, void*& memory) noexcept override;
  [[nodiscard]] Status host_register(const void* memory, std::size_t bytes, bool read_only) noexcept override;
  void host_unregister(const void* memory) noexcept override;
  [[nodiscard]] Status device_view(const void* host, void*& device) noexcept override;
  [[nodiscard]] Status facts(cuda::Graph graph, cuda::GraphFacts& facts) noexcept override;
  [[nodiscard]] Status copies(cuda::Graph graph, std::span<cuda::CopyNode> copies,
                              std::size_t& count) noexcept override;
  [[nodiscard]] Status instantiate(cuda::Graph graph, cuda::Stream stream, cuda::GraphExec& exec) noexcept override;
  [[nodiscard]] Status set_copy(cuda::GraphExec exec, const cuda::CopyNode& copy) noexcept override;
  [[nodiscard]] Status launch(cuda::GraphExec exec, cuda::Stream stream) noexcept override;
  [[nodiscard]] Status copy(void* to, const void* from, std::size_t bytes, cuda::Stream stream) noexcept override;
  [[nodiscard]] Status copy_rows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                                 std::size_t bytes, std::size_t rows, cuda::Stream stream) noexcept override;
  [[nodiscard]] Status record(cuda::Event event, cuda::Stream stream) noexcept override;
  [[nodiscard]] Status wait(cuda::Event event) noexcept override;
  [[nodiscard]] Status query(cuda::Stream stream) noexcept override;

 private:
  enum class Place : std::uint8_t { nowhere, device, host };  // nowhere: memory that only the CPU may use
  struct Region {
    std::size_t bytes = 0;
    Place place = Place::device;
    int device = 0;
    bool read_only = false, ours = false;  // ours: to be freed
  };
  struct FakeEvent {
    bool done = true;
    std::uint64_t record = 0;  // the latest one counts
  };
  struct Step {
    FakeNode node;
    Instant end{};
    std::uint64_t number = 0;  // order of queueing
    FakeEvent* event = nullptr;
    bool last = false;  // of its piece of work
    Status fault = cuda::kOk;
  };
  struct FakeStream {
    StreamFacts facts;
    std::deque<Step> steps;
    Instant free{};  // when what is queued has ended
  };
  struct FakeGraph {
    std::vector<FakeNode> nodes;
  };
  struct FakeExec {
    const FakeGraph* graph = nullptr;
    std::vector<FakeNode> nodes;  // as set_copy() left them
    const FakeStream* stream = nullptr;
  };
  struct Injection {
    std::string call;
    Status status = cuda::kOk;
    std::size_t skip = 0, times = 1;
  };
  using Lock = std::unique_lock<std::mutex>;

  [[nodiscard]] Status enter(const char* call);
  [[nodiscard]] Status injected(const char* call);
  void misuse(std::string what) { misuses_.push_back(std::move(what)); }
  void poison_locked(Status status);
  [[nodiscard]] int current() const;
  [[nodiscard]] bool has(int device) const { return device >= 0 && std::cmp_less(device, machine_.devices.size()); }

  [[nodiscard]] std::uint64_t free_bytes(int device) const;
  [[nodiscard]] const Region* region_of(const void* memory, std::size_t bytes) const;
  [[nodiscard]] Place place_of(const void* memory, std::size_t bytes) const;
  [[nodiscard]] Status allocate(std::size_t bytes, Place place, void*& memory);

  [[nodiscard]] FakeStream* find(cuda::Stream stream) const;
  void push(FakeStream& stream, std::vector<FakeNode> nodes);
  [[nodiscard]] bool run_next(Instant limit, bool& was_last);
  void run_step(Step& step);
  void settle_events();
  [[nodiscard]] Status wait_until(Lock& lock, const std::function<bool()>& done);
  [[nodiscard]] Status copy_now_or_queue(FakeNode node, FakeStream& stream, Lock& lock);

  FakeMachine machine_;
  mutable std::mutex mutex_;
  std::condition_variable moved_;
  Instant now_{};
  Duration query_step_{};
  bool blocks_ = false, forbids_allocation_ = false;
  Status poison_ = cuda::kOk;
  std::uint64_t steps_ = 0;
  std::size_t calls_after_poison_ = 0;
  std::vector<Injection> injections_;
  std::vector<std::pair<std::size_t, Status>> faults_;  // works to go; kNotReady: it hangs
  std::vector<int> grants_;
  std::map<std::string, std::size_t, std::less<>> calls_;
  std::map<std::thread::id, int> current_;
  std::map<const std::byte*, Region> regions_;
  std::vector<std::uint64_t> used_, foreign_;
  std::vector<std::string> misuses_;
  std::vector<std::unique_ptr<FakeStream>> streams_;
  std::vector<std::unique_ptr<FakeEvent>> events_;
  std::vector<std::unique_ptr<FakeGraph>> graphs_;
  std::vector<std::unique_ptr<FakeExec>> execs_;
  std::vector<std::unique_ptr<int>> contexts_;  // multiprocessors of each
};

}  // namespace takt::test
