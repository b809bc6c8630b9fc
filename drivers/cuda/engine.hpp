// Where libtorch comes in: a model's weights on a device, and its segments recorded into graphs or run at once.
// Includes no tensor library and no vendor header: lanes and the driver are tested on a fake of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "cuda/api.hpp"
#include "host/bound_model.hpp"
#include "takt/driver.hpp"

namespace takt::cuda {

// A model's weights on one device, in one precision. Read by all lanes there; never freed.
class PlacedModel {
 public:
  virtual ~PlacedModel() = default;
  [[nodiscard]] virtual const models::BoundModel& bound() const noexcept = 0;
  // Bytes of one frame before and after a step: pictures are bytes of their form, given tensors and the last segment's
  // values are floats, activations lie in the placed precision, channels last.
  [[nodiscard]] virtual std::size_t bytes_in(const models::Step& step) const noexcept = 0;
  [[nodiscard]] virtual std::size_t bytes_out(const models::Step& step) const noexcept = 0;
};

// The ends of a chain.
struct Ends {
  void* in = nullptr;                 // lane memory that the segment reads, frames of a batch side by side
  std::span<const void* const> from;  // device memory, one a frame, copied to `in` first; empty: it is there already
  const void* taps = nullptr;         // preprocessing only: see pictures.hpp
  std::span<void* const> to;          // one a frame
  bool to_host = false;               // pinned memory, else the device's
  const void* one = nullptr;          // device memory that holds 1, 4 bytes
  void* word = nullptr;               // pinned: gets it last
};

// What was recorded. The segment's memory is in the lane's pool: recordings of a lane share it, they never run at once.
// Freed only at the end of the process: to free a graph may take
// work areas from the others (pytorch issue 193402).
class Recording {
 public:
  virtual ~Recording() = default;
  [[nodiscard]] virtual Graph graph() const noexcept = 0;
};

// One lane's captures and eager runs: one stream, one memory pool, one thread that calls.
class Recorder {
 public:
  virtual ~Recorder() = default;
  // Queues the chain: copies in, the step for `batch` frames, copies out, the word. Returns when it is queued.
  [[nodiscard]] virtual Result<void> run(const PlacedModel& model, const models::Step& step, std::size_t batch,
                                         const Ends& ends) noexcept = 0;
  // The same as a graph. The step must have run a few times before: what libraries make at first use cannot be
  // captured.
  [[nodiscard]] virtual Result<std::unique_ptr<Recording>> capture(const PlacedModel& model, const models::Step& step,
                                                                   std::size_t batch, const Ends& ends) noexcept = 0;
};

// Allocations from the device since the start: none may happen while serving.
struct AllocatorCounts {
  std::int64_t allocations = 0, frees = 0, retries = 0, out_of_memory = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  [[nodiscard]] virtual Result<std::unique_ptr<PlacedModel>> place(const models::BoundModel& bound, int device,
                                                                   Precision precision) = 0;
  // On the lane's thread.
  [[nodiscard]] virtual Result<std::unique_ptr<Recorder>> recorder(int device, Stream stream) = 0;
  [[nodiscard]] virtual AllocatorCounts counts(int device) noexcept = 0;
};

[[nodiscard]] std::unique_ptr<Engine> make_torch_engine();

}  // namespace takt::cuda
