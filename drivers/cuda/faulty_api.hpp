// CUDA calls that fail when they are told to: for trying every kind of fault on a real GPU without a kernel of our own.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "cuda/api.hpp"
#include "cuda/errors.hpp"

namespace takt::cuda {

// Which call fails, with what, after how many of its calls: "launch 700 1000". Anything else says nothing.
struct Injection {
  std::string call;
  Status status = kOk;
  std::uint64_t after = 0;
  [[nodiscard]] static Injection parse(std::string_view text);
};

// Passes every call on. One that is sticky stays: all later calls give it, as in CUDA. Thread-safe as the one behind
// it.
class FaultyApi final : public Api {
 public:
  FaultyApi(std::unique_ptr<Api> next, Injection injection)
      : next_(std::move(next)), injection_(std::move(injection)) {}

  [[nodiscard]] Status device_count(int& count) noexcept override {
    return pass("device_count", [&] { return next_->device_count(count); });
  }
  [[nodiscard]] Status use_device(int device) noexcept override {
    return pass("use_device", [&] { return next_->use_device(device); });
  }
  [[nodiscard]] Status describe(int device, DeviceInfo& info) noexcept override {
    return pass("describe", [&] { return next_->describe(device, info); });
  }
  [[nodiscard]] Status memory(std::uint64_t& free, std::uint64_t& total) noexcept override {
    return pass("memory", [&] { return next_->memory(free, total); });
  }
  [[nodiscard]] const char* name_of(Status status) noexcept override { return next_->name_of(status); }
  [[nodiscard]] bool has_green_contexts() noexcept override { return next_->has_green_contexts(); }
  [[nodiscard]] Status sm_resource(int device, SmResource& resource) noexcept override {
    return pass("sm_resource", [&] { return next_->sm_resource(device, resource); });
  }
  [[nodiscard]] Status make_parts(int device, int unit, std::span<const int> groups, bool rest_to_last,
                                  std::span<GreenContext> contexts, std::span<int> granted) noexcept override {
    return pass("make_parts", [&] { return next_->make_parts(device, unit, groups, rest_to_last, contexts, granted); });
  }
  [[nodiscard]] Status priorities(int& least, int& greatest) noexcept override {
    return pass("priorities", [&] { return next_->priorities(least, greatest); });
  }
  [[nodiscard]] Status make_stream(GreenContext context, int priority, Stream& stream) noexcept override {
    return pass("make_stream", [&] { return next_->make_stream(context, priority, stream); });
  }
  [[nodiscard]] Status make_event(Event& event) noexcept override {
    return pass("make_event", [&] { return next_->make_event(event); });
  }
  [[nodiscard]] Status synchronize(Stream stream) noexcept override {
    return pass("synchronize", [&] { return next_->synchronize(stream); });
  }
  [[nodiscard]] Status device_alloc(std::size_t bytes, void*& memory) noexcept override {
    return pass("device_alloc", [&] { return next_->device_alloc(bytes, memory); });
  }
  void device_free(void* memory) noexcept override { next_->device_free(memory); }
  [[nodiscard]] Status pinned_alloc(std::size_t bytes, void*& memory) noexcept override {
    return pass("pinned_alloc", [&] { return next_->pinned_alloc(bytes, memory); });
  }
  [[nodiscard]] Status host_register(const void* memory, std::size_t bytes, bool read_only) noexcept override {
    return pass("host_register", [&] { return next_->host_register(memory, bytes, read_only); });
  }
  void host_unregister(const void* memory) noexcept override { next_->host_unregister(memory); }
  [[nodiscard]] Status device_view(const void* host, void*& device) noexcept override {
    return pass("device_view", [&] { return next_->device_view(host, device); });
  }
  [[nodiscard]] Status facts(Graph graph, GraphFacts& facts) noexcept override {
    return pass("facts", [&] { return next_->facts(graph, facts); });
  }
  [[nodiscard]] Status copies(Graph graph, std::span<CopyNode> copies, std::size_t& count) noexcept override {
    return pass("copies", [&] { return next_->copies(graph, copies, count); });
  }
  [[nodiscard]] Status instantiate(Graph graph, Stream stream, GraphExec& exec) noexcept override {
    return pass("instantiate", [&] { return next_->instantiate(graph, stream, exec); });
  }
  [[nodiscard]] Status set_copy(GraphExec exec, const CopyNode& copy) noexcept override {
    return pass("set_copy", [&] { return next_->set_copy(exec, copy); });
  }
  [[nodiscard]] Status launch(GraphExec exec, Stream stream) noexcept override {
    return pass("launch", [&] { return next_->launch(exec, stream); });
  }
  [[nodiscard]] Status copy(void* to, const void* from, std::size_t bytes, Stream stream) noexcept override {
    return pass("copy", [&] { return next_->copy(to, from, bytes, stream); });
  }
  [[nodiscard]] Status copy_rows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                                 std::size_t bytes, std::size_t rows, Stream stream) noexcept override {
    return pass("copy_rows", [&] { return next_->copy_rows(to, to_pitch, from, from_pitch, bytes, rows, stream); });
  }
  [[nodiscard]] Status record(Event event, Stream stream) noexcept override {
    return pass("record", [&] { return next_->record(event, stream); });
  }
  [[nodiscard]] Status wait(Event event) noexcept override {
    return pass("wait", [&] { return next_->wait(event); });
  }
  [[nodiscard]] Status query(Stream stream) noexcept override {
    return pass("query", [&] { return next_->query(stream); });
  }

 private:
  template <class Call>
  Status pass(std::string_view name, Call&& call) noexcept {
    if (const Status sticky = sticky_.load(); sticky != kOk) return sticky;
    if (name != injection_.call || calls_.fetch_add(1) < injection_.after || told_.exchange(true)) return call();
    if (ends_process(injection_.status)) sticky_.store(injection_.status);
    return injection_.status;
  }

  const std::unique_ptr<Api> next_;
  const Injection injection_;
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<bool> told_{false};
  std::atomic<Status> sticky_{kOk};
};

}  // namespace takt::cuda
