// Chains of copies and one kernel.
#include "cuda/fake_engine.hpp"

#include <c10/core/InferenceMode.h>

#include <cstring>

#include "cuda/errors.hpp"

namespace takt::test {
namespace {

using namespace cuda;

class FakeRecording final : public Recording {
 public:
  explicit FakeRecording(Graph graph) : graph_(graph) {}
  [[nodiscard]] Graph graph() const noexcept override { return graph_; }

 private:
  Graph graph_;
};

class FakeRecorder final : public Recorder {
 public:
  FakeRecorder(FakeApi& api, FakeEngine& engine, Stream stream) : api_(api), engine_(engine), stream_(stream) {}

  [[nodiscard]] Result<void> run(const PlacedModel& model, const models::Step& step, std::size_t batch,
                                 const Ends& ends) noexcept override {
    ++engine_.ran;
    return checked(api_.queue(stream_, chain(model, step, batch, ends)));
  }
  [[nodiscard]] Result<std::unique_ptr<Recording>> capture(const PlacedModel& model, const models::Step& step,
                                                           std::size_t batch, const Ends& ends) noexcept override {
    ++engine_.captured;
    std::vector<FakeNode> nodes = chain(model, step, batch, ends);
    if (engine_.allocating.count(step.variant->name) > 0) nodes.push_back({.kind = FakeNode::Kind::allocate});
    return std::make_unique<FakeRecording>(api_.add_graph(std::move(nodes)));
  }

 private:
  // The output is the caching allocator's memory, which was there before.
  void* output(std::size_t bytes) {
    outputs_.push_back(std::make_unique<std::vector<std::byte>>(bytes));
    void* const memory = outputs_.back()->data();
    (void)api_.host_register(memory, bytes, false);
    return memory;
  }
  std::vector<FakeNode> chain(const PlacedModel& placed, const models::Step& step, std::size_t batch,
                              const Ends& ends) {
    const auto& model = static_cast<const TorchModel&>(placed);
    const std::size_t in = model.bytes_in(step), out = model.bytes_out(step);
    std::vector<FakeNode> nodes;
    auto* place = static_cast<std::byte*>(ends.in);
    for (const void* const from : ends.from) {
      nodes.push_back(copy_node(place, from, in));
      place += in;
    }
    auto* const result = static_cast<std::byte*>(output(out * batch));
    nodes.push_back(kernel_node([&model, &step, batch, input = ends.in, taps = ends.taps, result] {
      const c10::InferenceMode inference;
      const at::Tensor values = model.forward(step, batch, input, taps);
      std::memcpy(result, values.data_ptr(), values.nbytes());
    }));
    for (std::size_t f = 0; f < ends.to.size(); ++f) nodes.push_back(copy_node(ends.to[f], result + f * out, out));
    if (ends.word != nullptr) nodes.push_back(copy_node(ends.word, ends.one, sizeof(std::uint32_t)));
    return nodes;
  }

  FakeApi& api_;
  FakeEngine& engine_;
  const Stream stream_;
  std::vector<std::unique_ptr<std::vector<std::byte>>> outputs_;
};

}  // namespace

Result<std::unique_ptr<PlacedModel>> FakeEngine::place(const models::BoundModel& bound, int, Precision precision) {
  const c10::InferenceMode inference;
  return std::make_unique<TorchModel>(bound, at::kCPU, precision);
}

Result<std::unique_ptr<Recorder>> FakeEngine::recorder(int, Stream stream) {
  return std::make_unique<FakeRecorder>(api_, *this, stream);
}

}  // namespace takt::test
